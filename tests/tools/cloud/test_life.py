"""The whole life: deploy, add, connect, rotate, disable, destroy.

The account is moto's, as a server on this machine. Devices connect to the local endpoint, which runs the very zip that
was deployed, taken out of the bucket, with the environment of the deployed function, against the deployed table.
"""

from __future__ import annotations

import io
import json
import os
import sysconfig
import zipfile
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from mqtt443_tools.cli import app
from mqtt443_tools.localcore.auth.authorizer import Authorizer
from mqtt443_tools.localcore.function.runtime import LambdaFunction
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from typer.testing import CliRunner

from tests.support.aws.account import STACK, Cloud
from tests.support.aws.stubs import ACCOUNT, REGION
from tests.support.mqtt.endpoint import RunningCore

pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse:UserWarning")
WAIT_S = 20.0
CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED")


@pytest.fixture
def cloud(shared_cloud: Cloud) -> Cloud:
    """An empty account that also other processes can reach."""
    return shared_cloud


def mqtt443(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.exception or result.output
    return result.stdout


def endpoint_of(cloud: Cloud, folder: Path) -> RunningCore:
    """The local endpoint with the deployed function."""
    (stack,) = cloud.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
    name = next(each["OutputValue"] for each in stack["Outputs"] if each["OutputKey"] == "FunctionName")
    deployed = cloud.client("lambda").get_function(FunctionName=name)["Configuration"]
    parameters = {each["ParameterKey"]: each["ParameterValue"] for each in stack["Parameters"]}
    body = cloud.client("s3").get_object(Bucket=parameters["CodeBucket"], Key=parameters["CodeKey"])["Body"].read()
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        archive.extractall(folder / "task")
    log: list[str] = []
    function = LambdaFunction(
        folder / "task",
        deployed["Handler"],
        environment={
            **{key: str(value) for key, value in deployed["Environment"]["Variables"].items()},
            **{variable: os.environ[variable] for variable in (*CREDENTIALS, "AWS_ENDPOINT_URL")},
        },
        name=name,
        region=REGION,
        account=ACCOUNT,
        on_log=log.append,
        memory_mb=deployed["MemorySize"],
        timeout_s=20.0,  # the AWS SDK loads slowly on a busy test machine
        layers=[Path(sysconfig.get_path("purelib"))],
    )
    core = RunningCore(folder / "core", authorizers=[Authorizer(cloud.iot.default or "none", function)])
    core.log = log
    return core


def reaches(core: RunningCore, config: dict[str, Any]) -> bool:
    """Whether a paho client with this config can publish a reading."""
    topic = f"telemetry/{config['client_id']}"
    happened: Queue[str] = Queue()
    client = Client(CallbackAPIVersion.VERSION2, client_id=config["client_id"], reconnect_on_failure=False)
    client.tls_set_context(core.tls_context(["mqtt"]))
    client.username_pw_set(config["username"], config["password"])
    client.on_connect = lambda *_: happened.put("connected")
    client.on_disconnect = lambda *_: happened.put("cut")
    client.connect(core.host, core.port)
    client.loop_start()
    try:
        if happened.get(timeout=WAIT_S) == "cut":
            return False
        client.publish(topic, b"21.5", qos=1)
        return core.next_message().topic == topic
    finally:
        client.disconnect()
        client.loop_stop()


def test_deploy_add_connect_rotate_disable_destroy(cloud: Cloud, tmp_path: Path) -> None:
    config_file, state = tmp_path / "config.json", ["--state", str(cloud.state)]
    device = ["--stack", STACK, *state]
    assert "mode default" in mqtt443("cloud", "deploy", "--yes", *state)
    mqtt443("device", "add", "sensor-1", "--out", str(config_file), *device)
    first = json.loads(config_file.read_text())
    with endpoint_of(cloud, tmp_path) as core:
        assert reaches(core, first), (core.log, core.events)
        assert not reaches(core, {**first, "password": "wrong"})
        assert not reaches(core, {**first, "client_id": "sensor-2"})

        mqtt443("device", "rotate", "sensor-1", "--out", str(config_file), *device)
        second = json.loads(config_file.read_text())
        assert second["password"] != first["password"]
        assert reaches(core, second)
        assert reaches(core, first)
        assert mqtt443("device", "rotate", "sensor-1", "--drop-old", *device).startswith("sensor-1 has one password")
        assert not reaches(core, first)

        cloud.iot.connected.add("sensor-1")
        assert "its connection was closed" in mqtt443("device", "disable", "sensor-1", *device)
        assert not reaches(core, second)
        mqtt443("device", "enable", "sensor-1", *device)
        assert reaches(core, second)
        assert [json.loads(line)["decision"] for line in core.log if line.startswith("{")].count("allow") == 4

    mqtt443("cloud", "destroy", "--yes")
    assert cloud.iot.default is None
    assert json.loads(mqtt443("cloud", "status", "--no-drift", "--json"))["problems"] == [
        "stack mqtt443 does not exist: deploy again"
    ]
    mqtt443("cloud", "deploy", "--yes", *state)
    (kept,) = json.loads(mqtt443("device", "list", "--json", *device))
    assert kept["client_id"] == "sensor-1"
    mqtt443("cloud", "destroy", "--yes", "--delete-table")
    assert cloud.stacks() == {}
    assert cloud.client("dynamodb").list_tables()["TableNames"] == []
