"""The history: what it keeps, its bounds, and what `mqtt443 export` makes of it."""

import base64
import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from mqtt443_tools.cli import app
from mqtt443_tools.console.history import HISTORY_FILE, History
from typer.testing import CliRunner


def message(number: int, client_id: str | None = "a", payload: bytes = b"{}") -> dict[str, Any]:
    return {
        "topic": f"telemetry/{client_id}",
        "payload": base64.b64encode(payload).decode(),
        "qos": 1,
        "retain": False,
        "client_id": client_id,
        "received_at": float(number),
    }


def decision(number: int) -> dict[str, Any]:
    return {"time": float(number), "outcome": "refused", "reason": "R", "detail": "d", "client_id": "a"}


def test_what_is_kept_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / HISTORY_FILE
    history = History(path, now=lambda: 10.0)
    history.add([message(1), message(2, "b"), message(3)], [decision(1)])
    history.close()
    history = History(path)
    assert history.messages() == [message(1), message(2, "b"), message(3)]
    assert history.messages(client_id="a", limit=1) == [message(3)]
    assert sorted(each["received_at"] for each in history.last_of_each_client()) == [2.0, 3.0]
    assert history.decisions() == [decision(1)]
    history.close()


def test_age_is_bounded(tmp_path: Path) -> None:
    history = History(tmp_path / HISTORY_FILE, max_age_s=100, now=lambda: 1000.0)
    history.add([message(1), message(899), message(901)], [decision(1), decision(950)])
    for _ in range(20):
        history.add([], [])
    assert [each["received_at"] for each in history.messages()] == [901.0]
    assert history.decisions() == [decision(950)]
    history.close()


def test_size_is_bounded_and_the_newest_stay(tmp_path: Path) -> None:
    path, limit = tmp_path / HISTORY_FILE, 1024 * 1024
    history = History(path, max_bytes=limit, now=lambda: 0.0)
    for number in range(400):
        history.add([message(number, payload=b"x" * 8192)], [decision(number)])
    kept = history.messages()
    assert kept[-1]["received_at"] == 399.0
    assert 0 < len(kept) < 200
    history.close()
    assert path.stat().st_size < 1.5 * limit


def test_second_console_reads_and_does_not_write(tmp_path: Path) -> None:
    first, second = History(tmp_path / HISTORY_FILE), History(tmp_path / HISTORY_FILE)
    first.add([message(1)], [])
    second.add([message(1)], [])
    assert second.messages() == [message(1)]
    first.close()
    second.close()


def test_export_writes_ndjson_and_csv(tmp_path: Path) -> None:
    history = History(tmp_path / HISTORY_FILE)
    history.add([message(4_000_000_000, "=1+1")], [decision(4_000_000_000)])
    history.close()
    lines = CliRunner().invoke(app, ["export", "--state", str(tmp_path)]).output.splitlines()
    assert [json.loads(line) for line in lines] == [message(4_000_000_000, "=1+1")]
    rows = CliRunner().invoke(app, ["export", "--csv", "--state", str(tmp_path)]).output
    assert next(csv.DictReader(io.StringIO(rows)))["client_id"] == "'=1+1"
    decisions = CliRunner().invoke(app, ["export", "--decisions", "--state", str(tmp_path)]).output
    assert json.loads(decisions) == decision(4_000_000_000)


@pytest.mark.parametrize(("arguments", "wanted"), [(["--since", "soon"], "--since soon"), ([], "does not exist")])
def test_export_says_what_is_wrong(tmp_path: Path, arguments: list[str], wanted: str) -> None:
    result = CliRunner().invoke(app, ["export", "--state", str(tmp_path), *arguments])
    assert wanted in str(result.exception)


def test_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / HISTORY_FILE).write_bytes(b"x" * 5000)
    result = CliRunner().invoke(app, ["export", "--state", str(tmp_path)])
    assert "delete the file" in str(result.exception)
