"""The AWS IoT Device SDK's MQTT 5 client, direct and over WebSocket, with a custom authorizer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import pytest
from awscrt import http, mqtt5
from awsiot import mqtt5_client_builder as builder

from tests.support.mqtt.endpoint import RunningCore
from tests.support.mqtt.tunnel import Tunnel

WAIT_S = 20.0
CLIENT_ID, PASSWORD = "sdk-5", "p@ss word"
TOPIC, COMMANDS = f"telemetry/{CLIENT_ID}", f"commands/{CLIENT_ID}"


class Sdk:
    """A client of the SDK and what it is told."""

    def __init__(self, core: RunningCore, tunnel: Tunnel, protocol: str, **options: Any) -> None:
        self.connected: Future[Any] = Future()
        self.refused: Future[Any] = Future()
        self.disconnected: Future[Any] = Future()
        self.stopped: Future[Any] = Future()
        self.received: Future[Any] = Future()
        username, password = options.pop("username", CLIENT_ID), options.pop("password", PASSWORD)
        common: dict[str, Any] = {
            "endpoint": core.host,
            "ca_filepath": str(core.ca),
            "auth_username": username,
            "auth_password": password,
            "connect_options": mqtt5.ConnectPacket(**{"client_id": CLIENT_ID, **options}),
            "on_lifecycle_connection_success": lambda data: settle(self.connected, data),
            "on_lifecycle_connection_failure": lambda data: settle(self.refused, data),
            "on_lifecycle_disconnection": lambda data: settle(self.disconnected, data),
            "on_lifecycle_stopped": lambda data: settle(self.stopped, data),
            "on_publish_received": lambda data: settle(self.received, data.publish_packet),
        }
        if protocol == "websockets":
            self.client = builder.websockets_with_custom_authorizer(port=core.port, **common)
        else:
            proxy = http.HttpProxyOptions("127.0.0.1", tunnel.port)
            self.client = builder.direct_with_custom_authorizer(http_proxy_options=proxy, **common)

    @contextmanager
    def running(self) -> Iterator[mqtt5.Client]:
        self.client.start()
        try:
            yield self.client
        finally:
            self.client.stop()
            result(self.stopped)


def settle(future: Future[Any], data: Any) -> None:
    """Keep the first of several results: the SDK connects again and again."""
    if not future.done():
        future.set_result(data)


def result(future: Future[Any]) -> Any:
    return future.result(WAIT_S)


@pytest.fixture
def tunnel(core: RunningCore) -> Iterator[Tunnel]:
    core.add_device(CLIENT_ID, password=PASSWORD)
    tunnel = Tunnel(core.port)
    yield tunnel
    tunnel.close()


@pytest.fixture(params=["direct", "websockets"])
def make(request: pytest.FixtureRequest, core: RunningCore, tunnel: Tunnel) -> Callable[..., Sdk]:
    """Makes a client by one of the two builders."""
    return lambda **options: Sdk(core, tunnel, request.param, **options)


def test_sdk_learns_the_capabilities_of_the_server(core: RunningCore, make: Callable[..., Sdk]) -> None:
    sdk = make(session_expiry_interval_sec=100_000, keep_alive_interval_sec=2000)
    with sdk.running():
        settings = result(sdk.connected).negotiated_settings
    assert settings.maximum_qos == mqtt5.QoS.AT_LEAST_ONCE
    assert settings.session_expiry_interval_sec == 3600
    assert settings.receive_maximum_from_server == 100
    assert settings.maximum_packet_size_to_server == 146 * 1024
    assert settings.topic_alias_maximum_to_server == 8
    assert settings.server_keep_alive_sec == 1200
    assert not settings.subscription_identifiers_available
    assert not settings.rejoined_session
    assert core.next_event("accepted").detail.startswith("MQTT 5")


def test_sdk_publishes_and_gets_a_command_with_its_properties(core: RunningCore, make: Callable[..., Sdk]) -> None:
    core.add_device("commander", password=PASSWORD, publish=[COMMANDS])
    sdk, commander = make(), make(client_id="commander", username="commander")
    with sdk.running() as client, commander.running() as other:
        subscribed = result(
            client.subscribe(mqtt5.SubscribePacket([mqtt5.Subscription(COMMANDS, mqtt5.QoS.AT_LEAST_ONCE)]))
        )
        assert subscribed.reason_codes == [mqtt5.SubackReasonCode.GRANTED_QOS_1]
        acknowledged = result(client.publish(mqtt5.PublishPacket(topic=TOPIC, payload=b"21", qos=1))).puback
        assert acknowledged.reason_code == mqtt5.PubackReasonCode.SUCCESS
        assert core.next_message().payload == b"21"
        result(
            other.publish(
                mqtt5.PublishPacket(
                    topic=COMMANDS,
                    payload=b"blink",
                    qos=1,
                    content_type="text/plain",
                    response_topic="answers/x",
                    correlation_data=b"7",
                    message_expiry_interval_sec=60,
                    user_properties=[mqtt5.UserProperty("a", "1")],
                )
            )
        )
        got = result(sdk.received)
        unsubscribed = result(client.unsubscribe(mqtt5.UnsubscribePacket([COMMANDS])))
        assert unsubscribed.reason_codes == [mqtt5.UnsubackReasonCode.SUCCESS]
    assert (got.topic, got.payload, got.content_type, got.response_topic) == (
        COMMANDS,
        b"blink",
        "text/plain",
        "answers/x",
    )
    assert got.correlation_data == "7"
    assert got.message_expiry_interval_sec <= 60
    assert [(one.name, one.value) for one in got.user_properties] == [("a", "1")]


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        ({"password": "wrong"}, "wrong password"),
        ({"username": "stranger"}, "unknown user name"),
        ({"client_id": "another"}, "the client id is not that of the user name"),
    ],
)
def test_sdk_learns_why_it_is_refused(
    core: RunningCore, make: Callable[..., Sdk], options: dict[str, str], cause: str
) -> None:
    sdk = make(**options)
    with sdk.running():
        connack = result(sdk.refused).connack_packet
    assert connack.reason_code == mqtt5.ConnectReasonCode.NOT_AUTHORIZED
    assert connack.reason_string == f"the authorizer refused (isAuthenticated false): {cause}"
    assert core.next_event("refused").reason == "NOT_AUTHENTICATED"


def test_sdk_learns_the_missing_permission(make: Callable[..., Sdk]) -> None:
    sdk = make()
    with sdk.running() as client:
        answer = result(client.publish(mqtt5.PublishPacket(topic="telemetry/other", payload=b"x", qos=1))).puback
        assert answer.reason_code == mqtt5.PubackReasonCode.NOT_AUTHORIZED
        assert "iot:Publish" in answer.reason_string
        assert "topic/telemetry/other" in answer.reason_string
        subscription = mqtt5.Subscription("commands/other", mqtt5.QoS.AT_MOST_ONCE)
        answer = result(client.subscribe(mqtt5.SubscribePacket([subscription])))
        assert answer.reason_codes == [mqtt5.SubackReasonCode.NOT_AUTHORIZED]
        assert "topicfilter/commands/other" in answer.reason_string
        client.publish(mqtt5.PublishPacket(topic="telemetry/other", payload=b"x", qos=0))
        farewell = result(sdk.disconnected).disconnect_packet
    assert farewell.reason_code == mqtt5.DisconnectReasonCode.NOT_AUTHORIZED
    assert "topic/telemetry/other" in farewell.reason_string


def test_sdk_learns_that_its_session_was_taken_over(make: Callable[..., Sdk]) -> None:
    old, new = make(), make()
    with old.running():
        result(old.connected)
        with new.running():
            result(new.connected)
            farewell = result(old.disconnected).disconnect_packet
            assert farewell.reason_code == mqtt5.DisconnectReasonCode.SESSION_TAKEN_OVER
            old.client.stop()
