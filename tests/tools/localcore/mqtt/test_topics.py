"""Topic names and filters, against a reference that is written in another way."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from mqtt443_tools.localcore.localcore_errors import TopicError
from mqtt443_tools.localcore.mqtt.topics import check_filter, check_topic, is_basic_ingest, matches

levels = st.sampled_from(["", "a", "b", "$x", "a b"])
topics = st.lists(levels, min_size=1, max_size=4).map("/".join).filter(bool)
filters = st.builds(
    lambda parts, end: "/".join([*parts, *end]),
    st.lists(levels | st.just("+"), max_size=3),
    st.sampled_from([["#"], ["+"], ["a"], [""]]),
).filter(bool)


def reference(topic_filter: str, topic: str) -> bool:
    """The standard's words and AWS's exception as a regular expression."""
    if topic.startswith("$") and re.match(r"[+#]", topic_filter):
        return False
    pattern = re.escape(topic_filter).replace(r"\+", "[^/]*").replace(r"\#", ".*").replace("#", ".*")
    return re.fullmatch(pattern, topic, re.DOTALL) is not None


@settings(max_examples=500)
@given(filters, topics)
@example("a/#", "a")
@example("#", "$x/a")
@example("+/a", "$x/a")
@example("/+", "/")
def test_matching_agrees_with_the_reference(topic_filter: str, topic: str) -> None:
    check_filter(topic_filter)
    assert matches(topic_filter, topic) == reference(topic_filter, topic)


@pytest.mark.parametrize(
    ("topic_filter", "topic", "expected"),
    [
        ("a/#", "a", False),  # AWS, other than the standard
        ("a/#", "a/", True),
        ("a/#", "a/b/c", True),
        ("#", "a", True),
        ("#", "$aws/x", False),  # [MQTT-4.7.2-1]
        ("$aws/#", "$aws/x", True),
        ("+", "a", True),
        ("+", "/a", False),
        ("+/+", "/a", True),
        ("a/+", "a", False),
        ("A", "a", False),
        ("telemetry/+", "telemetry/myClientName", True),
    ],
)
def test_matching_by_example(topic_filter: str, topic: str, expected: bool) -> None:
    assert matches(topic_filter, topic) is expected


@pytest.mark.parametrize(
    "topic", ["a", "/", "a/b/c/d/e/f/g/h", "x" * 256, "é" * 128, "a b", "$aws/rules/r/" + "a/" * 7]
)
def test_topic_within_the_limits_is_taken(topic: str) -> None:
    check_topic(topic)


@pytest.mark.parametrize(
    ("topic", "problem"),
    [
        ("", "empty"),
        ("a/+", "3.3.2-2"),
        ("#", "3.3.2-2"),
        ("a\0", "U+0000"),
        ("x" * 257, "257 bytes"),
        ("é" * 129, "258 bytes"),
        ("/" * 8, "8 slashes"),
        ("$aws/rules/r/" + "a/" * 8, "8 slashes"),
    ],
)
def test_topic_beyond_them_is_refused(topic: str, problem: str) -> None:
    with pytest.raises(TopicError, match=re.escape(problem)):
        check_topic(topic)


@pytest.mark.parametrize("topic_filter", ["a#", "#/a", "a/#/b", "##", "a/b+", "++", "+a/b", ""])
def test_wildcard_in_the_wrong_place_is_refused(topic_filter: str) -> None:
    with pytest.raises(TopicError):
        check_filter(topic_filter)


def test_basic_ingest_needs_a_rule_and_a_topic() -> None:
    assert is_basic_ingest("$aws/rules/rule/telemetry/x")
    assert not is_basic_ingest("$aws/rules/rule")
    assert not is_basic_ingest("$aws/rules/rule/")
    assert not is_basic_ingest("$aws/things/x/shadow")
