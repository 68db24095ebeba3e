"""The policy template: its rules, its rendering for a device, and AWS's limits."""

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mqtt443_authorizer.device import validate_client_id
from mqtt443_authorizer.errors import DeviceError, PolicyError
from mqtt443_authorizer.policy import LONGEST_ARN, Template, iot_arn

from tests.support.aws.logins import IOT_ARN, device

DEFAULT = Template.load()


def allowed(documents: Any) -> Any:
    """Return every (action, resource) that the documents allow."""
    pairs = []
    for document in documents:
        for statement in document["Statement"]:
            assert statement["Effect"] == "Allow"
            resources = statement["Resource"]
            pairs += [(statement["Action"], arn) for arn in ([resources] if isinstance(resources, str) else resources)]
    return pairs


def test_default_policy_allows_only_own_id_and_topics() -> None:
    assert allowed(DEFAULT.render(device(), IOT_ARN)) == [
        ("iot:Connect", f"{IOT_ARN}:client/sensor-1"),
        ("iot:Publish", f"{IOT_ARN}:topic/telemetry/sensor-1"),
        ("iot:Publish", f"{IOT_ARN}:topic/telemetry/sensor-1/*"),
        ("iot:Subscribe", f"{IOT_ARN}:topicfilter/commands/sensor-1"),
        ("iot:Subscribe", f"{IOT_ARN}:topicfilter/commands/sensor-1/*"),
        ("iot:Receive", f"{IOT_ARN}:topic/commands/sensor-1"),
        ("iot:Receive", f"{IOT_ARN}:topic/commands/sensor-1/*"),
        ("iot:Publish", f"{IOT_ARN}:topic/$aws/things/sensor-1/jobs/*"),
        ("iot:Publish", f"{IOT_ARN}:topic/$aws/things/sensor-1/streams/*"),
        ("iot:Subscribe", f"{IOT_ARN}:topicfilter/$aws/things/sensor-1/jobs/*"),
        ("iot:Receive", f"{IOT_ARN}:topic/$aws/things/sensor-1/jobs/*"),
        ("iot:Receive", f"{IOT_ARN}:topic/$aws/things/sensor-1/streams/*"),
        ("iot:Subscribe", f"{IOT_ARN}:topicfilter/$aws/things/sensor-1/streams/*"),
    ]


def test_own_filters_are_literal_and_received_topics_wildcards() -> None:
    own = device(publish=("site/door",), subscribe=("site/+/state", "news/#"))
    extra = allowed(DEFAULT.render(own, IOT_ARN))[13:]
    assert extra == [
        ("iot:Publish", f"{IOT_ARN}:topic/site/door"),
        ("iot:Subscribe", f"{IOT_ARN}:topicfilter/site/+/state"),
        ("iot:Subscribe", f"{IOT_ARN}:topicfilter/news/#"),
        ("iot:Receive", f"{IOT_ARN}:topic/site/*/state"),
        ("iot:Receive", f"{IOT_ARN}:topic/news/*"),
    ]


def test_client_id_like_a_placeholder_is_literal() -> None:
    documents = DEFAULT.render(device("<arn>"), IOT_ARN)
    assert ("iot:Connect", f"{IOT_ARN}:client/<arn>") in allowed(documents)


def client_ids() -> Any:
    return st.text(
        st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="*?+#$/"), min_size=1, max_size=128
    )


@settings(max_examples=150)
@given(client_ids())
def test_no_client_id_changes_the_structure_or_exceeds_the_limits(client_id: str) -> None:
    try:
        validate_client_id(client_id)
    except DeviceError:
        return
    documents = DEFAULT.render(device(client_id), LONGEST_ARN)
    assert json.loads(json.dumps(documents)) == documents
    bare = [re.sub(r"(/jobs|/streams)?(/\*)?$", "", arn) for _, arn in allowed(documents)]
    assert all(arn.endswith(f"/{client_id}") for arn in bare)
    assert len(bare) == 13


@pytest.mark.parametrize("client_id", ["x" * 128, "é" * 64, '"' * 128, "\N{GRINNING FACE}" * 32])
def test_longest_client_id_fits_the_default_policy(client_id: str) -> None:
    documents = DEFAULT.render(device(client_id), LONGEST_ARN)
    assert max(len(json.dumps(document, separators=(",", ":"))) for document in documents) <= 2048


def document_of(chars: int, arn: str = IOT_ARN) -> Any:
    """Return a template of one document that renders to exactly `chars` characters."""
    document = statement({"Sid": "", "Action": "iot:Publish"})
    size = len(json.dumps(document, separators=(",", ":")).replace("<arn>", arn).replace("<client_id>", "sensor-1"))
    document["Statement"][0]["Sid"] = "x" * (chars - size)
    return document


def statement(changes: dict[str, Any], drop: Any = ()) -> Any:
    base = {"Effect": "Allow", "Action": "iot:Connect", "Resource": "<arn>:client/<client_id>", **changes}
    return {"Version": "2012-10-17", "Statement": [{key: value for key, value in base.items() if key not in drop}]}


def test_document_may_have_2048_characters() -> None:
    # The template is checked with the longest ARN; the client id adds the last characters.
    fits, long = (Template(document_of(chars, LONGEST_ARN)) for chars in (2048, 2049))
    (document,) = fits.render(device(), LONGEST_ARN)
    assert len(json.dumps(document, separators=(",", ":"))) == 2048
    with pytest.raises(PolicyError, match="document 1 has 2049 characters: AWS allows at most 2048"):
        long.render(device(), LONGEST_ARN)


def test_own_topics_over_the_size_are_refused() -> None:
    with pytest.raises(PolicyError, match=r"document 5 has .* fewer topics"):
        DEFAULT.render(device(publish=tuple(f"{number}" + "t" * 200 for number in range(9))), IOT_ARN)


def test_policy_may_have_ten_documents() -> None:
    ten = Template([statement({})] * 10)
    assert len(ten.render(device(), IOT_ARN)) == 10
    with pytest.raises(PolicyError, match="11 documents: AWS allows at most 10"):
        ten.render(device(publish=("a",)), IOT_ARN)
    with pytest.raises(PolicyError, match="11 documents"):
        Template([statement({})] * 11)


BAD = {
    "star alone": (statement({"Resource": "*"}), r"\* alone is never allowed"),
    "star in a list": (statement({"Resource": ["<arn>:client/a", "*"]}), r"\* alone"),
    "stars": (statement({"Resource": "**"}), r"\* alone"),
    "any ARN": (statement({"Resource": "arn:aws:iot:*"}), r"\* alone"),
    "any kind": (statement({"Resource": "<arn>:*"}), r"\* alone"),
    "any client": (statement({"Resource": "<arn>:client/*"}), "client/ takes no wildcard"),
    "one character of a client": (statement({"Resource": "<arn>:client/<client_id>?"}), "client/ takes no wildcard"),
    "client by variable": (statement({"Resource": "<arn>:client/${iot:ClientId}"}), "client/ takes no wildcard"),
    "condition on connect": (statement({"Condition": {}}), "no Condition on iot:Connect"),
    "condition, other case": (statement({"Action": ["iot:Publish", "iot:CONNECT"], "Condition": {}}), "no Condition"),
    "all actions": (statement({"Action": "iot:*"}), "literal name"),
    "star as action": (statement({"Action": "*"}), "literal name"),
    "action no string": (statement({"Action": [1]}), "Action must be"),
    "no action": (statement({}, drop=["Action"]), "Action must be"),
    "no resource": (statement({}, drop=["Resource"]), "Resource must be"),
    "empty resources": (statement({"Resource": []}), "Resource must be"),
    "NotAction": (statement({"NotAction": "iot:Publish"}), "NotAction"),
    "effect": (statement({"Effect": "allow"}), "Allow or Deny"),
    "version": ({**statement({}), "Version": "2008-10-17"}, "2012-10-17"),
    "no statement": ({"Version": "2012-10-17", "Statement": []}, "at least one"),
    "no document": ([], "at least one"),
    "no object": (["x"], "document 1 is not an object"),
    "unknown placeholder": (statement({"Resource": "<arn>:client/<clientid>"}), "<clientid> is not a placeholder"),
}


@pytest.mark.parametrize(("template", "message"), BAD.values(), ids=BAD)
def test_refused_template_names_the_rule(template: Any, message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        Template(template)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.sampled_from(["*", "iot:Connect", "<arn>"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150)
@given(st.sampled_from(["Effect", "Action", "Resource", "Condition", "Sid", "other"]), JSON)
def test_any_statement_value_gives_a_template_or_an_error(key: Any, value: Any) -> None:
    try:
        documents: Any = Template(statement({key: value})).render(device(), IOT_ARN)
    except PolicyError as error:
        assert str(error).startswith(("policy document 1", "<"))
    else:
        (document,) = documents
        assert document["Statement"][0]["Resource"] not in ("*", ["*"])


def test_message_names_document_and_statement() -> None:
    two = [statement({}), copy.deepcopy(statement({}))]
    two[1]["Statement"].append({"Effect": "Allow", "Action": "iot:Publish", "Resource": "*"})
    with pytest.raises(PolicyError, match="policy document 2, statement 2"):
        Template(two)


def test_deny_and_conditions_on_other_actions_are_allowed() -> None:
    Template(statement({"Effect": "Deny", "Action": "iot:Publish", "Resource": "<arn>:topic/*", "Condition": {}}))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b" " * 300_000, "at most"),
        (b"1", "not an object"),
    ],
)
def test_broken_template_file_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "mine.json"
    path.write_bytes(content)
    with pytest.raises(PolicyError, match=rf"mine\.json: .*{message}"):
        Template.load(path)


def test_missing_template_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"none\.json: No such file or directory: set MQTT443_POLICY"):
        Template.load(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("function", "prefix"),
    [
        ("arn:aws:lambda:eu-west-1:123456789012:function:f", "arn:aws:iot:eu-west-1:123456789012"),
        ("arn:aws-cn:lambda:cn-north-1:123456789012:function:f:live", "arn:aws-cn:iot:cn-north-1:123456789012"),
    ],
)
def test_iot_arn_comes_from_the_function(function: object, prefix: str) -> None:
    assert iot_arn(function) == prefix


@pytest.mark.parametrize(
    "function", [None, "", "arn:aws:lambda:*:123456789012:function:f", "arn:aws:iot:eu-west-1:1:x"]
)
def test_other_function_arn_is_refused(function: object) -> None:
    with pytest.raises(PolicyError, match="invoked_function_arn"):
        iot_arn(function)
