"""The tree of subscriptions: it matches as the rule for one filter does, and its cost does not grow with sessions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mqtt443_tools.localcore.localcore_errors import TopicError
from mqtt443_tools.localcore.mqtt.session import Session
from mqtt443_tools.localcore.mqtt.subscriptions import Subscriptions
from mqtt443_tools.localcore.mqtt.topics import check_filter, matches

LEVEL = st.sampled_from(["", "a", "b", "$a", "+", "#"])
FILTERS = st.lists(LEVEL, min_size=1, max_size=4).map("/".join)
TOPICS = st.lists(st.sampled_from(["", "a", "b", "$a"]), min_size=1, max_size=4).map("/".join).filter(bool)


def valid(topic_filter: str) -> bool:
    try:
        check_filter(topic_filter)
    except TopicError:
        return False
    return True


@given(
    st.lists(st.tuples(st.sampled_from(["s1", "s2", "s3"]), FILTERS.filter(valid), st.integers(0, 1), st.booleans())),
    TOPICS,
)
def test_tree_matches_the_same_as_each_filter_alone(steps: list[tuple[str, str, int, bool]], topic: str) -> None:
    tree: Subscriptions[Session] = Subscriptions()
    sessions = {name: Session(name, expiry_s=0) for name in ("s1", "s2", "s3")}
    for name, topic_filter, qos, stays in steps:
        tree.add(sessions[name], topic_filter, qos)
        if not stays:
            tree.remove(sessions[name], topic_filter)
    expected = {}
    for name, session in sessions.items():
        granted = [qos for topic_filter, qos in session.subscriptions.items() if matches(topic_filter, topic)]
        if granted:
            expected[name] = max(granted)
    found = tree.match(topic)
    assert {session.client_id: qos for session, qos in found} == expected
    assert len(found) == len(expected), "a session was found twice"


def test_removing_every_subscription_leaves_an_empty_tree() -> None:
    tree: Subscriptions[Session] = Subscriptions()
    session = Session("s", expiry_s=0)
    for topic_filter in ("a/b/c", "a/b", "a/+/c", "#"):
        tree.add(session, topic_filter, 1)
    tree.remove(session, "no/such")
    tree.remove_all(session)
    assert session.subscriptions == {}
    assert (tree._root.children, tree._root.subscribers) == ({}, {})


@pytest.mark.parametrize("sessions", [10, 1000])
def test_cost_of_a_match_does_not_grow_with_sessions(sessions: int) -> None:
    tree: Subscriptions[Session] = Subscriptions()
    for number in range(sessions):
        tree.add(Session(f"d{number}", expiry_s=0), f"commands/d{number}", 1)
    tree.add(Session("watcher", expiry_s=0), "telemetry/#", 0)
    found = tree.match("telemetry/d5")
    assert [session.client_id for session, _ in found] == ["watcher"]
    assert tree.visited == 2
