"""The client on a connection with MQTT 5: refusals with their reason, and messages without their properties."""

import pytest

from tests.firmware.clients5 import connected
from tests.support.mqtt.answers import MQTT_5, disconnect, packet, puback, reason_string, suback, text

from mqtt443 import errors  # isort: skip


def test_puback_with_a_long_reason_is_that_of_its_message() -> None:
    client, _ = connected(puback(MQTT_5, b"\0\1", 0, reason_string("x" * 200)))
    client.publish("t", b"x", qos=1)


def test_refused_publish_raises_and_the_connection_goes_on() -> None:
    client, wire = connected(puback(MQTT_5, b"\0\1", 0x87, reason_string("iot:Publish")), puback(MQTT_5, b"\0\2"))
    with pytest.raises(errors.PublishRefused, match=r"refused: not authorized \(0x87\): iot:Publish\. Policy"):
        client.publish("t", "x", qos=1)
    client.publish("t", "x", qos=1)
    assert wire.closed == 0
    assert client.pending_acks == {}


def test_refusal_of_the_outer_publish_is_not_lost_in_a_callback() -> None:
    client, _ = connected(b"\x30\x05\0\1t\0x", b"\x40\x03\0\1\x87", puback(MQTT_5, b"\0\2"))
    client.set_callback(lambda *_: client.publish("inner", "x", qos=1))
    with pytest.raises(errors.PublishRefused):
        client.publish("outer", "x", qos=1)


def test_refusal_that_nobody_waits_for_goes_to_the_window() -> None:
    client, _ = connected(b"\x40\x03\0\7\x97", puback(MQTT_5, b"\0\x09"))
    came: list[tuple[int, int | None]] = []
    client.on_puback = lambda pid, refusal: came.append((pid, refusal.code if refusal else None))
    client.wait(0)
    assert came == [(7, 0x97), (9, None)]


def test_subscribe_and_unsubscribe_carry_no_properties() -> None:
    client, wire = connected(suback(MQTT_5, b"\0\1", 1), packet(0xB0, b"\0\2\0\0"))
    client.set_callback(print)
    assert client.subscribe("t", 1) == 1
    client.unsubscribe("t")
    assert wire.writes == [b"\x82\x07\0\1\0\0\1t\1", b"\xa2\x06\0\2\0\0\1t"]


def test_refused_subscription_says_why_and_the_connection_goes_on() -> None:
    client, wire = connected(suback(MQTT_5, b"\0\1", 0x87, reason_string("x" * 150)), suback(MQTT_5, b"\0\2", 0))
    client.set_callback(print)
    with pytest.raises(errors.SubscribeRefused, match=r"refused: not authorized \(0x87\): x+\. Policy lacks iot:Sub"):
        client.subscribe("t", 1)
    assert client.subscribe("t", 1) == 0
    assert wire.closed == 0


@pytest.mark.parametrize("body", [b"\0\1\0", b"\0\1\0\1\1", b"\0\1\0\x03", b"\0\1\5\1"])
def test_malformed_suback_is_named(body: bytes) -> None:
    client, _ = connected(packet(0x90, body))
    client.set_callback(print)
    with pytest.raises(errors.MalformedPacket):
        client.subscribe("t", 1)


def test_message_arrives_without_its_properties_and_is_acknowledged() -> None:
    body = b"\0\1t\0\7" + b"\x0e" + text(0x08, b"a/b") + text(0x09, b"corr7") + b'{"command": "report"}'
    client, wire = connected(packet(0x32, body))
    came: list[tuple[bytes, bytes]] = []
    client.set_callback(lambda topic, message: came.append((topic, message)))
    client.wait(0)
    assert came == [(b"t", b'{"command": "report"}')]
    assert wire.writes == [b"\x40\x02\0\7"]


def test_disconnect_of_the_server_names_its_reason() -> None:
    client, _ = connected(disconnect(0x8E))
    with pytest.raises(errors.ConnectionLost, match="another device connected with this client id"):
        client.wait(0)


def test_goodbye_is_the_shortest_disconnect() -> None:
    client, wire = connected()
    client.disconnect()
    assert wire.writes == [b"\xe0\0"]
