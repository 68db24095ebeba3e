"""The deployed authorizer package, run as a Lambda: the device of the example is accepted, and no other."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from pathlib import Path
from typing import Any

import mqtt443_authorizer
import pytest
from mqtt443_authorizer.sqlitestore import SqliteStore
from mqtt443_tools.device.registration import add_device, set_enabled
from mqtt443_tools.localcore.auth.authorizer import Authorizer, Grant
from mqtt443_tools.localcore.auth.registry import AuthorizerRegistry
from mqtt443_tools.localcore.auth.request import Request
from mqtt443_tools.localcore.function.runtime import LambdaFunction
from mqtt443_tools.localcore.localcore_errors import Refused

from tests.support.aws.lambda_functions import ACCOUNT, REGION, LogLines
from tests.support.mqtt.manual_clock import ManualClock

CODE = Path(mqtt443_authorizer.__file__).resolve().parent.parent
ARN = f"arn:aws:iot:{REGION}:{ACCOUNT}:"
REQUEST = Request("localhost", ("tls", "mqtt"), None, None, "username", b"test", "myClientName", "id-1", "127.0.0.1")


def outcomes(folder: Path, *requests: Request, disable: bool = False) -> tuple[list[Grant | Refused], list[str]]:
    """The outcome of each request, with the example's device registered, and the Lambda's log."""
    folder.chmod(0o700)
    store = SqliteStore(folder / "devices.sqlite")
    add_device(store, "myClientName", username="username", password="test", now=0)

    async def run() -> tuple[list[Grant | Refused], list[str]]:
        log = LogLines()
        function = LambdaFunction(
            CODE,
            "mqtt443_authorizer.handler.handler",
            environment={"MQTT443_STORE": f"sqlite:{folder}/devices.sqlite", "MQTT443_REFRESH_S": "300"},
            name="mqtt443",
            region=REGION,
            account=ACCOUNT,
            on_log=log.take,
        )
        registry = AuthorizerRegistry([Authorizer("mqtt443", function)], "mqtt443", ManualClock())
        results: list[Grant | Refused] = []
        for request in requests:
            try:
                results.append(await registry.authorize(request))
            except Refused as refused:
                results.append(refused)
            if disable:
                set_enabled(store, "myClientName", False)
        await registry.close()
        return results, log

    return asyncio.run(run())


def test_registered_device_connects_with_the_permissions_of_the_policy(tmp_path: Path) -> None:
    with_metrics = dataclasses.replace(
        REQUEST,
        mqtt_username="username?x-amz-customauthorizer-name=mqtt443&SDK=IoTDeviceSDK/Python&Metadata=(A=1;B=F/3)",
    )
    grants, log = outcomes(tmp_path, REQUEST, with_metrics)
    for grant in grants:
        assert isinstance(grant, Grant), grant
        assert grant.refresh_after_s == 300
        assert grant.policies.warnings == ()
        allowed = {
            (action, resource)
            for action, resource in (
                ("iot:Connect", "client/myClientName"),
                ("iot:Connect", "client/other"),
                ("iot:Publish", "topic/telemetry/myClientName"),
                ("iot:Publish", "topic/telemetry/other"),
                ("iot:Subscribe", "topicfilter/commands/myClientName"),
                ("iot:Subscribe", "topicfilter/#"),
                ("iot:Receive", "topic/commands/myClientName"),
            )
            if grant.policies.evaluate(action, ARN + resource, {}).allowed
        }
        assert allowed == {
            ("iot:Connect", "client/myClientName"),
            ("iot:Publish", "topic/telemetry/myClientName"),
            ("iot:Subscribe", "topicfilter/commands/myClientName"),
            ("iot:Receive", "topic/commands/myClientName"),
        }
    assert [json.loads(line)["decision"] for line in log] == ["allow", "allow"]


@pytest.mark.parametrize(
    "change",
    [
        {"mqtt_password": b"wrong"},
        {"mqtt_password": None},
        {"mqtt_client_id": "other"},
        {"mqtt_client_id": None},
        {"mqtt_username": "other"},
        {"mqtt_username": None},
    ],
)
def test_anything_else_is_not_authenticated(tmp_path: Path, change: dict[str, Any]) -> None:
    (refused,), log = outcomes(tmp_path, dataclasses.replace(REQUEST, **change))
    assert isinstance(refused, Refused), refused
    assert refused.reason == "NOT_AUTHENTICATED"
    assert [json.loads(line)["decision"] for line in log] == ["refuse"]


def test_disabled_device_is_refused_by_the_warm_function(tmp_path: Path) -> None:
    (first, second), _ = outcomes(tmp_path, REQUEST, REQUEST, disable=True)
    assert isinstance(first, Grant), first
    assert isinstance(second, Refused), second
    assert second.reason == "NOT_AUTHENTICATED"
