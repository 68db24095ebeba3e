"""MQTT over WebSocket over real TLS: upgrade, credentials on both channels, framing, goodbye."""

from __future__ import annotations

from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from tests.support.mqtt.client import (
    PINGREQ,
    Connack,
    Inbox,
    Pingresp,
    RawClient,
    client_connect,
    client_publish,
)
from tests.support.mqtt.endpoint import RunningCore
from tests.support.mqtt.engine import InProcessFunction


def open_websocket(core: RunningCore, **options: Any) -> Any:
    options = {"subprotocols": [Subprotocol("mqtt")], "path": "/mqtt", **options}
    uri = f"wss://{core.host}:{core.port}{options.pop('path')}"
    return connect(uri, ssl=core.tls_context(), proxy=None, compression=None, **options)


def test_credentials_in_connect_and_in_the_upgrade_reach_the_authorizer(
    scripted: RunningCore, function: InProcessFunction
) -> None:
    with open_websocket(scripted, path="/mqtt?token=t1", additional_headers={"X-Token": "t2"}) as websocket:
        assert websocket.subprotocol == "mqtt"
        websocket.send(client_connect("dev-1", "user", b"pass"))
        assert Inbox().feed(websocket.recv(20)) == [Connack(0)]
    (event,) = function.events
    assert event["protocols"] == ["tls", "http", "mqtt"]
    assert event["protocolData"]["http"]["queryString"] == "?token=t1"
    assert event["protocolData"]["http"]["headers"]["X-Token"] == "t2"
    assert event["protocolData"]["mqtt"]["username"] == "user"


def test_packets_split_over_frames_or_sharing_one_are_taken(scripted: RunningCore) -> None:
    data = client_connect("dev-1") + PINGREQ
    with open_websocket(scripted) as websocket:
        for byte in data[:-1]:
            websocket.send(bytes([byte]))
        websocket.send(data[-1:] + client_publish("t", b"1") + client_publish("t", b"2"))
        inbox = Inbox()
        received = inbox.feed(websocket.recv(20)) + inbox.feed(websocket.recv(20))
    assert received == [Connack(0), Pingresp()]
    assert [scripted.next_message().payload, scripted.next_message().payload] == [b"1", b"2"]


def test_mqtt_right_behind_the_upgrade_request_is_taken(scripted: RunningCore) -> None:
    head = (
        b"GET /mqtt HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Protocol: mqtt\r\n\r\n"
    )
    packet = client_connect("dev-1")
    with RawClient(scripted, alpn=[]) as client:
        client.send(head + bytes([0x82, 0x80 | len(packet)]) + bytes(4) + packet)
        answer = client.read()
        while not answer.endswith(b"\x82\x04\x20\x02\x00\x00"):
            more = client.read()
            assert more, f"closed after {answer!r}"
            answer += more
    assert answer.startswith(b"HTTP/1.1 101 ")


def test_refused_connect_comes_after_101_and_closes(scripted: RunningCore, function: InProcessFunction) -> None:
    function.refuse()
    with open_websocket(scripted) as websocket:
        websocket.send(client_connect("dev-1"))
        with pytest.raises(ConnectionClosed):
            websocket.recv(20)
    assert scripted.next_event("refused").reason == "NOT_AUTHENTICATED"


def test_text_frame_closes(scripted: RunningCore) -> None:
    with open_websocket(scripted) as websocket:
        websocket.send("mqtt")
        with pytest.raises(ConnectionClosed):
            websocket.recv(20)
    assert "[MQTT-6.0.0-1]" in scripted.next_event("refused").detail


@pytest.mark.parametrize("says_goodbye", [True, False])
def test_websocket_close_counts_as_disconnect_and_sends_no_will(scripted: RunningCore, says_goodbye: bool) -> None:
    with open_websocket(scripted) as websocket:
        websocket.send(client_connect("dev-1", will=("last", b"words", 0, False)))
        websocket.recv(20)
        if not says_goodbye:
            websocket.socket.close()
    event = scripted.next_event("closed")
    assert event.reason == ("CLIENT_INITIATED_DISCONNECT" if says_goodbye else "CONNECTION_LOST")
    scripted.stop()
    assert [message.payload for message in scripted.messages] == ([] if says_goodbye else [b"words"])


@pytest.mark.parametrize("subprotocols", [None, [Subprotocol("mqttv3.1")]])
def test_subprotocol_mqtt_is_required(scripted: RunningCore, subprotocols: Any) -> None:
    with pytest.raises(InvalidStatus) as caught:
        open_websocket(scripted, subprotocols=subprotocols)
    assert caught.value.response.status_code == 400


def test_another_path_has_no_websocket(scripted: RunningCore) -> None:
    with pytest.raises(InvalidStatus) as caught:
        open_websocket(scripted, path="/")
    assert caught.value.response.status_code == 404
