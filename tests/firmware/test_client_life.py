"""The life of a connection: keep alive, a peer that vanished, and the two ways to end it."""

from typing import Any

import pytest

from tests.firmware.clients import Opener, connected, settings
from tests.firmware.fakes import Ticks

from mqtt443 import errors  # isort: skip
from mqtt443.client import Client  # isort: skip


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


def test_ping_goes_out_at_half_the_keep_alive(ticks: Ticks) -> None:
    client, wire = connected(ticks=ticks, keepalive_s=60)
    assert client.keep_alive() == 30000
    ticks.now_ms = 29999
    assert client.keep_alive() == 1
    assert wire.writes == []
    ticks.now_ms = 30000
    client.keep_alive()
    assert wire.writes == [b"\xc0\x00"]


def test_answered_publish_puts_the_ping_off(ticks: Ticks) -> None:
    client, _ = connected(b"\x40\x02\x00\x01", ticks=ticks, keepalive_s=60)
    ticks.now_ms = 20000
    client.publish("t", "x", qos=1)
    ticks.now_ms = 49999
    assert client.keep_alive() == 1


def test_unanswered_publish_does_not_delay_the_ping(ticks: Ticks) -> None:
    client, wire = connected(ticks=ticks, keepalive_s=60)
    ticks.now_ms = 29999
    client.publish("t", "x")
    assert client.keep_alive() == 1
    ticks.now_ms = 30000
    client.keep_alive()
    assert wire.writes[-1] == b"\xc0\x00"


def test_missing_pingresp_means_that_the_peer_vanished(ticks: Ticks) -> None:
    client, _ = connected(ticks=ticks, keepalive_s=60, timeout_s=10)
    ticks.now_ms = 30000
    assert client.keep_alive() == 10000
    ticks.now_ms = 39999
    assert client.keep_alive() == 1
    ticks.now_ms = 40000
    with pytest.raises(errors.PeerVanished) as info:
        client.keep_alive()
    assert info.value.phase == "PINGRESP"


def test_dead_peer_is_detected_within_one_and_a_half_keep_alives(ticks: Ticks) -> None:
    client, _ = connected(ticks=ticks, keepalive_s=30, timeout_s=60)
    ticks.now_ms = 15000
    client.keep_alive()
    ticks.now_ms = 44999
    assert client.keep_alive() == 1
    ticks.now_ms = 45000
    with pytest.raises(errors.PeerVanished):
        client.keep_alive()


def test_pingresp_in_time_is_enough(ticks: Ticks) -> None:
    client, _ = connected(b"\xd0\x00", ticks=ticks, keepalive_s=60)
    ticks.now_ms = 30000
    client.keep_alive()
    client.check_msg()
    ticks.now_ms = 59999
    assert client.keep_alive() == 1


# The end.


def test_disconnect_says_goodbye_and_closes_once() -> None:
    client, wire = connected()
    client.disconnect()
    client.disconnect()
    assert (wire.writes, wire.closed) == ([b"\xe0\x00"], 1)


def test_close_says_nothing_so_the_will_is_sent() -> None:
    client, wire = connected()
    client.close()
    assert (wire.writes, wire.closed) == ([], 1)


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.publish("t", "x"),
        lambda c: c.unsubscribe("t"),
        lambda c: c.ping(),
        lambda c: c.wait(0),
        lambda c: c.check_msg(),
        lambda c: c.keep_alive(),
    ],
)
def test_nothing_works_without_a_connection(call: Any) -> None:
    with pytest.raises(errors.ConnectionLost, match="not connected"):
        call(Client(settings(), Opener()))
