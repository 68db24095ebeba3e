"""`mqtt443 device --stack`: the devices of a stack in AWS."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mqtt443 import ca as board_ca
from mqtt443.config_schema import load
from mqtt443_authorizer.dynamostore import DynamoStore
from mqtt443_authorizer.secret import match
from mqtt443_tools.cli import app
from mqtt443_tools.cloud import aws_backend
from mqtt443_tools.device.config_advice import advise
from mqtt443_tools.support.amazon_roots import amazon_roots
from mqtt443_tools.support.errors import CommandError, UsageError
from typer.testing import CliRunner, Result

from tests.support.aws.account import STACK, Cloud
from tests.support.aws.iot_control_plane import DOMAIN, ENDPOINT
from tests.support.aws.stubs import Refuse

pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse:UserWarning")
Run = Callable[..., Result]


@pytest.fixture
def run(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a subcommand on the stack."""
    monkeypatch.setattr("mqtt443_tools.cloud.aws.open_aws", lambda *_: cloud.aws)
    monkeypatch.delenv("MQTT443_PASSWORD", raising=False)
    cloud.answers.on("logs", "filter_log_events", {"events": []})

    def invoke(*arguments: str, stack: str = STACK) -> Result:
        where = ["--stack", stack, "--state", str(cloud.state)]
        result = CliRunner().invoke(app, ["device", *arguments, *where])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return invoke


def store(cloud: Cloud) -> DynamoStore:
    (table,) = cloud.client("dynamodb").list_tables()["TableNames"]
    return DynamoStore(table, cloud.client("dynamodb"))


def config_after(run: Run, folder: Path) -> dict[str, Any]:
    out = folder / "config.json"
    assert run("add", "sensor-1", "--out", str(out)).exit_code == 0
    assert out.stat().st_mode & 0o777 == 0o600
    load(str(out))  # as the board does
    config: dict[str, Any] = json.loads(out.read_text())
    return config


def test_add_writes_a_config_that_leads_to_the_account(run: Run, cloud: Cloud, tmp_path: Path) -> None:
    cloud.deploy()
    config = config_after(run, tmp_path)
    password = config.pop("password")
    assert config == {
        "endpoint": ENDPOINT,
        "port": 443,
        "ca": "ca.der",
        "client_id": "sensor-1",
        "username": "sensor-1",
    }
    (secret,) = store(cloud).by_client_id("sensor-1").secrets  # type: ignore[union-attr]
    assert match((secret,), password.encode(), admit=True) == 0
    assert (tmp_path / "ca.der").read_bytes() == amazon_roots()
    assert len(board_ca.load(str(tmp_path / "ca.der"))) == 2


def test_config_is_compared_with_the_stack_before_it_is_sent(run: Run, cloud: Cloud, tmp_path: Path) -> None:
    cloud.deploy()
    config = {**config_after(run, tmp_path), "wifi": {"ssid": "home"}}
    path = tmp_path / "config.json"
    assert advise(config, path, state=cloud.state, stack=STACK) == []
    other = {**config, "endpoint": "old.example", "client_id": "sensor-2"}
    lines = advise(other, path, stack=STACK, region="eu-west-1", profile="work")
    assert lines == [
        f"endpoint old.example port 443: stack {STACK} is at {ENDPOINT} port 443; fix it in {path}",
        f"client_id sensor-2: not registered at stack {STACK}; run "
        f"`mqtt443 device add sensor-2 --out {path} --stack {STACK} --region eu-west-1 --profile work`",
    ]


@pytest.mark.parametrize(
    ("mode", "keys"),
    [
        ("named", {"endpoint": ENDPOINT, "authorizer": STACK}),
        ("domain", {"endpoint": DOMAIN, "transport": "tls"}),
    ],
)
def test_config_follows_the_mode(run: Run, cloud: Cloud, tmp_path: Path, mode: str, keys: dict[str, str]) -> None:
    cloud.deploy(mode=mode)
    config = config_after(run, tmp_path)
    assert {key: config[key] for key in keys} == keys


def test_signing_adds_a_token_to_the_config(run: Run, cloud: Cloud, tmp_path: Path) -> None:
    cloud.deploy(mode="named", signing=True)
    config = config_after(run, tmp_path)
    assert {"token", "token_key", "token_signature"} <= config.keys()
    shown = json.loads(run("add", "sensor-2", "--json").stdout)
    assert {"token", "token_key", "token_signature", "password"} <= shown.keys()
    assert shown["token"] != config["token"]


def test_missing_signing_key_registers_nothing(run: Run, cloud: Cloud, tmp_path: Path) -> None:
    cloud.deploy(mode="named", signing=True)
    for path in (cloud.state / "signing").iterdir():
        path.unlink()
    with pytest.raises(CommandError, match="sign tokens where"):
        run("add", "sensor-1", "--out", str(tmp_path / "config.json"))
    assert store(cloud).all() == []


def test_generated_password_is_shown_once_and_never_listed(run: Run, cloud: Cloud) -> None:
    cloud.deploy()
    password = json.loads(run("add", "sensor-1", "--json").stdout)["password"]
    (listed,) = json.loads(run("list", "--json").stdout)
    assert (listed["client_id"], listed["enabled"], listed["secrets"]) == ("sensor-1", True, 1)
    for call in cloud.answers.calls:
        assert password not in repr(call)


def test_deployed_policy_decides_what_can_be_registered(run: Run, cloud: Cloud, tmp_path: Path) -> None:
    statement = {"Effect": "Allow", "Action": "iot:Connect", "Resource": "<arn>:client/<client_id>"}
    own = tmp_path / "policy.json"
    own.write_text(json.dumps([{"Version": "2012-10-17", "Statement": [statement]}] * 10))
    cloud.deploy(policy=own)
    run("add", "sensor-1")
    with pytest.raises(CommandError, match="11 documents"):
        run("add", "sensor-2", "--publish", "site/a")


@pytest.mark.parametrize("command", [["disable", "sensor-1"], ["remove", "sensor-1", "--yes"]])
def test_losing_access_closes_the_connection_at_aws(run: Run, cloud: Cloud, command: list[str]) -> None:
    cloud.deploy()
    run("add", "sensor-1")
    cloud.iot.connected.add("sensor-1")
    assert run(*command).stdout.endswith("; its connection was closed\n")
    assert cloud.iot.connected == set()
    (cut,) = cloud.answers.of("delete_connection")
    assert cut.parameters == {"clientId": "sensor-1"}


def test_list_asks_aws_who_is_connected(run: Run, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud.deploy()
    for client_id in ("hall-1", "hall-2", "hall-3"):
        run("add", client_id)
    cloud.iot.connected.add("hall-1")
    cloud.iot.disconnected["hall-2"] = 1_796_000_060_000
    listed = {each["client_id"]: each for each in json.loads(run("list", "--json").stdout)}
    assert {client_id: (each["online"], each["last_seen"]) for client_id, each in listed.items()} == {
        "hall-1": (True, 1_796_000_000),
        "hall-2": (False, 1_796_000_060),
        "hall-3": (False, None),
    }
    assert [each["client_id"] for each in json.loads(run("list", "--online", "--json").stdout)] == ["hall-1"]
    monkeypatch.setattr(aws_backend, "MAX_ASKED", 1)
    listed = {each["client_id"]: each for each in json.loads(run("list", "--json").stdout)}
    assert [each["online"] for each in listed.values()] == [True, None, None]
    with pytest.raises(UsageError, match="AWS is asked about 1 of these 3 devices: add --match"):
        run("list", "--online")


def test_device_that_is_not_connected_is_only_disabled(run: Run, cloud: Cloud) -> None:
    cloud.deploy()
    run("add", "sensor-1")
    assert run("disable", "sensor-1").stdout == "sensor-1 is disabled\n"
    assert store(cloud).by_client_id("sensor-1").enabled is False  # type: ignore[union-attr]
    assert run("enable", "sensor-1").stdout == "sensor-1 is enabled\n"


def test_connection_that_may_be_up_fails_although_the_change_is_stored(run: Run, cloud: Cloud) -> None:
    cloud.deploy()
    run("add", "sensor-1")
    cloud.answers.on("iot-data", "delete_connection", Refuse("ForbiddenException", "", 403))
    with pytest.raises(CommandError, match=r"its connection may still be up: the permission iot:DeleteConnection is"):
        run("disable", "sensor-1")
    assert store(cloud).by_client_id("sensor-1").enabled is False  # type: ignore[union-attr]


def test_rotate_reports_expiry_and_last_uses(run: Run, cloud: Cloud) -> None:
    cloud.deploy()
    run("add", "sensor-1")
    first = run("rotate", "sensor-1", "--keep-hours", "48")
    assert first.stderr == ""
    assert "the old password works until " in first.stdout
    second = run("rotate", "sensor-1", "--json")
    assert "the new password was not used, the old one not used" in second.stderr
    assert json.loads(second.stdout)["old_password_ends_at"] > 1_700_000_000
    dropped = run("rotate", "sensor-1", "--drop-old")
    assert "the new password was not used" in dropped.stderr
    assert len(store(cloud).by_client_id("sensor-1").secrets) == 1  # type: ignore[union-attr]


def test_two_changes_at_once_do_not_lose_each_other(run: Run, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud.deploy()
    run("add", "sensor-1")
    replace = DynamoStore.replace

    def late(self: DynamoStore, device: Any) -> Any:
        monkeypatch.setattr(DynamoStore, "replace", replace)
        stored = self.by_client_id("sensor-1")
        assert stored is not None
        replace(self, stored._replace(publish=("site/a",)))  # somebody else is faster
        return replace(self, device)

    monkeypatch.setattr(DynamoStore, "replace", late)
    run("disable", "sensor-1")
    found = store(cloud).by_client_id("sensor-1")
    assert found is not None
    assert (found.enabled, found.publish, found.version) == (False, ("site/a",), 3)


@pytest.mark.parametrize("command", [["list"], ["add", "x"], ["disable", "x"]])
def test_missing_stack_names_the_command_to_deploy(run: Run, cloud: Cloud, command: list[str]) -> None:
    with pytest.raises(CommandError, match="there is no deployed stack other in eu-west-1: run `mqtt443 cloud deploy"):
        run(*command, stack="other")


def test_invalid_stack_name_is_wrong_use(run: Run) -> None:
    with pytest.raises(UsageError, match="--stack a_b"):
        run("list", stack="a_b")
