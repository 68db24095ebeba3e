"""The package over the air: into the other slot, on trial, and back whatever is wrong with the new one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from mqtt443 import __version__
from mqtt443_tools.virtualboard.supervisor import HARD_RESET, PWRON_RESET, WDT_RESET

from tests.support.board import flash_image
from tests.support.mqtt.job_server import Execution, JobServer
from tests.updates.boards import THING, document, resets, updated
from tests.updates.bundles import bundle, inline, stream
from tests.updates.packages import BAD, NEW_VERSION, bad, for_boards, package
from tests.updates.test_files import file_on
from tests.updates.test_jobs import KINDS


def add(server: JobServer, name: str, files: Mapping[str, bytes | None], version: str = NEW_VERSION) -> Execution:
    """Queue a job with that package."""
    return server.add(name, document("package", version=version, bundle=stream(server, name, bundle(files))))


def told(server: JobServer, job: str) -> dict[str, Any]:
    """Return what the board reported once about a job."""
    found = [each["link"] for each in server.telemetry if (server.news(each) or "").startswith(job + " ")]
    assert len(found) == 1, found
    return {key: found[0][key] for key in ("version", "slot", "job")}


@pytest.mark.parametrize(("name", "compiled"), KINDS)
def test_package_goes_into_the_other_slot_and_the_next_one_back(tmp_path: Path, name: str, compiled: bool) -> None:
    server = JobServer(THING)
    files = dict(package(compiled)) if name == "cpython" else for_boards(package(compiled))
    older = dict(package(compiled, "0.4.9")) if name == "cpython" else for_boards(package(compiled, "0.4.9"))
    up, down = add(server, "up", files), add(server, "down", older, "0.4.9")
    with updated(tmp_path, name, compiled=compiled, server=server, max_message_bytes=2048) as running:
        server.wait_for(down)
        assert [up.status, down.status] == ["SUCCEEDED"] * 2, server.executions
        assert up.history[-2] == ("IN_PROGRESS", {"step": "switch"})
        assert (up.details["version"], down.details["version"]) == (NEW_VERSION, "0.4.9")
        assert told(server, "up") == {"version": NEW_VERSION, "slot": "b", "job": "up SUCCEEDED"}
        assert told(server, "down") == {"version": "0.4.9", "slot": "a", "job": "down SUCCEEDED"}
        assert resets(running.board) == [HARD_RESET] * 2
        running.off()
        assert file_on(running, "slot") == b"a - "


FAULTS = [
    *((name, fault) for name in ("alpn", "stock-1.25") for fault in (*BAD, "syntax error")),
    ("alpn32", "syntax error"),
    ("alpn32", "out of memory"),
]


@pytest.mark.parametrize(("name", "fault"), FAULTS)
def test_package_that_cannot_work_ends_on_the_old_slot_and_is_reported(tmp_path: Path, name: str, fault: str) -> None:
    server = JobServer(THING)
    files = bad(BAD.get(fault, "def broken(:\n"))
    job = server.add("bad", document("package", version="9", bundle=inline(bundle(files))))
    with updated(tmp_path, name, server=server, max_message_bytes=1024, interval_s=60) as running:
        server.wait_for(job)
        assert job.status == "FAILED"
        assert told(server, "bad") == {"version": __version__, "slot": "a", "job": "bad FAILED"}
        assert len(resets(running.board)) == 3
        assert resets(running.board)[0] == HARD_RESET
        if fault == "hangs":
            assert resets(running.board)[1:] == [WDT_RESET] * 2
        reason = {
            "out of memory": "MemoryError",
            "raises": "ValueError: no",
            "syntax error": "SyntaxError: invalid syntax",
            "has no run": "ImportError",
        }.get(fault, "two starts")
        assert reason in job.details["reason"], job


def test_package_that_cannot_connect_ends_on_the_old_slot(tmp_path: Path) -> None:
    server = JobServer(THING)
    server.accept = lambda password: password == "p"
    # A whole package, except that it sends a wrong password.
    files = for_boards(package(False))
    connection = files["lib/mqtt443/connection.py"]
    assert connection is not None
    changed = connection.replace(b"client.pswd", b"b'other'")
    assert changed != connection
    files["lib/mqtt443/connection.py"] = changed
    job = add(server, "mute", files)
    with updated(tmp_path, server=server, compiled=False, max_message_bytes=4096, interval_s=20) as running:
        server.wait_for(job)
        assert job.status == "FAILED"
        assert "ClosedBeforeConnack" in job.details["reason"], job
        assert told(server, "mute")["slot"] == "a"
        assert len(resets(running.board)) == 3


def test_board_that_sleeps_is_moved_to_a_new_package(tmp_path: Path) -> None:
    server = JobServer(THING)
    job = add(server, "up", for_boards(package(True)))
    with updated(tmp_path, server=server, deep_sleep=True, interval_s=20, max_message_bytes=4096):
        server.wait_for(job)
        assert job.status == "SUCCEEDED"
        server.wait_until(lambda: len(server.telemetry) > 5)


def test_board_with_an_older_boot_py_fails_the_job_and_runs_on(tmp_path: Path) -> None:
    server = JobServer(THING)
    job = add(server, "up", for_boards(package(True)))
    (tmp_path / "board").mkdir()
    with updated(tmp_path, server=server, on=False, max_message_bytes=4096) as running:
        board = running.board
        assert board.flash is not None
        flash_image.write(board.interpreter, board.flash, {"boot.py": b'"""Nothing."""\n'})
        board.power_on()
        server.wait_for(job)
        assert job.status == "FAILED"
        assert "boot.py has no slots" in job.details["reason"]


REJECTED: list[tuple[Any, str]] = [
    (document("package", bundle={}), "version is missing"),
    (document("package", version="1", bundle=inline(bundle({"lib/other/x.py": b""}))), "is not of the package"),
    (document("package", version="1", bundle=inline(bundle({"lib/mqtt443/x.txt": b""}))), "is not of the package"),
    (document("package", version="1", bundle=inline(bundle({"lib/mqtt443/x.py": None}))), "is not of the package"),
    (document("package", version="1", bundle=inline(bundle({"lib/mqtt443/a/x.py": b""}))), "is not of the package"),
]


def test_bundles_that_are_not_a_package_are_rejected(tmp_path: Path) -> None:
    server = JobServer(THING)
    jobs = [server.add(f"j{n}", each) for n, (each, _) in enumerate(REJECTED)]
    with updated(tmp_path, server=server, max_message_bytes=1024) as running:
        server.wait_for(jobs[-1])
        for job, (_, reason) in zip(jobs, REJECTED, strict=True):
            assert job.status == "REJECTED"
            assert reason in job.details["reason"], job
        assert resets(running.board) == []


def test_failed_package_does_not_decide_the_next_one(tmp_path: Path) -> None:
    server = JobServer(THING)
    server.add("bad", document("package", version="9", bundle=inline(bundle(bad("def broken(:\n")))))
    good = add(server, "good", for_boards(package(True)))
    with updated(tmp_path, server=server, max_message_bytes=4096) as running:
        server.wait_for(good)
        assert [job.status for job in server.executions] == ["FAILED", "SUCCEEDED"]
        assert PWRON_RESET not in resets(running.board)
