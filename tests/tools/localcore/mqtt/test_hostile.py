"""Any bytes, from clients of both versions: the connection ends in an orderly way or goes on, and others are served."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.mqtt.client import PINGREQ, Connack, client_connect, client_publish, client_subscribe, frame
from tests.support.mqtt.client5 import (
    Connack5,
    Disconnect5,
    connect5,
    disconnect5,
    puback5,
    publish5,
    subscribe5,
    unsubscribe5,
)
from tests.support.mqtt.engine import MakeEngine

FIRST_BYTES = [0x10, 0x30, 0x31, 0x32, 0x3A, 0x34, 0x40, 0x50, 0x62, 0x82, 0xA2, 0xC0, 0xE0, 0xF0, 0x00]
topics = st.sampled_from(["t", "", "a/+", "#", "$aws/x", "$share/g/t", "$share//t", "x" * 300, "telemetry/dev-1"])
PROPERTIES: list[dict[str, Any]] = [
    {},
    {"TopicAlias": 1},
    {"TopicAlias": 9},
    {"MessageExpiryInterval": 0},
    {"ContentType": "x" * 300},
    {"UserProperty": ("k", "v")},
]
found = st.sampled_from(PROPERTIES)
valid_5 = st.one_of(
    st.builds(lambda t, q, r, f: publish5(t, b"x", q, retain=r, **f), topics, st.integers(0, 2), st.booleans(), found),
    st.builds(lambda t, o: subscribe5((t, o)), topics, st.integers(0, 0x2F)),
    st.builds(unsubscribe5, topics),
    st.builds(puback5, st.integers(1, 3), st.sampled_from([None, 0, 0x80])),
    st.builds(disconnect5, st.sampled_from([None, 0, 4, 0x82])),
    st.just(PINGREQ),
)
valid_4 = st.one_of(
    st.builds(lambda t, q, r: client_publish(t, b"x", q, retain=r), topics, st.integers(0, 2), st.booleans()),
    st.builds(lambda t, q: client_subscribe((t, q)), topics, st.integers(0, 2)),
    st.just(PINGREQ),
)
broken = st.builds(frame, st.sampled_from(FIRST_BYTES), st.binary(max_size=40)) | st.binary(max_size=20)


@pytest.mark.parametrize("version", [4, 5])
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_hostile_bytes_end_their_own_connection_at_most(
    make_engine: MakeEngine, version: int, data: st.DataObject
) -> None:
    engine = make_engine()
    try:
        witness = engine.subscriber(("telemetry/#", 0), client_id="witness")
        connected = data.draw(st.booleans())
        client = engine.client(version)
        if connected:
            client.send(connect5() if version == 5 else client_connect())
        for packet in data.draw(st.lists(broken | (valid_5 if version == 5 else valid_4), max_size=8)):
            if client.closed:
                break
            client.send(packet)
        assert engine.log == [], "an error of the endpoint itself"
        assert ("closed", "SERVER_ERROR") not in engine.outcomes()
        received = client.take()
        check_answers(received, closed=client.closed, connected=connected, version=version)
        witness.take()
        engine.connected("other").send(client_publish("telemetry/x", b"still here"))
        assert witness.payloads() == [b"still here"]
    finally:
        engine.broker.close("SERVER_INITIATED_DISCONNECT", "the example ends")


def check_answers(received: list[Any], *, closed: bool, connected: bool, version: int) -> None:
    """A CONNACK comes first and once; a DISCONNECT comes last, only in MQTT 5, and means the end."""
    connacks = [packet for packet in received if isinstance(packet, (Connack, Connack5))]
    farewells = [packet for packet in received if isinstance(packet, Disconnect5)]
    assert len(connacks) <= 1
    if connected:
        assert received[0] in connacks
    if farewells:
        assert version == 5
        assert closed
        assert received[-1:] == farewells
