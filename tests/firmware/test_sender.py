"""The sender: the window of QoS 1 messages, AWS's rate limit, and what is resent after a reconnect."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.firmware.sender_rig import Rig

from mqtt443 import errors  # isort: skip

DUP = 8


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Rig:
    return Rig()


def test_as_many_as_the_window_holds_leave_in_one_write(rig: Rig) -> None:
    rig.put("a", "b", "c", "d")
    rig.sender.pump()
    assert rig.sent() == [("a", 1, 0), ("b", 2, 0), ("c", 3, 0)]
    assert rig.client.flushes == 1
    rig.sender.pump()
    assert rig.sent() == []
    rig.client.on_puback(1)
    rig.sender.pump()
    assert rig.sent() == [("d", 4, 0)]
    assert rig.done == ["a"]


def test_pubacks_count_in_any_order_and_once(rig: Rig) -> None:
    rig.put("a", "b", "c")
    rig.sender.pump()
    for pid in (3, 3, 9, 1, 2, 2):
        rig.client.on_puback(pid)
    assert rig.done == ["c", "a", "b"]
    assert rig.outbox.empty()


@pytest.mark.parametrize(("session", "flags"), [(True, DUP), (False, 0)])
def test_unacknowledged_messages_are_resent_first_and_in_order(rig: Rig, session: bool, flags: int) -> None:
    rig.put("a", "b", "c", "d")
    rig.sender.pump()
    rig.client.on_puback(2)
    rig.sent()
    rig.sender.begin(session)
    rig.sender.pump()
    assert rig.sent() == [("a", 1, flags), ("c", 3, flags), ("d", 4, 0)]


def test_ctrl_c_in_the_middle_sends_nothing_twice(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    # The app still drains what is in flight before it disconnects.
    rig.put("a", "b", "c")
    take = rig.client.queue_publish

    def interrupted(topic: bytes, payload: bytes, pid: int, flags: int, expiry_s: int) -> None:
        take(topic, payload, pid, flags, expiry_s)
        if payload == b"b":
            raise KeyboardInterrupt

    monkeypatch.setattr(rig.client, "queue_publish", interrupted)
    with pytest.raises(KeyboardInterrupt):
        rig.sender.pump()
    rig.sender.pump()
    assert rig.sent() == [("a", 1, 0), ("b", 2, 0), ("c", 3, 0)]


def test_puback_from_before_the_reconnect_acknowledges_nothing(rig: Rig) -> None:
    rig.put("a")
    rig.sender.pump()
    rig.sender.begin(False)
    rig.client.on_puback(1)
    assert rig.done == []
    rig.sender.pump()
    rig.client.on_puback(1)
    assert rig.done == ["a"]


def test_what_was_never_taken_by_the_socket_goes_again(rig: Rig) -> None:
    rig.put("a", "b")
    rig.client.broken = True
    with pytest.raises(errors.ConnectionLost):
        rig.sender.pump()
    rig.client.broken = False
    rig.sender.begin(True)
    rig.sender.pump()
    assert [payload for payload, _, _ in rig.sent()] == ["a", "b"]


def test_overdue_puback_means_that_the_peer_vanished(rig: Rig) -> None:
    rig.put("a")
    assert rig.sender.pump() is None
    rig.ticks.now_ms += 14_999
    assert rig.sender.pump() == 1
    rig.ticks.now_ms += 1
    with pytest.raises(errors.PeerVanished) as info:
        rig.sender.pump()
    assert info.value.phase == "PUBACK"


def test_packet_identifiers_wrap_and_miss_those_in_flight(rig: Rig) -> None:
    rig.client.pid = 65534
    rig.put("a", "b", "c")
    rig.sender.pump()
    assert [pid for _, pid, _ in rig.sent()] == [65535, 1, 2]
    rig.client.on_puback(1)
    rig.client.pid = 65534
    rig.put("d")
    rig.sender.pump()
    assert rig.sent() == [("d", 1, 0)]


@given(st.integers(0, 2**32), st.integers(1, 300), st.sampled_from([0, 5, 60, 400]))
def test_arrival_rate_never_exceeds_100_publishes_a_second(seed: int, way: int, jitter: int) -> None:
    """The link takes `way` ms in each direction plus up to `jitter` ms, and keeps the order."""
    rig = Rig(window=100)
    dice = random.Random(seed)
    rig.put("first")
    rig.sender.pump()
    rig.ticks.now_ms += 2 * way
    rig.client.on_puback(rig.sent()[0][1])
    rig.put(*map(str, range(400)))
    arrived: list[int] = [rig.ticks.now_ms - way]
    pubacks: list[tuple[int, int]] = []  # when it comes, packet identifier
    there = back = 0
    while not rig.outbox.empty():
        while pubacks and pubacks[0][0] <= rig.ticks.now_ms:
            rig.client.on_puback(pubacks.pop(0)[1])
        rig.sender.pump()
        for _, pid, _ in rig.sent():
            there = max(there, rig.ticks.now_ms + way + dice.randint(0, jitter))
            back = max(back, there + way + dice.randint(0, jitter))
            arrived.append(there)
            pubacks.append((back, pid))
        rig.ticks.now_ms += dice.choice([1, 1, 7, 20])
    assert all(b - a >= 1000 for a, b in zip(arrived, arrived[100:], strict=False))
    assert len(arrived) == 401


def test_on_a_steady_link_a_second_begins_when_it_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(window=100)
    rig.put(*map(str, range(101)))
    rig.sender.pump()
    first = rig.sent()
    assert len(first) == 100
    rig.ticks.now_ms += 200
    for _, pid, _ in first:
        rig.client.on_puback(pid)
    assert rig.sender.pump() == 805
    rig.ticks.now_ms += 805
    rig.sender.pump()
    assert len(rig.sent()) == 1


def test_wrapped_tick_counter_does_not_delay_after_days() -> None:
    period_ms = 2**30  # where the counter of an ESP32 wraps
    rig = Rig()
    rig.ticks.now_ms = (rig.ticks.now_ms + 9 * 86_400_000) % period_ms
    rig.put("a")
    rig.sender.pump()
    assert len(rig.sent()) == 1


def test_qos_0_is_done_when_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(qos=0)
    rig.put("a", "b", "c", "d", "e")
    rig.sender.pump()
    rig.sender.pump()
    assert [(payload, pid) for payload, pid, _ in rig.sent()] == [(payload, 0) for payload in "abcde"]
    assert rig.done == list("abcde")
    assert rig.outbox.empty()


@given(st.lists(st.sampled_from(["put", "pump", "ack first", "ack last", "drop", "drop, session kept"]), max_size=60))
def test_every_message_is_done_once_and_sent_at_least_once(steps: list[str]) -> None:
    rig = Rig()
    count, pending = 0, []
    for step in [*steps, *["drop", *["pump", "ack first"] * 70]]:
        if step == "put":
            rig.put(str(count))
            count += 1
        elif step == "pump":
            rig.sender.pump()
            pending += [pid for _, pid, _ in rig.sent()]
        elif step.startswith("ack"):
            if pending:
                rig.client.on_puback(pending.pop(0 if step == "ack first" else -1))
        else:
            rig.sender.begin(step == "drop, session kept")
            pending.clear()
        rig.ticks.now_ms += 10
    assert sorted(map(int, rig.done)) == list(range(count))
