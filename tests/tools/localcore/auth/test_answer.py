"""What a Lambda may answer: each rule of the documented response, and nothing believed unchecked."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mqtt443_tools.localcore.auth.answer import Answer, parse_answer
from mqtt443_tools.localcore.localcore_errors import Refused

ALLOW = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iot:Connect", "Resource": "*"}]}
FULL = {
    "isAuthenticated": True,
    "principalId": "p1",
    "disconnectAfterInSeconds": 3600,
    "refreshAfterInSeconds": 600,
    "policyDocuments": [ALLOW],
}


def parse(answer: object) -> Answer:
    return parse_answer(answer, default_refresh_s=300)


def refusal(answer: object) -> Refused:
    with pytest.raises(Refused) as refused:
        parse(answer)
    return refused.value


def assert_fault(answer: object, rule: str) -> None:
    refused = refusal(answer)
    assert refused.reason == "CUSTOM_AUTHORIZER_LAMBDA_EXECUTION_ERROR"
    assert refused.detail == f"the Lambda's answer is not valid: {rule}"


def padded(characters: int, text: str = "x") -> dict[str, Any]:
    """A policy document whose compact JSON has exactly so many characters."""
    document = {"Version": "2012-10-17", "Id": "", "Statement": []}
    fill = characters - len(json.dumps(document, separators=(",", ":")))
    return {**document, "Id": text * fill}


def test_full_answer_is_taken() -> None:
    answer = parse({**FULL, "context": {}, "password": "test"})
    assert (answer.principal_id, answer.disconnect_after_s, answer.refresh_after_s) == ("p1", 3600, 600)
    assert answer.policies.evaluate("iot:Connect", "arn:x", {}).allowed


def test_missing_times_have_defaults() -> None:
    answer = parse({name: FULL[name] for name in ("isAuthenticated", "principalId", "policyDocuments")})
    assert (answer.disconnect_after_s, answer.refresh_after_s) == (86_400, 300)


def test_answer_and_documents_may_be_json_text() -> None:
    answer = parse(json.dumps({**FULL, "policyDocuments": [json.dumps(ALLOW), ALLOW]}))
    assert len(answer.policies.statements) == 2


def test_false_is_a_refusal_whatever_else_is_there() -> None:
    for answer in ({"isAuthenticated": False}, {**FULL, "isAuthenticated": False}, {"isAuthenticated": False, "x": 1}):
        assert refusal(answer).reason == "NOT_AUTHENTICATED"


@pytest.mark.parametrize("answer", [None, [], 1, True, "null", "[]", '"{}"'])
def test_answer_must_be_an_object(answer: object) -> None:
    assert_fault(answer, "the answer must be an object")


@pytest.mark.parametrize("answer", ["", "{", "[" * 100_000, pytest.param("1" * 5000, id="huge number")])
def test_text_must_be_json(answer: str) -> None:
    assert_fault(answer, "the answer is a string that is not valid JSON")


@pytest.mark.parametrize("value", [None, 1, 0, "true", "false", [], {}])
def test_is_authenticated_must_be_boolean(value: object) -> None:
    assert_fault({**FULL, "isAuthenticated": value}, "isAuthenticated must be true or false")


def test_is_authenticated_must_be_there() -> None:
    assert_fault({}, "isAuthenticated must be true or false")


@pytest.mark.parametrize("value", [None, "", "a-b", "a_b", "ü", "a\n", "a" * 129, 7, ["a"]])
def test_principal_id_must_be_alphanumeric(value: object) -> None:
    assert_fault({**FULL, "principalId": value}, "principalId must be 1..128 characters of a-z, A-Z, 0-9")


def test_principal_id_may_have_128_characters() -> None:
    assert parse({**FULL, "principalId": "Z9" * 64}).principal_id == "Z9" * 64


@pytest.mark.parametrize("name", ["disconnectAfterInSeconds", "refreshAfterInSeconds"])
@pytest.mark.parametrize("value", [299, 86_401, -300, 0, True, 300.0, "300", None, 10**400])
def test_times_must_be_whole_and_in_range(name: str, value: object) -> None:
    assert_fault({**FULL, name: value}, f"{name} must be a whole number of seconds, 300..86,400")


@pytest.mark.parametrize("value", [300, 86_400])
def test_times_may_be_at_the_ends_of_their_range(value: int) -> None:
    answer = parse({**FULL, "disconnectAfterInSeconds": value, "refreshAfterInSeconds": value})
    assert (answer.disconnect_after_s, answer.refresh_after_s) == (value, value)


@pytest.mark.parametrize("documents", [None, [], ALLOW, json.dumps([ALLOW]), [ALLOW] * 11])
def test_one_to_ten_documents_are_needed(documents: object) -> None:
    assert_fault({**FULL, "policyDocuments": documents}, "policyDocuments must be a list of 1..10 policy documents")


def test_ten_documents_are_taken() -> None:
    assert len(parse({**FULL, "policyDocuments": [ALLOW] * 10}).policies.statements) == 10


@pytest.mark.parametrize("text", ["x", "ü", "😀"])
def test_document_may_have_2048_characters_and_no_more(text: str) -> None:
    parse({**FULL, "policyDocuments": [padded(2048, text)]})
    assert_fault(
        {**FULL, "policyDocuments": [ALLOW, padded(2049, text)]},
        "policyDocuments[1] has 2,049 characters, at most 2,048 are allowed",
    )


def test_whitespace_of_a_document_given_as_text_counts() -> None:
    text = json.dumps(ALLOW)
    parse({**FULL, "policyDocuments": [text.ljust(2048)]})
    assert_fault(
        {**FULL, "policyDocuments": [text.ljust(2049)]},
        "policyDocuments[0] has 2,049 characters, at most 2,048 are allowed",
    )


@pytest.mark.parametrize(
    ("document", "rule"),
    [
        ("{", "policyDocuments[0] is a string that is not valid JSON"),
        ("[]", "policyDocuments: policy document must be an object"),
        (None, "policyDocuments: policy document must be an object"),
        pytest.param(10**5000, "policyDocuments[0] cannot be written as JSON", id="huge number"),
        ({"Version": "2012-10-17"}, "policyDocuments: policy document: Statement is missing"),
        (
            {**ALLOW, "Statement": {"Effect": "Allow", "Action": "iot:*", "Resource": "hunter2"}},
            "policyDocuments: statement 1: every Resource must be * or an ARN",
        ),
    ],
)
def test_broken_document_is_a_fault_that_names_the_rule(document: object, rule: str) -> None:
    assert_fault({**FULL, "policyDocuments": [document]}, rule)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*FULL, *ALLOW, "x"]), inner, max_size=5)
    ),
    max_leaves=10,
)
NEARLY = st.fixed_dictionaries({}, optional={name: st.just(value) | JSON for name, value in FULL.items()})
SECRET = "hunter2secret"


@settings(deadline=None)
@given(JSON | NEARLY | NEARLY.map(json.dumps))
def test_any_answer_is_valid_or_refused(answer: object) -> None:
    try:
        parsed = parse(answer)
    except Refused as refused:
        assert "\n" not in refused.detail
    else:
        assert parsed.principal_id.isalnum()
        assert 300 <= parsed.disconnect_after_s <= 86_400
        assert 300 <= parsed.refresh_after_s <= 86_400


@pytest.mark.parametrize("name", list(FULL))
@pytest.mark.parametrize("value", [SECRET + "!", {SECRET: SECRET}, [SECRET], [{SECRET: SECRET}]])
def test_fault_never_shows_a_value(name: str, value: object) -> None:
    for answer in ({**FULL, name: value}, json.dumps({**FULL, name: value}), SECRET):
        assert SECRET not in str(refusal(answer))
