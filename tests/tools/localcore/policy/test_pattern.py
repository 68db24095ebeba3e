"""Wildcards, escapes and variables of AWS IoT policies."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mqtt443_tools.localcore.localcore_errors import PolicyError
from mqtt443_tools.localcore.policy.pattern import Pattern, Wildcard, glob_matches


def matches(pattern: str, text: str, **variables: str) -> bool:
    return Pattern.parse(pattern).matches(text, variables)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("a/*", "a/"),
        ("a/*", "a/b/c"),
        ("*", ""),
        ("a/?/c", "a/b/c"),
        ("a*c*e", "abcde"),
        ("a/+/#", "a/+/#"),
        ("a**b", "ab"),
        ("arn:aws:iot:*:topic/x", "arn:aws:iot:eu-west-1:123456789012:topic/x"),
        ("a/${*}", "a/*"),
        ("a/${?}${$}", "a/?$"),
        ("a/$b", "a/$b"),
    ],
)
def test_pattern_matches(pattern: str, text: str) -> None:
    assert matches(pattern, text)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("a/*", "a"),
        ("a/?", "a/"),
        ("a/?", "a/bc"),
        ("a/+/c", "a/b/c"),
        ("a/#", "a/b"),
        ("A", "a"),
        ("a", "a/b"),
        ("*a", "ab"),
        ("a/${*}", "a/b"),
        ("a/${?}", "a/b"),
        ("", "a"),
    ],
)
def test_pattern_does_not_match(pattern: str, text: str) -> None:
    assert not matches(pattern, text)


def test_value_of_a_variable_is_literal() -> None:
    pattern = Pattern.parse("topic/${iot:ClientId}/*")
    assert pattern.variables == {"iot:clientid"}
    assert pattern.matches("topic/dev/x", {"iot:clientid": "dev"})
    assert pattern.matches("topic/*/x", {"iot:clientid": "*"})
    assert not pattern.matches("topic/dev/x", {"iot:clientid": "*"})
    assert not pattern.matches("topic/dev/x", {"iot:clientid": "de?"})
    assert pattern.matches("topic/${*}/x", {"iot:clientid": "${*}"})


def test_without_wildcards_star_is_a_star() -> None:
    pattern = Pattern.parse("a*", wildcards=False)
    assert pattern.matches("a*", {})
    assert not pattern.matches("ab", {})


@pytest.mark.parametrize("text", ["a/${", "${iot:ClientId", "${}", "a${\n}"])
def test_broken_variable_is_refused(text: str) -> None:
    with pytest.raises(PolicyError):
        Pattern.parse(text)


class CountedText(str):
    """Text that counts how often one of its characters is looked at."""

    looks = 0

    def __getitem__(self, at: object) -> str:
        CountedText.looks += 1
        return str.__getitem__(self, at)  # type: ignore[index]


def test_work_stays_within_pattern_times_text() -> None:
    pattern: list[str | Wildcard] = [*(Wildcard.ANY, "a") * 200, "b"]
    text = CountedText("a" * 400)
    CountedText.looks = 0
    assert not glob_matches(pattern, text)
    assert 0 < CountedText.looks <= len(pattern) * len(text)


TOKENS = ["a", "b", "/", "+", "#", "$", "*", "?", "${*}", "${?}", "${$}", "${iot:ClientId}"]
CHARACTERS = "ab/+#$*?{}"


def reference(tokens: list[str], text: str, client_id: str) -> bool:
    """A plain translation into a regular expression, token by token."""
    regex = ""
    for token in tokens:
        match token:
            case "*":
                regex += ".*"
            case "?":
                regex += "."
            case "${iot:ClientId}":
                regex += re.escape(client_id)
            case _:
                regex += re.escape(token[2:-1] if token.startswith("${") else token)
    return re.fullmatch(regex, text, re.DOTALL) is not None


@settings(deadline=None)
@given(
    tokens=st.lists(st.sampled_from(TOKENS), max_size=7),
    text=st.text(CHARACTERS, max_size=8),
    client_id=st.text(CHARACTERS, max_size=3),
)
def test_agrees_with_a_plain_reference(tokens: list[str], text: str, client_id: str) -> None:
    pattern = Pattern.parse("".join(tokens))
    assert pattern.matches(text, {"iot:clientid": client_id}) is reference(tokens, text, client_id)


@settings(deadline=None)
@given(tokens=st.lists(st.sampled_from(TOKENS), max_size=7), client_id=st.text(CHARACTERS, max_size=3), data=st.data())
def test_text_made_from_the_pattern_matches(tokens: list[str], client_id: str, data: st.DataObject) -> None:
    text = ""
    for token in tokens:
        match token:
            case "*":
                text += data.draw(st.text(CHARACTERS, max_size=4))
            case "?":
                text += data.draw(st.sampled_from(CHARACTERS))
            case "${iot:ClientId}":
                text += client_id
            case _:
                text += token[2:-1] if token.startswith("${") else token
    assert Pattern.parse("".join(tokens)).matches(text, {"iot:clientid": client_id})


@settings(deadline=None)
@given(st.text("ab${}*?:", max_size=20))
def test_any_text_parses_or_is_refused(text: str) -> None:
    try:
        pattern = Pattern.parse(text)
    except PolicyError:
        assert "${" in text
        return
    assert isinstance(pattern.matches(text, dict.fromkeys(pattern.variables, "x")), bool)
