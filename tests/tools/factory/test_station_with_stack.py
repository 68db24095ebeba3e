"""`mqtt443 factory run --stack`: devices in the table of a stack, telemetry watched through AWS's SDK.

The endpoint is a local one that lets every client in, as no AWS endpoint can be here; the table is moto's.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mqtt443_authorizer.dynamostore import DynamoStore
from mqtt443_tools.cli import app
from mqtt443_tools.cloud.aws_backend import AwsBackend
from mqtt443_tools.localcore.auth.authorizer import Authorizer
from mqtt443_tools.localcore.function.runtime import LambdaFunction
from mqtt443_tools.support.config_file import copy_ca
from mqtt443_tools.watch import aws_messages
from mqtt443_tools.watch.aws_messages import AwsWatcher
from typer.testing import CliRunner

from tests.support.aws.account import STACK, Cloud
from tests.support.aws.lambda_functions import ACCOUNT, REGION
from tests.support.board import interpreters
from tests.support.chip.esp_image import image
from tests.support.chip.rom_chip import ESP32
from tests.support.chip.whole_board import WholeBoard
from tests.support.mqtt.endpoint import RunningCore
from tests.tools.cloud.conftest import cloud, environment, quick_yaml  # noqa: F401 - fixtures
from tests.tools.cloud.test_watch import CREDENTIALS
from tests.tools.factory.test_station import chip, entries, mac, workers  # noqa: F401 - fixtures

EVERYBODY = """
    def handler(event, context):
        allow = {"Effect": "Allow", "Action": "iot:*", "Resource": "*"}
        return {
            "isAuthenticated": True,
            "principalId": "board",
            "disconnectAfterInSeconds": 300,
            "refreshAfterInSeconds": 300,
            "policyDocuments": [{"Version": "2012-10-17", "Statement": [allow]}],
        }
"""


@pytest.fixture
def endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningCore]:
    """The endpoint that the stack's devices and the station find."""
    code = tmp_path / "everybody"
    code.mkdir()
    (code / "app.py").write_text(textwrap.dedent(EVERYBODY))
    function = LambdaFunction(
        code, "app.handler", environment={}, name="fn", region=REGION, account=ACCOUNT, on_log=lambda _: None
    )
    with RunningCore(tmp_path / "endpoint", authorizers=[Authorizer("everybody", function)]) as core:

        def watcher(*_: object) -> AwsWatcher:
            return AwsWatcher("localhost", REGION, lambda: CREDENTIALS, port=core.port, ca=core.ca)

        monkeypatch.setattr(aws_messages, "open_watcher", watcher)
        monkeypatch.setattr(AwsBackend, "config", lambda _: {"endpoint": "localhost", "port": core.port})
        monkeypatch.setattr(AwsBackend, "write_ca", lambda _, config: copy_ca(core.ca, config))
        yield core


@pytest.mark.filterwarnings("ignore:Tried to parse:UserWarning")
def test_devices_of_a_stack_are_registered_in_its_table_and_a_dead_board_leaves_none(
    cloud: Cloud,  # noqa: F811
    endpoint: RunningCore,
    workers: Any,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dead = 1
    cloud.deploy(mode="named")
    monkeypatch.setattr("mqtt443_tools.cloud.aws.open_aws", lambda *_: cloud.aws)

    def plug(number: int, port: Path) -> WholeBoard:
        folder, interpreter = tmp_path / f"chip{number}", interpreters.need("stock")
        return WholeBoard(folder, interpreter, chip=chip(number), at=port, dead=number == dead)

    (tmp_path / "image.bin").write_bytes(image(ESP32))
    (tmp_path / "config.json").write_text(json.dumps({"wifi": {"ssid": "home", "password": "correct horse"}}))
    (tmp_path / "devices.csv").write_text("client_id\nb1\nb2\n")
    (port,) = workers(1, [dead, 2, 3], plug)
    command = ["factory", "run", str(tmp_path / "devices.csv"), "--image", str(tmp_path / "image.bin")]
    where = ["--config", str(tmp_path / "config.json"), "--port", str(port), "--stack", STACK, "--timeout", "25"]
    result = CliRunner().invoke(app, [*command, *where, "--json"])
    assert result.exit_code == 0, (result.output, result.exception)
    assert json.loads(result.stdout)["failed_attempts"] == 1

    ok = {entry["client_id"]: entry["mac"] for entry in entries(tmp_path) if entry["result"] == "ok"}
    assert ok == {"b1": mac(2), "b2": mac(3)}
    (table,) = cloud.client("dynamodb").list_tables()["TableNames"]
    assert [device.client_id for device in DynamoStore(table, cloud.client("dynamodb")).all()] == ["b1", "b2"]
    assert {message.client_id for message in endpoint.messages} == {"b1", "b2"}
