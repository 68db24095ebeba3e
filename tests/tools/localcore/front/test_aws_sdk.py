"""The official AWS IoT Device SDK for Python, both of its custom authorizer builders.

The builder for direct MQTT sets port 443, whatever it is given. Its documented way around is an HTTP proxy: one that
runs here opens the tunnel to the endpoint's port. TLS, SNI, ALPN and MQTT are the SDK's own, from end to end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import pytest
from awscrt import http, mqtt
from awscrt.exceptions import AwsCrtError
from awsiot import mqtt_connection_builder as builder

from tests.support.mqtt.client import RawClient, client_publish
from tests.support.mqtt.endpoint import RunningCore
from tests.support.mqtt.tunnel import Tunnel

WAIT_S = 20.0
CLIENT_ID, PASSWORD = "sdk-1", "p@ss word"
TOPIC = f"telemetry/{CLIENT_ID}"


@contextmanager
def connected(connection: mqtt.Connection) -> Iterator[mqtt.Connection]:
    result(connection.connect())
    try:
        yield connection
    finally:
        result(connection.disconnect())


def result(future: Future[Any]) -> Any:
    return future.result(WAIT_S)


@pytest.fixture
def registered(core: RunningCore) -> RunningCore:
    core.add_device(CLIENT_ID, password=PASSWORD)
    return core


@pytest.fixture
def tunnel(registered: RunningCore) -> Iterator[Tunnel]:
    tunnel = Tunnel(registered.port)
    yield tunnel
    tunnel.close()


@pytest.fixture(params=["direct", "websockets"])
def connect(request: pytest.FixtureRequest, registered: RunningCore, tunnel: Tunnel) -> Callable[..., mqtt.Connection]:
    """Make a connection with one of the two builders."""

    def make(password: str = PASSWORD, **options: Any) -> mqtt.Connection:
        options = {
            "endpoint": registered.host,
            "client_id": CLIENT_ID,
            "ca_filepath": str(registered.ca),
            "auth_username": CLIENT_ID,
            "auth_password": password,
            "clean_session": True,
            **options,
        }
        if request.param == "websockets":
            return builder.websockets_with_custom_authorizer(port=registered.port, **options)
        proxy = http.HttpProxyOptions("127.0.0.1", tunnel.port)
        return builder.direct_with_custom_authorizer(http_proxy_options=proxy, **options)

    make.protocol = request.param  # type: ignore[attr-defined]
    return make


def test_sdk_connects_and_publishes(
    registered: RunningCore, connect: Callable[..., mqtt.Connection], tunnel: Tunnel
) -> None:
    with connected(connect()) as connection:
        future, _ = connection.publish(TOPIC, b"from the SDK", mqtt.QoS.AT_LEAST_ONCE)
        result(future)
        message = registered.next_message()
    assert (message.topic, message.payload, message.client_id) == (TOPIC, b"from the SDK", CLIENT_ID)
    protocol = {"direct": "MQTT, ", "websockets": "MQTT over WebSocket, "}[connect.protocol]  # type: ignore[attr-defined]
    assert registered.next_event("accepted").detail.startswith(protocol)
    assert tunnel.asked == (["CONNECT localhost:443 HTTP/1.1"] if protocol == "MQTT, " else [])


def test_sdk_names_an_authorizer(registered: RunningCore, connect: Callable[..., mqtt.Connection]) -> None:
    with connected(connect(auth_authorizer_name="mqtt443")):
        assert "authorizer mqtt443" in registered.next_event("accepted").detail


def test_sdk_gets_its_commands(registered: RunningCore, connect: Callable[..., mqtt.Connection]) -> None:
    arrived: Future[tuple[str, bytes]] = Future()
    topic = f"commands/{CLIENT_ID}"
    registered.add_device("commander", password=PASSWORD, publish=[topic])
    with connected(connect()) as connection:
        future, _ = connection.subscribe(
            topic, mqtt.QoS.AT_LEAST_ONCE, lambda topic, payload, **_: arrived.set_result((topic, payload))
        )
        assert result(future)["qos"] == mqtt.QoS.AT_LEAST_ONCE
        with RawClient(registered) as commander:
            commander.connect("commander", PASSWORD)
            commander.send(client_publish(topic, b"blink", 1))
            assert result(arrived) == (topic, b"blink")


def test_sdk_sees_a_hang_up_where_it_is_refused(
    registered: RunningCore, connect: Callable[..., mqtt.Connection]
) -> None:
    with pytest.raises(AwsCrtError, match=r"UNEXPECTED_HANGUP|SOCKET_CLOSED|CONNECTION_CLOSED"):
        result(connect(password="wrong").connect())
    assert registered.next_event("refused").reason == "NOT_AUTHENTICATED"
    assert registered.messages == []
