"""Wills of MQTT 5: their properties, their delay, and the end of their session."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.mqtt.client5 import connect5
from tests.support.mqtt.engine import Engine


def test_will_carries_its_properties_and_its_life_begins_when_it_is_sent(engine: Engine) -> None:
    watcher = engine.subscriber5(("last/words", 1), client_id="watcher", keep_alive_s=1200)
    found = {"ContentType": "text/plain", "UserProperty": [("a", "1")], "MessageExpiryInterval": 60}
    dying = engine.connected5(will=("last/words", b"bye", 1, False), will_found=found, keep_alive_s=1200)
    engine.advance(100)
    dying.vanish()
    (got,) = watcher.take(1)
    assert got.found == found


def test_will_waits_for_its_delay_and_is_called_off_by_a_return(engine: Engine) -> None:
    will: dict[str, Any] = {"will": ("last/words", b"bye", 1, False), "will_found": {"WillDelayInterval": 30}}
    engine.connected5(SessionExpiryInterval=600, **will).vanish()
    engine.advance(29)
    assert engine.payloads() == []
    again = engine.client(5)
    again.send(connect5(clean=False, SessionExpiryInterval=600, **will))
    engine.advance(10)
    assert engine.payloads() == []
    again.vanish()
    engine.advance(30)
    assert engine.payloads() == [b"bye"]


@pytest.mark.parametrize("expiry_s", [0, 20])
def test_will_is_sent_with_the_end_of_its_session_at_the_latest(engine: Engine, expiry_s: int) -> None:
    will: dict[str, Any] = {"will": ("last/words", b"bye", 1, False), "will_found": {"WillDelayInterval": 30}}
    engine.connected5(SessionExpiryInterval=expiry_s, **will).vanish()
    engine.advance(expiry_s)
    assert engine.payloads() == [b"bye"]


def test_clean_start_ends_the_session_and_sends_the_will_that_waits(engine: Engine) -> None:
    will: dict[str, Any] = {"will": ("last/words", b"bye", 1, False), "will_found": {"WillDelayInterval": 30}}
    engine.connected5(SessionExpiryInterval=600, **will).vanish()
    engine.connected5()
    assert engine.payloads() == [b"bye"]
