"""The sender with MQTT 5: refused readings, what the server allows, and how long it may keep a reading."""

import pytest

from tests.firmware.sender_rig import Rig

from mqtt443 import errors  # isort: skip


@pytest.fixture
def rig() -> Rig:
    return Rig()


def refused() -> errors.PublishRefused:
    return errors.PublishRefused("refused: not authorized (0x87)", code=0x87)


def test_refused_message_leaves_the_queue_and_is_told(rig: Rig) -> None:
    rig.put("a", "b", "c", "d")
    rig.sender.pump()
    rig.client.on_puback(1, refused())
    rig.client.on_puback(2)
    assert (rig.done, rig.refused) == (["b"], [("a", 0x87)])
    rig.sender.pump()
    assert [payload for payload, _, _ in rig.sent()] == ["a", "b", "c", "d"]


def test_receive_maximum_of_the_server_bounds_the_window(rig: Rig) -> None:
    rig.client.receive_maximum = 2
    rig.sender.begin(False)
    rig.put("a", "b", "c")
    rig.sender.pump()
    assert [payload for payload, _, _ in rig.sent()] == ["a", "b"]


def test_smaller_receive_maximum_after_a_reconnect_bounds_what_is_resent(rig: Rig) -> None:
    rig.put("a", "b", "c", "d")
    rig.sender.pump()
    rig.sent()
    rig.client.receive_maximum = 1
    rig.sender.begin(True)
    order = []
    for _ in range(4):
        rig.sender.pump()
        ((payload, pid, _),) = rig.sent()
        order.append(payload)
        rig.client.on_puback(pid)
    assert order == rig.done == ["a", "b", "c", "d"]


def test_maximum_qos_0_makes_readings_qos_0_until_a_server_allows_more(rig: Rig) -> None:
    rig.put("a")
    rig.sender.pump()
    rig.sent()
    rig.client.max_qos = 0
    rig.sender.begin(True)
    rig.put("b")
    rig.sender.pump()
    assert rig.sent() == [("a", 0, 0), ("b", 0, 0)]
    assert rig.done == ["a", "b"]
    rig.client.max_qos = 1
    rig.sender.begin(False)
    rig.put("c")
    rig.sender.pump()
    assert rig.sent() == [("c", 2, 0)]


def test_message_that_the_server_finds_too_large_counts_as_refused_and_blocks_nothing(rig: Rig) -> None:
    rig.client.most = 10
    rig.put("x" * 20, "a", "y" * 20, "b")
    rig.sender.pump()
    assert [payload for payload, _, _ in rig.sent()] == ["a", "b"]
    assert rig.refused == [("x" * 20, 0x95), ("y" * 20, 0x95)]


@pytest.mark.parametrize(
    ("ttl_s", "waited_s", "expiry_s"), [(0, 0, 0), (60, 0, 60), (60, 25, 35), (60, 59, 1), (31536000, 0, 604800)]
)
def test_rest_of_the_time_to_live_is_the_message_expiry(rig: Rig, ttl_s: int, waited_s: int, expiry_s: int) -> None:
    now = [1_800_000_000]
    rig.outbox.now = lambda: now[0]
    rig.outbox.put(b"a", ttl_s)
    now[0] += waited_s
    rig.sender.pump()
    assert rig.client.expiries == [expiry_s]


def test_message_in_flight_past_its_time_to_live_expires_in_a_second(rig: Rig) -> None:
    now = [1_800_000_000]
    rig.outbox.now = lambda: now[0]
    rig.outbox.put(b"a", 60)
    rig.sender.pump()
    now[0] += 100
    rig.sender.begin(True)
    rig.sender.pump()
    assert rig.client.expiries == [60, 1]
