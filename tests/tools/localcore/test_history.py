"""The history: what it keeps, its bounds, and what `mqtt443 export` makes of it."""

import asyncio
import base64
import csv
import io
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from mqtt443_tools.cli import app
from mqtt443_tools.localcore.control.control_client import ControlClient
from mqtt443_tools.localcore.history import HISTORY_FILE, History, Row
from mqtt443_tools.localcore.history_writer import MAX_WAITING, HistoryWriter
from mqtt443_tools.localcore.mqtt.session import Message
from mqtt443_tools.support.errors import CommandError
from typer.testing import CliRunner

from tests.support.broken_database import break_pages


def message(number: int, client_id: str | None = "a", payload: bytes = b"{}") -> dict[str, Any]:
    return {
        "topic": f"telemetry/{client_id}",
        "payload": base64.b64encode(payload).decode(),
        "qos": 1,
        "retain": False,
        "client_id": client_id,
        "received_at": float(number),
    }


def row(number: int, client_id: str | None = "a", payload: bytes = b"{}") -> Row:
    """Return the row of `message`."""
    return float(number), client_id, f"telemetry/{client_id}", 1, 0, payload


def event(number: int) -> dict[str, Any]:
    return {"time": float(number), "outcome": "refused", "reason": "R", "detail": "d", "client_id": "a"}


def test_stored_state_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / HISTORY_FILE
    history = History(path, now=lambda: 10.0)
    history.add([row(1), row(2, "b"), row(3)], [event(1)])
    history.close()
    history = History(path)
    assert history.messages() == [message(1), message(2, "b"), message(3)]
    assert history.messages(client_id="a", limit=1) == [message(3)]
    assert sorted(each["received_at"] for each in history.last_of_each_client()) == [2.0, 3.0]
    assert history.events() == [event(1)]
    history.close()


def test_age_is_bounded(tmp_path: Path) -> None:
    history = History(tmp_path / HISTORY_FILE, max_age_s=100, now=lambda: 1000.0)
    history.add([row(1), row(899), row(901)], [event(1), event(950)])
    for _ in range(20):
        history.add([], [])
    assert [each["received_at"] for each in history.messages()] == [901.0]
    assert history.events() == [event(950)]
    history.close()


def test_entries_from_a_wrong_clock_cost_only_themselves(tmp_path: Path) -> None:
    path = tmp_path / HISTORY_FILE

    def kept(now: int, *added: int) -> list[float]:
        history = History(path, max_age_s=100, now=lambda: now)
        history.add([row(at) for at in added], [])
        for _ in range(20):
            history.add([], [])
        found = [each["received_at"] for each in history.messages()]
        history.close()
        return found

    assert kept(1000, 1, 950) == [950]
    assert kept(2, 2, 3) == [950, 2, 3], "the host starts without a clock"
    assert kept(1010, 1010) == [950, 2, 3, 1010]
    assert kept(1100) == [1010]


def test_check_of_the_bounds_costs_the_same_with_any_history(tmp_path: Path) -> None:
    history = History(tmp_path / HISTORY_FILE)
    now = int(time.time())
    history.add([row(now)] * 20_000, [event(now)] * 20_000)
    instructions = list[int]()
    history._db.set_progress_handler(lambda: instructions.append(1000), 1000)
    history._prune()
    assert instructions == [], "less than 1000 in all"
    assert len(history.messages(limit=20_000)) == 20_000
    assert instructions != []
    history.close()


def test_size_is_bounded_and_the_newest_stay(tmp_path: Path) -> None:
    path, limit = tmp_path / HISTORY_FILE, 1024 * 1024
    history = History(path, max_bytes=limit, now=lambda: 0.0)
    for number in range(400):
        history.add([row(number, payload=b"x" * 8192)], [event(number)])
    kept = history.messages()
    assert kept[-1]["received_at"] == 399.0
    assert 0 < len(kept) < 200
    history.close()
    assert path.stat().st_size < 1.5 * limit


def test_reader_sees_concurrent_writes_of_the_endpoint(tmp_path: Path) -> None:
    writer, reader = History(tmp_path / HISTORY_FILE), History(tmp_path / HISTORY_FILE)
    writer.add([row(1)], [event(1)])
    assert (reader.messages(), reader.events()) == ([message(1)], [event(1)])
    writer.close()
    reader.close()


def test_endpoint_keeps_messages_and_events_without_a_console(tmp_path: Path) -> None:
    with endpoint_without_console(tmp_path) as stop:
        with ControlClient(tmp_path) as control:
            control.publish("garden/a", b"kept", "x", time.monotonic() + 5)
        stop()
    lines = CliRunner().invoke(app, ["export", "--state", str(tmp_path)]).output.splitlines()
    (kept,) = (json.loads(line) for line in lines)
    assert (kept["topic"], base64.b64decode(kept["payload"])) == ("garden/a", b"kept")
    assert {each.name: each.stat().st_mode & 0o077 for each in tmp_path.glob("history*")} == {HISTORY_FILE: 0}


@contextmanager
def endpoint_without_console(state: Path) -> Iterator[Callable[[], None]]:
    """Run `mqtt443 local`; yields the call that stops it and waits for its end."""
    command = (sys.executable, "-c", "from mqtt443_tools.cli import main; main()", "local", "--no-console")
    with subprocess.Popen(
        [*command, "--port", "0", "--state", str(state)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:

        def stop() -> None:
            process.send_signal(2)
            assert process.wait(20) == 0

        try:
            assert process.stdout is not None
            assert "ready" in process.stdout.readline()
            yield stop
        finally:
            process.kill()


def test_entries_too_fast_for_the_disk_are_counted_and_not_stored(tmp_path: Path) -> None:
    history, said = History(tmp_path / HISTORY_FILE), list[str]()
    writer = HistoryWriter(history, lambda _: None, said.append)
    for number in range(MAX_WAITING + 3):
        writer.take_message(Message("t", b"", 0, False, "a", float(number)))
    asyncio.run(writer.flush())
    assert len(history.messages(limit=2 * MAX_WAITING)) == MAX_WAITING
    assert said == ["history: 3 messages and events came too fast for the disk and were not stored"]
    history.close()


def test_failing_disk_is_logged_and_ends_nothing(tmp_path: Path) -> None:
    history, said = History(tmp_path / HISTORY_FILE), list[str]()
    writer = HistoryWriter(history, lambda _: None, said.append)
    writer.take_message(Message("t", b"", 0, False, "a", 1.0))
    history.close()
    asyncio.run(writer.flush())
    assert "1 messages and events were not stored" in said[0]


def test_export_writes_ndjson_and_csv(tmp_path: Path) -> None:
    history = History(tmp_path / HISTORY_FILE)
    history.add([row(4_000_000_000, "=1+1")], [event(4_000_000_000)])
    history.close()
    lines = CliRunner().invoke(app, ["export", "--state", str(tmp_path)]).output.splitlines()
    assert [json.loads(line) for line in lines] == [message(4_000_000_000, "=1+1")]
    rows = CliRunner().invoke(app, ["export", "--csv", "--state", str(tmp_path)]).output
    assert next(csv.DictReader(io.StringIO(rows)))["client_id"] == "'=1+1"
    events = CliRunner().invoke(app, ["export", "--events", "--state", str(tmp_path)]).output
    assert json.loads(events) == event(4_000_000_000)


@pytest.mark.parametrize(("arguments", "wanted"), [(["--since", "soon"], "--since soon"), ([], "does not exist")])
def test_export_says_what_is_wrong(tmp_path: Path, arguments: list[str], wanted: str) -> None:
    result = CliRunner().invoke(app, ["export", "--state", str(tmp_path), *arguments])
    assert wanted in str(result.exception)


def test_broken_file_is_one_line_with_the_next_step(tmp_path: Path) -> None:
    path = tmp_path / HISTORY_FILE
    history = History(path)
    history.add([row(number, payload=b"x" * 500) for number in range(100)], [])
    history.close()
    break_pages(path)
    history = History(path)
    reads = (history.messages, history.last_of_each_client, history.events, lambda: list(history.export("messages", 0)))
    for read in reads:
        with pytest.raises(CommandError, match=rf"{path}: database disk image is malformed: delete the file; it"):
            read()
    history.close()


def test_file_that_cannot_be_opened_is_not_to_be_deleted(tmp_path: Path) -> None:
    (tmp_path / HISTORY_FILE).mkdir(mode=0o700)
    with pytest.raises(CommandError, match=r"history\.sqlite: Is a directory$"):
        History(tmp_path / HISTORY_FILE)


def test_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / HISTORY_FILE
    path.write_bytes(b"x" * 5000)
    path.chmod(0o600)
    result = CliRunner().invoke(app, ["export", "--state", str(tmp_path)])
    assert "delete the file" in str(result.exception)
