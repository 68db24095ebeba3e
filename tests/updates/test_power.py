"""A power cut at any block write during a job leaves the old state or the new one, and a true status."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.faults.conftest import SOAK, Form, form
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
    """A kind of job: its document, the block writes of each start, and what must be true at its end."""

    document: dict[str, Any]
    writes: tuple[int, ...]
    check: Callable[[Updated, Execution], None]


def check_restart(_: Updated, job: Execution) -> None:
    assert job.status == "SUCCEEDED"


def check_command(_: Updated, job: Execution) -> None:
    # Cut off while it ran or was about to, it must not run again.
    assert job.status == "SUCCEEDED" or job.details["reason"].endswith(("may have run or not", "how it went"))


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


KINDS = {
    "restart": Kind(document("restart"), (10, 10), check_restart),
    "command": Kind(document("command", name="relay", args={"on": 1}), (12,), check_command),
    "config": Kind(config("new"), (20, 24), check_config),
    "files": Kind(document("files", bundle="FILES"), (90, 60), check_files),
    "refused files": Kind(document("files", bundle="REFUSED"), (90, 60, 5), check_refused_files),
    "password": Kind(password("new"), (20, 24), check_password),
    "refused password": Kind(password("bad"), (20, 30, 5), check_refused_password),
    "package": Kind(document("package", version="0.5.0", bundle="PACKAGE"), (150, 10), check_package),
    "refused package": Kind(document("package", version="9", bundle="BROKEN"), (20, 10, 5), check_refused_package),
    "refused config": Kind(config("bad"), (20, 30, 5), check_refused_config),
}


@pytest.mark.parametrize("kind", KINDS)
def test_cut_at_any_write_leaves_the_old_state_or_the_new_one(tmp_path: Path, form: Form, kind: str) -> None:
    what = KINDS[kind]
    cuts = [(start, write) for start, writes in enumerate(what.writes, 1) for write in range(1, writes + 1)]
    chosen = cuts if SOAK else form.random(f"power {kind}").sample(cuts, 4)
    fired = 0
    for start, write in chosen:
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
        folder = tmp_path / f"{start}-{write}"
        (folder / "board" / "lib").mkdir(parents=True)
        (folder / "board" / "lib" / "old.txt").write_text("old")
        (folder / "board" / "sensors.py").write_text(SENSORS)
        world = {"power_cut_at_write": write, "power_cut_in_start": start}
        with updated(folder, server=server, sensors=SENSORS, on=False, max_message_bytes=1024) as running:
            running.board.power_on(**world)
            server.wait_until(lambda job=job: job.is_terminal, f"cut in start {start} at {write}")  # type: ignore[misc]
            seen = len(server.telemetry)
            server.wait_until(lambda server=server, seen=seen: len(server.telemetry) > seen + 2)  # type: ignore[misc]
            fired += running.was_cut
            print(start, write, running.was_cut, job.status, job.details)
            running.off()
            what.check(running, job)
    assert fired >= len(chosen) // 2, "most of these writes do not exist"
