"""Shadows through real connections: raw MQTT, HTTP, the control channel, and the AWS IoT Device SDK."""

from __future__ import annotations

import base64
import http.client
import json
import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from awscrt import http as crt_http
from awscrt import mqtt5
from awscrt.mqtt_request_response import ClientOptions, SubscriptionStatusEventType
from awsiot import ServiceStreamOptions, V2ServiceException, iotshadow, mqtt5_client_builder, mqtt_connection_builder
from mqtt443_tools.localcore.auth.account import DEVICES_FILE
from mqtt443_tools.localcore.auth.authorizer import Authorizer
from mqtt443_tools.localcore.control.control_client import ControlClient, IotRefused
from mqtt443_tools.localcore.function.runtime import LambdaFunction
from mqtt443_tools.support.paths import ROOT

from tests.support.mqtt.client import Got, Puback, RawClient, Suback, client_publish, client_subscribe
from tests.support.mqtt.endpoint import RunningCore
from tests.support.mqtt.tunnel import Tunnel

THING, PASSWORD, WAIT_S = "dev-1", "p@ss word", 20.0
BASE = f"$aws/things/{THING}/shadow"
UPDATE = json.dumps({"state": {"desired": {"on": True}}, "clientToken": "t"}).encode()


OWN, SHARED = "$aws/things/<client_id>/shadow/*", "$aws/things/*/shadow/update"
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": action, "Resource": [f"<arn>:{resource}" for resource in resources]}
        for action, resources in {
            "iot:Connect": ["client/<client_id>"],
            "iot:Publish": ["topic/telemetry/<client_id>", f"topic/{OWN}", f"topic/{SHARED}"],
            "iot:Subscribe": [f"topicfilter/{OWN}", f"topicfilter/{SHARED}/*"],
            "iot:Receive": [f"topic/{OWN}", f"topic/{SHARED}/accepted", f"topic/{SHARED}/documents"],
        }.items()
    ],
}
"""A device may use its own shadows; every device may update the classic shadow of another, and watch that."""


@contextmanager
def running(folder: Path) -> Iterator[RunningCore]:
    policy = folder / "policy.json"
    policy.write_text(json.dumps(POLICY))
    state = folder / "state"
    function = LambdaFunction(
        ROOT / "authorizer",
        "mqtt443_authorizer.handler.handler",
        environment={"MQTT443_STORE": f"sqlite:{state / DEVICES_FILE}", "MQTT443_POLICY": str(policy)},
        name="shadows",
        region="eu-west-1",
        account="123456789012",
        on_log=print,
    )
    with RunningCore(state, authorizers=[Authorizer("shadows", function)]) as core:
        yield core


@pytest.fixture
def registered(tmp_path: Path) -> Iterator[RunningCore]:
    with running(tmp_path) as core:
        for name in (THING, "app"):
            core.add_device(name, password=PASSWORD)
        yield core


@contextmanager
def subscribed(core: RunningCore, topic_filter: str, client_id: str = THING) -> Iterator[RawClient]:
    with RawClient(core) as client:
        client.connect(client_id, PASSWORD)
        client.send(client_subscribe((topic_filter, 0)))
        assert client.receive() == Suback(1, (0,))
        yield client


def told(client: RawClient, count: int) -> dict[str, Any]:
    """The next messages by the topic behind the shadow's prefix."""
    found = [client.receive() for _ in range(count)]
    assert all(isinstance(each, Got) for each in found), found
    return {each.topic.removeprefix(f"{BASE}/"): json.loads(each.payload or b"null") for each in found}  # type: ignore[union-attr]


def test_app_changes_a_shadow_and_the_device_is_notified(registered: RunningCore) -> None:
    with subscribed(registered, f"{BASE}/#") as device, subscribed(registered, f"{BASE}/update/+", "app") as app:
        app.send(client_publish(f"{BASE}/update", UPDATE, 1))
        assert app.receive() == Puback(1)  # before the answers
        assert sorted(told(app, 2)) == ["update/accepted", "update/documents"]
        dropped = registered.next_event("dropped", "AUTHORIZATION_FAILURE")
        assert dropped.detail.startswith("no statement allows iot:Receive") and "/update/delta" in dropped.detail
        seen = told(device, 4)
        assert sorted(seen) == ["update", "update/accepted", "update/delta", "update/documents"]
        assert seen["update"] == json.loads(UPDATE)
        assert seen["update/delta"]["state"] == {"on": True}
        device.send(client_publish(f"{BASE}/update", b'{"state":{"reported":{"on":true}}}'))
        assert sorted(told(device, 3)) == ["update", "update/accepted", "update/documents"]
        device.send(client_publish(f"{BASE}/get"))
        assert told(device, 2)["get/accepted"]["state"] == {"desired": {"on": True}, "reported": {"on": True}}


def test_answer_goes_to_subscribers_alone(registered: RunningCore) -> None:
    with RawClient(registered) as device:
        device.connect(THING, PASSWORD)
        device.send(client_publish(f"{BASE}/get", b"", 1) + client_publish(f"telemetry/{THING}", b"x", 1, packet_id=2))
        assert (device.receive(), device.receive()) == (Puback(1), Puback(2))


def test_rejection_is_on_its_own_topic(registered: RunningCore) -> None:
    with subscribed(registered, f"{BASE}/name/config/update/rejected") as device:
        device.send(client_publish(f"{BASE}/name/config/update", b'{"state":{},"version":4,"clientToken":"t"}'))
        assert told(device, 1) == {
            "name/config/update/rejected": {"code": 409, "message": "Version conflict", "clientToken": "t"}
        }


@pytest.mark.parametrize(
    "packet",
    [
        client_publish(f"{BASE}/get", b""),
        client_publish(f"{BASE}/delete", b""),
        client_publish(f"{BASE}/name/config/update", UPDATE),
        client_subscribe((f"{BASE}/get/accepted", 0)),
        client_subscribe((f"{BASE}/#", 0)),
    ],
    ids=["get", "delete", "update", "get/accepted", "all"],
)
def test_policy_decides_who_uses_a_shadow(registered: RunningCore, packet: bytes) -> None:
    with subscribed(registered, f"{BASE}/#") as device, RawClient(registered) as app:
        app.connect("app", PASSWORD)
        app.send(packet)
        assert app.receive() is None
        assert registered.next_event("closed", "AUTH_ERROR").detail.startswith("no statement allows iot:")
        device.send(client_publish(f"{BASE}/get"))
        assert told(device, 2)["get/rejected"]["code"] == 404


@pytest.mark.parametrize("topic", ["update/accepted", "update/delta", "name/config/get/rejected", "name/a b/get"])
def test_clients_may_publish_only_requests(registered: RunningCore, topic: str) -> None:
    with RawClient(registered) as device:
        device.connect(THING, PASSWORD)
        device.send(client_publish(f"{BASE}/{topic}", b"{}", 1))
        assert device.receive() is None
        event = registered.next_event("closed", "CLIENT_ERROR")
        assert event.detail == (
            f"{BASE}/{topic} is reserved: publish shadow requests on get, update or delete; the rest is for subscribers"
        )


def test_http_publish_changes_a_shadow_too(registered: RunningCore) -> None:
    authorization = base64.b64encode(f"{THING}:{PASSWORD}".encode()).decode()
    with subscribed(registered, f"{BASE}/update/accepted", "app") as app:
        connection = http.client.HTTPSConnection(
            registered.host, registered.port, context=registered.tls_context(), timeout=WAIT_S
        )
        path = f"/topics/{BASE.replace('$', '%24')}/update?qos=1"
        connection.request("POST", path, UPDATE, {"Authorization": f"Basic {authorization}"})
        assert connection.getresponse().status == 200
        connection.close()
        assert told(app, 1)["update/accepted"]["clientToken"] == "t"


def test_command_calls_the_data_plane_over_the_control_channel(registered: RunningCore) -> None:
    with (
        subscribed(registered, f"{BASE}/update/delta") as device,
        ControlClient(registered.state) as control,
    ):
        answer = control.iot("update_thing_shadow", {"thingName": THING, "payload": UPDATE.decode()})
        assert json.loads(answer["payload"])["version"] == 1
        assert told(device, 1)["update/delta"]["state"] == {"on": True}
    with ControlClient(registered.state) as control, pytest.raises(IotRefused) as caught:
        control.iot("get_thing_shadow", {"thingName": THING, "shadowName": "config"})
    assert (caught.value.code, str(caught.value)) == (
        "ResourceNotFoundException",
        f"get_thing_shadow: No shadow exists with name: '{THING}~config'",
    )


# The AWS IoT Device SDK


@contextmanager
def sdk_311(core: RunningCore, tunnel: Tunnel) -> Iterator[Any]:
    connection = mqtt_connection_builder.direct_with_custom_authorizer(
        http_proxy_options=crt_http.HttpProxyOptions("127.0.0.1", tunnel.port), **_login(core), client_id=THING
    )
    connection.connect().result(WAIT_S)
    try:
        yield connection
    finally:
        connection.disconnect().result(WAIT_S)


@contextmanager
def sdk_5(core: RunningCore, tunnel: Tunnel) -> Iterator[Any]:
    steps: queue.Queue[str] = queue.Queue()
    client = mqtt5_client_builder.direct_with_custom_authorizer(
        http_proxy_options=crt_http.HttpProxyOptions("127.0.0.1", tunnel.port),
        connect_options=mqtt5.ConnectPacket(client_id=THING),
        on_lifecycle_connection_success=lambda _: steps.put("connected"),
        on_lifecycle_stopped=lambda _: steps.put("stopped"),
        **_login(core),
    )
    client.start()
    assert steps.get(timeout=WAIT_S) == "connected"
    try:
        yield client
    finally:
        client.stop()
        assert steps.get(timeout=WAIT_S) == "stopped"


def _login(core: RunningCore) -> dict[str, Any]:
    return {
        "endpoint": core.host,
        "ca_filepath": str(core.ca),
        "auth_username": THING,
        "auth_password": PASSWORD,
    }


@pytest.fixture(params=[sdk_311, sdk_5], ids=["3.1.1", "5"])
def shadows(request: pytest.FixtureRequest, registered: RunningCore) -> Iterator[iotshadow.IotShadowClientV2]:
    tunnel = Tunnel(registered.port)
    try:
        with request.param(registered, tunnel) as connection:
            options = ClientOptions(
                max_request_response_subscriptions=4, max_streaming_subscriptions=2, operation_timeout_in_seconds=20
            )
            yield iotshadow.IotShadowClientV2(connection, options)
    finally:
        tunnel.close()


def refusal(call: Callable[[], Any]) -> tuple[int, str]:
    with pytest.raises(V2ServiceException) as caught:
        call()
    error = caught.value.modeled_error
    return error.code, error.message


def test_sdk_uses_a_classic_shadow(shadows: iotshadow.IotShadowClientV2) -> None:
    deltas: queue.Queue[Any] = queue.Queue()
    ready: queue.Queue[Any] = queue.Queue()
    stream = shadows.create_shadow_delta_updated_stream(
        iotshadow.ShadowDeltaUpdatedSubscriptionRequest(thing_name=THING),
        ServiceStreamOptions(deltas.put, lambda event: ready.put(event.type)),
    )
    stream.open()
    assert ready.get(timeout=WAIT_S) == SubscriptionStatusEventType.SUBSCRIPTION_ESTABLISHED
    get = iotshadow.GetShadowRequest(thing_name=THING)
    missing = (404, f"No shadow exists with name: '{THING}'")
    assert refusal(lambda: shadows.get_shadow(get).result(WAIT_S)) == missing
    state = iotshadow.ShadowState(desired={"on": True, "level": 3}, reported={"on": False, "level": 3})
    updated = shadows.update_shadow(iotshadow.UpdateShadowRequest(thing_name=THING, state=state)).result(WAIT_S)
    assert (updated.version, updated.state.desired) == (1, {"on": True, "level": 3})
    delta = deltas.get(timeout=WAIT_S)
    assert (delta.state, delta.version) == ({"on": True}, 1)
    got = shadows.get_shadow(get).result(WAIT_S)
    assert (got.state.delta, got.state.reported) == ({"on": True}, {"on": False, "level": 3})
    conflict = iotshadow.UpdateShadowRequest(thing_name=THING, state=state, version=7)
    assert refusal(lambda: shadows.update_shadow(conflict).result(WAIT_S)) == (409, "Version conflict")
    deleted = shadows.delete_shadow(iotshadow.DeleteShadowRequest(thing_name=THING)).result(WAIT_S)
    assert deleted.version == 1


def test_sdk_uses_a_named_shadow(shadows: iotshadow.IotShadowClientV2) -> None:
    name = {"thing_name": THING, "shadow_name": "config"}
    state = iotshadow.ShadowState(reported={"interval_s": 30})
    shadows.update_named_shadow(iotshadow.UpdateNamedShadowRequest(**name, state=state)).result(WAIT_S)
    got = shadows.get_named_shadow(iotshadow.GetNamedShadowRequest(**name)).result(WAIT_S)
    assert (got.version, got.state.reported) == (1, {"interval_s": 30})
    assert refusal(lambda: shadows.get_shadow(iotshadow.GetShadowRequest(thing_name=THING)).result(WAIT_S)) == (
        404,
        f"No shadow exists with name: '{THING}'",
    )
    shadows.delete_named_shadow(iotshadow.DeleteNamedShadowRequest(**name)).result(WAIT_S)


def test_shadow_survives_a_restart(tmp_path: Path) -> None:
    for version in (1, 2):
        with running(tmp_path) as core:
            if version == 1:
                core.add_device(THING, password=PASSWORD)
            with subscribed(core, f"{BASE}/update/accepted") as device:
                device.send(client_publish(f"{BASE}/update", UPDATE))
                assert told(device, 1)["update/accepted"]["version"] == version
