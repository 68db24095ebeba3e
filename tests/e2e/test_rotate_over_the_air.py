"""`mqtt443 device rotate --over-the-air` against the local endpoint: whole boards, and boards by script that fail."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from mqtt443_authorizer.secret import match
from mqtt443_authorizer.sqlitestore import SqliteStore
from mqtt443_tools.device.backends import open_backend
from mqtt443_tools.localcore.auth.account import DEVICES_FILE
from mqtt443_tools.update.open_service import open_service
from mqtt443_tools.update.rotation import Rotation

from tests.e2e.test_update import NOTHING, WAIT_S, Fleet, left
from tests.support.mqtt.client import RawClient, client_publish
from tests.support.mqtt.endpoint import RunningCore

MQTT443 = str(Path(sys.executable).with_name("mqtt443"))
DAY_S = 86_400


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[RunningCore]:
    with RunningCore(tmp_path / "state") as core:
        yield core


@pytest.fixture
def fleet(endpoint: RunningCore, tmp_path: Path) -> Iterator[Fleet]:
    with ExitStack() as stack:
        yield Fleet(endpoint, tmp_path, stack)


def rotate(core: RunningCore, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    command = [MQTT443, "device", "rotate", *arguments, "--over-the-air", "--state", str(core.state)]
    return subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, check=False)


def fits(core: RunningCore, client_id: str, password: str) -> int | None:
    """Return which secret of a device a password belongs to."""
    device = SqliteStore(core.state / DEVICES_FILE).by_client_id(client_id)
    assert device is not None
    return match(device.secrets, password.encode(), admit=True)


def secrets(core: RunningCore, client_id: str) -> int:
    device = SqliteStore(core.state / DEVICES_FILE).by_client_id(client_id)
    assert device is not None
    return len(device.secrets)


def age(core: RunningCore, client_id: str, days: int) -> None:
    """Make the secret of a device older."""
    store = SqliteStore(core.state / DEVICES_FILE)
    device = store.by_client_id(client_id)
    assert device is not None
    old = device.secrets[0]._replace(created_at=int(time.time()) - days * DAY_S)
    store.replace(device._replace(secrets=(old,)))


class Scripted:
    """A scripted board that does with its job what the test says."""

    def __init__(self, core: RunningCore, client_id: str, password: str) -> None:
        self.client = RawClient(core)
        self.base = f"$aws/things/{client_id}/jobs"
        assert self.client.connect(client_id, password=password).code == 0

    def __enter__(self) -> Scripted:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.socket.close()

    def ask(self, topic: str, request: dict[str, Any]) -> dict[str, Any]:
        self.client.send(client_publish(f"{self.base}/{topic}", json.dumps(request).encode()))
        answer: dict[str, Any] = json.loads(self.client.receive().payload)  # type: ignore[union-attr]
        return answer

    def job(self) -> dict[str, Any]:
        """Start the next job; return its execution."""
        execution: dict[str, Any] = self.ask("start-next", {})["execution"]
        return execution

    def end(self, job: dict[str, Any], status: str, **details: str) -> None:
        self.ask(f"{job['jobId']}/update", {"status": status, "statusDetails": details})


def test_board_gets_a_new_password_and_the_old_one_ends(endpoint: RunningCore, fleet: Fleet, tmp_path: Path) -> None:
    board = fleet.add("hall-1", outbox_bytes=0)
    old = fleet.stored(board)["password"]
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"client_id": "hall-1", "password": old}))
    done = rotate(endpoint, "hall-1", "--out", str(config))
    assert done.returncode == 0, done.stderr + "\n".join(board.lines)
    new = fleet.stored(board)["password"]
    assert new != old
    assert json.loads(config.read_text())["password"] == new
    assert (secrets(endpoint, "hall-1"), fits(endpoint, "hall-1", new), fits(endpoint, "hall-1", old)) == (1, 0, None)
    assert left(endpoint) == {**NOTHING, "jobs": 0, "executions": 0}
    board.wait_for(" published ")
    endpoint.stop()
    shown = [done.stdout, done.stderr, *board.lines, *endpoint.log, *(event.line() for event in endpoint.events)]
    assert not any(new in text for text in shown)
    assert not [path for path in endpoint.state.rglob("*") if path.is_file() and new.encode() in path.read_bytes()]


def test_fleet_gets_new_passwords_where_they_are_old(endpoint: RunningCore, fleet: Fleet) -> None:
    boards = {name: fleet.add(name) for name in ("hall-1", "hall-2", "hall-3")}
    before = {name: fleet.stored(board)["password"] for name, board in boards.items()}
    age(endpoint, "hall-1", 91)
    age(endpoint, "hall-3", 91)
    done = rotate(endpoint, "--all", "--older-than", "90", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["counts"] == {"done": 2}
    after = {name: fleet.stored(board)["password"] for name, board in boards.items()}
    assert [name for name in boards if after[name] != before[name]] == ["hall-1", "hall-3"]
    assert all(fits(endpoint, name, after[name]) == 0 and secrets(endpoint, name) == 1 for name in boards)
    assert "no password is that old" in rotate(endpoint, "--all", "--older-than", "90").stdout


def test_board_that_was_offline_is_taken_up_by_the_same_command(endpoint: RunningCore, tmp_path: Path) -> None:
    old = endpoint.add_device("hall-1")
    waits = rotate(endpoint, "hall-1", "--follow", "0")
    assert waits.returncode == 0, waits.stderr
    assert "hall-1: waiting" in waits.stdout
    assert (secrets(endpoint, "hall-1"), fits(endpoint, "hall-1", old)) == (2, 1)
    assert not SqliteStore(endpoint.state / DEVICES_FILE).by_client_id("hall-1").secrets[1].expires_at  # type: ignore[union-attr]
    cable = [MQTT443, "device", "rotate", "hall-1", "--state", str(endpoint.state)]
    refused = subprocess.run(cable, capture_output=True, text=True, check=False)
    assert "over the air has not ended" in refused.stderr
    with Scripted(endpoint, "hall-1", old) as board:
        job = board.job()
    new = job["jobDocument"]["password"]
    with Scripted(endpoint, "hall-1", new) as board:
        board.end(job, "SUCCEEDED")
    done = rotate(endpoint, "hall-1")
    assert (done.returncode, done.stdout) == (0, "hall-1: done\n"), done.stderr
    assert (secrets(endpoint, "hall-1"), fits(endpoint, "hall-1", new)) == (1, 0)


def test_first_failure_stops_a_fleet_and_takes_its_password_back(endpoint: RunningCore) -> None:
    old = {name: endpoint.add_device(name) for name in ("hall-1", "hall-2")}
    arguments = [MQTT443, "device", "rotate", *old, "--over-the-air", "--yes", "--json", "--state", str(endpoint.state)]
    command = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with Scripted(endpoint, "hall-1", old["hall-1"]) as board:
        deadline = time.monotonic() + WAIT_S
        while not (started := board.ask("start-next", {})).get("execution"):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        board.end(started["execution"], "FAILED", reason="ClosedBeforeConnack")
    output, errors = command.communicate(timeout=WAIT_S)
    assert command.returncode == 1, errors
    answer = json.loads(output)
    assert answer["counts"] == {"failed": 1, "not started": 1}
    assert answer["boards"][0]["details"] == "ClosedBeforeConnack"
    for name, password in old.items():
        assert (secrets(endpoint, name), fits(endpoint, name, password)) == (1, 0)
    assert left(endpoint)["jobs"] == 0


def test_success_that_the_authorizer_has_not_seen_ends_no_password(
    endpoint: RunningCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = endpoint.add_device("hall-1")
    rotate(endpoint, "hall-1", "--follow", "0")
    with Scripted(endpoint, "hall-1", old) as board:
        board.end(board.job(), "SUCCEEDED")  # a lie: it never logged in with the new one
    backend = open_backend(endpoint.state, None, None, None)
    monkeypatch.setattr("mqtt443_tools.update.rotation.SEEN_S", 0.0)
    with open_service(endpoint.state, None, None, None) as service:
        (row,) = Rotation(backend, service, follow_s=0).run(["hall-1"])
    assert (row.result, fits(endpoint, "hall-1", old)) == ("unclear", 1)
    assert "the authorizer has not seen the new password" in row.details


@pytest.mark.parametrize("logs_in_with", ["old", "new", "neither"])
def test_job_that_was_lost_ends_with_the_password_that_the_board_uses(
    endpoint: RunningCore, monkeypatch: pytest.MonkeyPatch, logs_in_with: str
) -> None:
    old = endpoint.add_device("hall-1")
    rotate(endpoint, "hall-1", "--follow", "0")
    with open_service(endpoint.state, None, None, None) as service:
        (job,) = service.items("list_jobs", "jobs")
        new = json.loads(service.call("get_job_document", jobId=job["jobId"])["document"])["password"]
        service.call("delete_job", jobId=job["jobId"], force=True)
        if logs_in_with != "neither":
            Scripted(endpoint, "hall-1", {"old": old, "new": new}[logs_in_with]).client.socket.close()
        backend = open_backend(endpoint.state, None, None, None)
        monkeypatch.setattr("mqtt443_tools.update.rotation.SEEN_S", 0.0)
        (fresh,) = Rotation(backend, service, follow_s=0).run(["hall-1"])
        later = (*Rotation(backend, service, follow_s=0, now=lambda: time.time() + 700).run(["hall-1"]),)
    if logs_in_with == "new":
        assert [fresh.result, later[0].result] == ["unclear", "done"]  # it may have been a trial
        assert (secrets(endpoint, "hall-1"), fits(endpoint, "hall-1", new)) == (1, 0)
    elif logs_in_with == "old":
        assert [fresh.result, later[0].result] == ["failed", "waiting"]  # taken back, and begun anew
        assert fits(endpoint, "hall-1", old) == 1
    else:
        assert [fresh.result, later[0].result] == ["unclear", "unclear"]
        assert fits(endpoint, "hall-1", new) == 0
        assert fits(endpoint, "hall-1", old) == 1


def test_options_that_contradict_each_other_are_refused(endpoint: RunningCore) -> None:
    endpoint.add_device("hall-1")
    for arguments, message in (
        (["hall-1", "--drop-old"], "leave out --password, --drop-old"),
        (["hall-1", "--older-than", "3"], "--older-than goes with --all"),
        (["hall-1", "hall-2", "--out", "config.json"], "--out is for one device"),
        (["hall-2"], "hall-2: not registered"),
        ([], "name devices, or add --all"),
    ):
        done = rotate(endpoint, *arguments)
        assert done.returncode in {1, 2}, arguments
        assert message in done.stderr
        assert len(done.stderr.splitlines()) == 1
    cable = [MQTT443, "device", "rotate", "--all", "--state", str(endpoint.state)]
    assert "go with --over-the-air" in subprocess.run(cable, capture_output=True, text=True, check=False).stderr
