"""A power cut at any block write during a job leaves the old state or the new one, and a true status."""

import itertools
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mqtt443 import __version__

from tests.faults.conftest import LONGEST_S, SOAK, Form, form
from tests.support.mqtt.job_server import Execution, JobServer
from tests.updates.boards import CA, THING, Updated, document, updated
from tests.updates.bundles import bundle, stream
from tests.updates.packages import bad, for_boards, package
from tests.updates.test_config import config_on
from tests.updates.test_files import file_on

__all__ = ["form"]

# Nothing of this board writes to flash but its own program.
SENSORS = """
import os
from mqtt443 import command

@command("relay")
def relay(arguments):
    return {"on": arguments["on"]}

def read():
    return {"heap": len(os.urandom(4))}
"""


@dataclass(frozen=True)
class Kind:
    """A kind of job: its document, about how many block writes each start has, and what must be true at its end."""

    document: dict[str, Any]
    writes: tuple[int, ...]
    check: Callable[[Updated, Execution], None]


def check_restart(_: Updated, job: Execution) -> None:
    assert job.status == "SUCCEEDED"


def check_command(_: Updated, job: Execution) -> None:
    # Cut off while it ran or was about to, it must not run again.
    assert job.status == "SUCCEEDED" or job.details["reason"].endswith(("may have run or not", "its result is unknown"))


def check_config(running: Updated, job: Execution) -> None:
    assert job.status == "SUCCEEDED"
    kept = config_on(running)
    assert (kept["password"], kept["interval_s"]) == ("new", 4)


def check_refused_config(running: Updated, job: Execution) -> None:
    assert job.status == "FAILED"
    kept = config_on(running)
    assert (kept["password"], kept["interval_s"]) == ("p", 5)


def config(password: str) -> dict[str, Any]:
    return document("config", set={"password": password, "interval_s": 4}, within_s=40)


FILES: dict[str, bytes | None] = {
    "lib/a.bin": bytes(range(200)) * 6,
    "sensors.py": SENSORS.replace('"heap"', '"new"').encode(),
    "lib/old.txt": None,
}


def check_files(running: Updated, job: Execution) -> None:
    assert job.status == "SUCCEEDED", job
    for path, content in FILES.items():
        assert file_on(running, path) == content


def check_refused_files(running: Updated, job: Execution) -> None:
    assert job.status == "FAILED", job
    assert file_on(running, "ca.pem") == CA.cert_pem.bytes()
    assert file_on(running, "lib/a.bin") is None
    assert file_on(running, "lib/old.txt") == b"old"


def check_package(running: Updated, job: Execution) -> None:
    assert job.status == "SUCCEEDED", job
    assert (file_on(running, "slot") or b"").startswith(b"b"), job


def check_refused_package(running: Updated, job: Execution) -> None:
    assert job.status == "FAILED", job
    assert not (file_on(running, "slot") or b"").startswith(b"b"), job


def password(new: str) -> dict[str, Any]:
    return document("password", password=new, within_s=40)


def check_password(running: Updated, job: Execution) -> None:
    assert job.status == "SUCCEEDED"
    assert config_on(running)["password"] == "new"


def check_refused_password(running: Updated, job: Execution) -> None:
    assert job.status == "FAILED"
    assert config_on(running)["password"] == "p"


def check_report(_: Updated, job: Execution) -> None:
    assert job.status == "SUCCEEDED"
    assert json.loads(job.details["report"])["version"] == __version__


KINDS = {
    "report": Kind(document("report"), (5,), check_report),
    "restart": Kind(document("restart"), (13, 7), check_restart),
    "command": Kind(document("command", name="relay", args={"on": 1}), (19,), check_command),
    "config": Kind(config("new"), (20, 23), check_config),
    "files": Kind(document("files", bundle="FILES"), (64, 27), check_files),
    "refused files": Kind(document("files", bundle="REFUSED"), (65, 41), check_refused_files),
    "password": Kind(password("new"), (20, 23), check_password),
    "refused password": Kind(password("bad"), (20, 39, 9), check_refused_password),
    "package": Kind(document("package", version="0.5.0", bundle="PACKAGE"), (2726, 21), check_package),
    "refused package": Kind(document("package", version="9", bundle="BROKEN"), (33, 6, 6, 12), check_refused_package),
    "refused config": Kind(config("bad"), (20, 40, 6), check_refused_config),
}


@pytest.mark.timeout(2 * LONGEST_S if SOAK else 240)
@pytest.mark.parametrize("kind", KINDS)
def test_cut_at_any_write_leaves_the_old_state_or_the_new_one(tmp_path: Path, form: Form, kind: str) -> None:
    what = KINDS[kind]
    if SOAK:
        counts = tuple(every_cut(tmp_path, what))
        print(kind, counts)
        assert sum(counts) >= sum(what.writes) // 2, "the search for the last write ended early"
        return
    source, each = form.random(f"power {kind}"), -(-4 // len(what.writes))
    chosen = [
        (start, write)
        for start, writes in enumerate(what.writes, 1)
        for write in source.sample(range(1, writes + 1), min(each, writes))
    ]
    fired = sum(cut(tmp_path, what, start, write) for start, write in chosen)
    assert fired >= len(chosen) // 2, "most of these writes do not exist"


def every_cut(folder: Path, what: Kind) -> Iterator[int]:
    """Cut the power at every write of every start that a job takes; yield how many writes each start has."""
    for start in itertools.count(1):
        writes = next(write - 1 for write in itertools.count(1) if not cut(folder, what, start, write))
        if not writes:
            return
        yield writes


def cut(folder: Path, what: Kind, start: int, write: int) -> bool:
    """Let a board carry out the job, its power cut at one write; check its end, and return whether there was a cut."""
    server = JobServer(THING)
    server.accept = lambda password: password != "bad"
    bundles: dict[str, dict[str, bytes | None]] = {
        "FILES": FILES,
        "REFUSED": {**FILES, "sensors.py": None, "ca.pem": b"no certificate"},
        "PACKAGE": for_boards(package(True)),
        "BROKEN": bad("def broken(:\n"),
    }
    wanted = dict(what.document)
    if name := wanted.get("bundle"):
        wanted["bundle"] = stream(server, "st", bundle(bundles[name]))
    job = server.add("job", wanted)
    folder /= f"{start}-{write}"
    (folder / "board" / "lib").mkdir(parents=True)
    (folder / "board" / "lib" / "old.txt").write_text("old")
    (folder / "board" / "sensors.py").write_text(SENSORS)
    with updated(folder, server=server, sensors=SENSORS, on=False, max_message_bytes=1024) as running:
        running.board.power_on(power_cut_at_write=write, power_cut_in_start=start)
        server.wait_until(lambda: job.is_terminal, f"cut in start {start} at {write}")
        seen = len(server.telemetry)
        server.wait_until(lambda: len(server.telemetry) > seen + 2)
        was_cut = running.was_cut
        print(start, write, was_cut, job.status, job.details)
        running.off()
        what.check(running, job)
    shutil.rmtree(folder)
    return was_cut
