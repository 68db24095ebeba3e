"""`mqtt443 watch --stack`: the official SDK, the caller's credentials, SigV4 over WebSocket.

The other end is the local endpoint with an authorizer that lets everybody in and logs what it was asked: it verifies no
SigV4 signature, but the TLS, the WebSocket, the signed request and MQTT are real.
"""

from __future__ import annotations

import base64
import json
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs

import pytest
from mqtt443_tools.cli import app
from mqtt443_tools.localcore.auth.authorizer import Authorizer
from mqtt443_tools.localcore.function.runtime import LambdaFunction
from mqtt443_tools.localcore.mqtt.session import Message
from mqtt443_tools.support.errors import CommandError
from mqtt443_tools.watch import aws_messages
from mqtt443_tools.watch.aws_messages import AwsWatcher
from typer.testing import CliRunner

from tests.support.aws.account import Cloud
from tests.support.aws.iot_control_plane import ENDPOINT
from tests.support.aws.lambda_functions import ACCOUNT, REGION
from tests.support.mqtt.endpoint import RunningCore

EVERYBODY = """
    import json

    def handler(event, context):
        print(json.dumps(event))
        actions = ["iot:Connect", "iot:Publish", "iot:Subscribe", "iot:Receive"]
        allow = {"Effect": "Allow", "Action": actions, "Resource": RESOURCES}
        return {
            "isAuthenticated": True,
            "principalId": "watcher",
            "disconnectAfterInSeconds": 300,
            "refreshAfterInSeconds": 300,
            "policyDocuments": [{"Version": "2012-10-17", "Statement": [allow]}],
        }
"""
CREDENTIALS = SimpleNamespace(access_key="AKIATESTING", secret_key="never-on-the-wire", token="session/token+")


def serving(folder: Path, resources: list[str]) -> RunningCore:
    (folder / "app.py").write_text(textwrap.dedent(EVERYBODY).replace("RESOURCES", json.dumps(resources)))
    log: list[str] = []
    function = LambdaFunction(
        folder, "app.handler", environment={}, name="fn", region=REGION, account=ACCOUNT, on_log=log.append
    )
    core = RunningCore(folder / "state", authorizers=[Authorizer("everybody", function)])
    core.log = log
    return core


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[RunningCore]:
    with serving(tmp_path, ["arn:aws:iot:*"]) as core:
        yield core


def watcher(core: RunningCore) -> AwsWatcher:
    return AwsWatcher("localhost", "eu-west-1", lambda: CREDENTIALS, port=core.port, ca=core.ca)


def publish(core: RunningCore, topic: str, payload: bytes) -> None:
    core.run(lambda: core.core.broker.publish(Message(topic, payload, 1, False, "dev-1", time.time())))


def test_messages_arrive_as_from_the_local_endpoint(endpoint: RunningCore) -> None:
    with watcher(endpoint) as source:
        stream = source.watch("telemetry/#", time.monotonic() + 20)
        for topic, payload in (("telemetry/a", b"\xff\x00"), ("other", b"x"), ("telemetry/b", b"2")):
            publish(endpoint, topic, payload)
        first, second = next(stream), next(stream)
    assert (first["topic"], base64.b64decode(first["payload"]), first["qos"]) == ("telemetry/a", b"\xff\x00", 1)
    assert second["topic"] == "telemetry/b"
    assert set(first) == {"topic", "payload", "qos", "retain", "client_id", "received_at"}


def test_request_is_signed_without_sending_the_secret(endpoint: RunningCore) -> None:
    with watcher(endpoint):
        pass
    (event,) = [json.loads(line) for line in endpoint.log]
    query = parse_qs(event["protocolData"]["http"]["queryString"].removeprefix("?"))
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert query["X-Amz-Credential"][0].startswith("AKIATESTING/")
    assert "/eu-west-1/iotdevicegateway/aws4_request" in query["X-Amz-Credential"][0]
    assert query["X-Amz-Security-Token"] == ["session/token+"]
    assert len(query["X-Amz-Signature"][0]) == 64
    assert "never-on-the-wire" not in json.dumps(event)
    assert event["protocolData"]["mqtt"]["clientId"].startswith("mqtt443-watch-")
    assert "username" not in event["protocolData"]["mqtt"]


def test_watch_ends_at_its_deadline(endpoint: RunningCore) -> None:
    with watcher(endpoint) as source:
        assert list(source.watch("telemetry/#", time.monotonic() + 0.1)) == []


def test_forbidden_subscription_says_what_to_do(tmp_path: Path) -> None:
    refusal = pytest.raises(CommandError, match=r"iot:Subscribe and iot:Receive|the connection to AWS broke")
    with serving(tmp_path, ["arn:aws:iot:*:client/*"]) as core, watcher(core) as source, refusal:
        list(source.watch("telemetry/#", time.monotonic() + 20))


def test_refused_connection_names_the_permission(tmp_path: Path) -> None:
    refusal = pytest.raises(CommandError, match=r"AWS IoT refused it \(.*iot:Connect on client/mqtt443-watch")
    with serving(tmp_path, ["arn:aws:iot:*:topic/*"]) as core, refusal:
        watcher(core)


def test_messages_that_a_slow_terminal_misses_are_counted(
    endpoint: RunningCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aws_messages, "MAX_WAITING", 2)
    with watcher(endpoint) as source:
        stream = source.watch("telemetry/#", time.monotonic() + 20)
        for number in range(5):
            source._take(f"telemetry/{number}", b"x", 1, False)
        assert next(stream)["topic"] == "telemetry/0"
        assert next(stream) == {"dropped": 3}
        assert next(stream)["topic"] == "telemetry/1"


@pytest.mark.filterwarnings("ignore:Tried to parse:UserWarning")
def test_watch_uses_the_account_of_the_stack(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud.deploy(mode="named")
    opened: list[tuple[Any, ...]] = []
    message = {"topic": "telemetry/a", "payload": base64.b64encode(b"21").decode(), "received_at": 0.0}

    class Watcher:
        def __init__(self, *arguments: Any) -> None:
            opened.append(arguments)

        def __enter__(self) -> Watcher:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def watch(self, *_: object) -> Iterator[dict[str, Any]]:
            yield message

    monkeypatch.setattr(aws_messages, "AwsWatcher", Watcher)
    monkeypatch.setattr("mqtt443_tools.cloud.aws.open_aws", lambda *_: cloud.aws)
    result = CliRunner().invoke(app, ["watch", "--stack", "mqtt443", "--count", "1"], catch_exceptions=False)
    assert result.stdout.endswith(" telemetry/a 21\n")
    ((endpoint, region, credentials),) = opened
    assert (endpoint, region) == (ENDPOINT, "eu-west-1")
    assert credentials().access_key == "FOOBARKEY"  # moto's
    missing = CliRunner().invoke(app, ["watch", "--stack", "other"])
    assert isinstance(missing.exception, CommandError)
    assert "there is no stack other" in str(missing.exception)
