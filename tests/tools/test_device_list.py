"""`mqtt443 device list`: who is registered, what is known of each, and nothing that identifies a device is cut."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mqtt443_authorizer.sqlitestore import SqliteStore
from mqtt443_tools.cli import app
from mqtt443_tools.device.registration import rotate
from mqtt443_tools.localcore import seen_clients
from mqtt443_tools.localcore.auth.account import DEVICES_FILE
from mqtt443_tools.localcore.events import Event
from mqtt443_tools.localcore.seen_clients import SEEN_FILE, SeenClients, last_seen
from typer.testing import CliRunner

from tests.support.mqtt.client import RawClient, client_publish
from tests.support.mqtt.endpoint import RunningCore
from tests.support.mqtt.manual_clock import ManualClock
from tests.support.terminal import Terminal

COLUMNS = "client id, user name, last seen (UTC), transport, version, failures, enabled"


@pytest.fixture
def core_with_devices(core: RunningCore) -> Iterator[RunningCore]:
    """hall-1 is connected, hall-2 and a device with a long name are not."""
    for client_id in ("hall-1", "hall-2", "x" * 128):
        core.add_device(client_id, password="secret")
    with RawClient(core) as board:
        assert board.connect("hall-1").code == 0
        yield core


def listed(core: RunningCore, *arguments: str) -> str:
    result = CliRunner().invoke(app, ["device", "list", "--state", str(core.state), *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def devices(core: RunningCore, *arguments: str) -> dict[str, dict[str, Any]]:
    return {device["client_id"]: device for device in json.loads(listed(core, "--json", *arguments))}


def test_list_says_who_is_connected(core_with_devices: RunningCore) -> None:
    lines = listed(core_with_devices).splitlines()
    assert re.split(r"  +", lines[0].strip()) == COLUMNS.split(", ")
    online = {line.split()[0]: line.split()[2] for line in lines[1:]}
    assert online == {"hall-1": "online", "hall-2": "never", "x" * 128: "never"}


def test_filters_choose_by_name_and_by_connection(core_with_devices: RunningCore) -> None:
    assert list(devices(core_with_devices)) == ["hall-1", "hall-2", "x" * 128]
    assert list(devices(core_with_devices, "--match", "hall-*")) == ["hall-1", "hall-2"]
    assert list(devices(core_with_devices, "--online")) == ["hall-1"]
    assert list(devices(core_with_devices, "--offline", "--match", "hall-?")) == ["hall-2"]
    assert listed(core_with_devices, "--match", "cellar") == "none of the 3 registered devices matches\n"


def test_list_shows_what_a_board_said_of_itself_and_keeps_it(core: RunningCore) -> None:
    core.add_device("b1", password="secret")
    with RawClient(core) as board:
        assert board.connect("b1").code == 0
        for payload in (
            b'{"report": {"version": "0.1.0", "failures": 2}}',
            b'{"link": {"failures": 3}}',
            b'{"link": 1',
        ):
            board.send(client_publish("telemetry/b1", payload, 0))
            core.next_message()
        (seen,) = devices(core).values()
    assert (seen["online"], seen["transport"], seen["version"], seen["failures"]) == (True, "alpn", "0.1.0", 3)
    core.stop()
    (later,) = devices(core).values()
    assert later["last_seen"] >= seen["last_seen"]
    assert {**later, "last_seen": 0} == {**seen, "last_seen": 0, "online": False}
    assert re.match(r"b1 +b1 +\d{4}-\d\d-\d\d \d\d:\d\d  alpn ", listed(core).splitlines()[1])


def event(client_id: str, outcome: Any, transport: str | None) -> Event:
    return Event(
        time=5.0,
        outcome=outcome,
        reason="",
        detail="",
        client_id=client_id,
        source="",
        connection_id="",
        transport=transport,
    )


def test_only_clients_that_were_let_in_count_and_the_oldest_go(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen_clients, "MAX_CLIENTS", 2)
    clock = ManualClock()
    seen = SeenClients(tmp_path, clock, print)
    seen.note_event(event("stranger", "refused", None))
    seen.note_event(event("nobody", "closed", None))
    for client_id in ("a", "b", "a", "c"):
        seen.note_event(event(client_id, "accepted", "wss"))
    assert last_seen(tmp_path) == {}
    clock.advance(seen_clients.SAVE_S)
    assert list(last_seen(tmp_path)) == ["a", "c"]


def test_file_that_cannot_be_written_is_one_line(tmp_path: Any) -> None:
    lines: list[str] = []
    (tmp_path / "file").touch()
    SeenClients(tmp_path / "file" / "state", ManualClock(), lines.append).keep()
    assert lines == [f"{tmp_path}/file/state/seen.json: Not a directory; when devices were last seen is not stored"]


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"a": 1}', b'{"a": {"at": "x"}}', b'{"a": {"at": 1, "failures": "x"}}']
)
def test_damaged_file_is_as_good_as_none(tmp_path: Any, content: bytes) -> None:
    (tmp_path / SEEN_FILE).write_bytes(content)
    assert last_seen(tmp_path) == {}


def test_terminal_of_80_columns_shows_everything(core_with_devices: RunningCore) -> None:
    mqtt443 = str(Path(sys.executable).with_name("mqtt443"))
    arguments = ("device", "list", "--state", str(core_with_devices.state))
    terminal = Terminal(mqtt443, *arguments, NO_COLOR="1", COLUMNS="80")
    try:
        assert terminal.end() == 0
    finally:
        terminal.close()
    assert "…" not in terminal.screen
    assert "last seen (UTC)" in terminal.screen
    assert terminal.screen.count("x") >= 2 * 128
    assert max(map(len, terminal.screen.splitlines())) <= 80


def test_stopped_endpoint_has_no_connected_clients(core_with_devices: RunningCore) -> None:
    core_with_devices.stop()
    assert devices(core_with_devices, "--online") == {}


def test_password_of_the_last_login_is_kept(core: RunningCore) -> None:
    password = core.add_device("hall-1")
    rotate(SqliteStore(core.state / DEVICES_FILE), "hall-1", now=time.time())
    with RawClient(core) as board:
        assert board.connect("hall-1", password=password).code == 0
        listed(core)  # has the endpoint write what it saw
    assert last_seen(core.state)["hall-1"].secret == 1
