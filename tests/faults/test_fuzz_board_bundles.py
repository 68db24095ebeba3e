"""Mutated bundles of updates for the board: it stages what was sent, where it may, or says why not.

The board's code runs on real MicroPython. Seeded: MQTT443_SEED repeats a run.
"""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.faults.board_fuzz import INTERPRETERS, Case, run_cases
from tests.faults.conftest import Form
from tests.faults.mutations import mutated

SHORT, LONG = 300, 20_000  # each writes files

BUNDLES = """
from mqtt443 import bundle, job_record
from mqtt443.job_end import Finished

def files(folder):
    for name in os.listdir(folder):
        path = folder + "/" + name
        if os.stat(path)[0] & 0x4000:
            for found in files(path):
                yield found
        else:
            yield path

def staged(base):
    for path in files("jail"):
        if path.startswith(base):
            with open(path, "rb") as file:
                tell("topic", path.encode())
                tell("payload", file.read())

def case():
    job_record.wipe("jail")
    os.mkdir("jail")
    os.mkdir("jail/board")
    values = json.loads(cases.read(channel.sizes.pop(0)))
    package = "slot_b/mqtt443" if values.pop("package") else None
    end = "whole"
    try:
        unpacked = bundle.Bundle("jail/board/", values, package)
        unpacked.wipe()
        unpacked.open()
        while channel.sizes:
            unpacked.feed(cases.read(channel.sizes.pop(0)))
        unpacked.check()
    except (Finished, bundle.Spoiled) as e:
        end = type(e).__name__
        if end == "Finished":
            end = e.args[0] + " " + e.args[1]["reason"]
    except OSError as e:
        end = "flash"
    staged("jail/")
    return {"end": end}
"""
PATHS = ("../x", "/etc/x", "boot.py", "a" * 97, "a//b", "x\0y", "config.json", ".", "lib", "lib/mqtt443/app.py", "")


def entry(source: random.Random, path: str, content: bytes) -> bytes:
    """One file of a bundle, mostly a right one."""
    values: dict[str, Any] = {"path": path, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    if source.random() < 0.1:
        values["path"] = source.choice(PATHS)
    if source.random() < 0.1:
        values = {"path": path, "delete": source.choice((True, True, False, 1, "x"))}
        content = b""
    if source.random() < 0.1:
        values[source.choice(list(values))] = source.choice((None, -1, 1.5, [], {}, "x", 2**70, True))
    return json.dumps(values).encode() + b"\n" + content


def sent(source: random.Random) -> tuple[list[bytes | None], dict[str, Any], bytes]:
    """What arrives of a bundle, the job's values, and the bundle."""
    package = source.random() < 0.3
    names = ["lib/mqtt443/a.py", "lib/mqtt443/b.mpy"] if package else ["sensors.py", "lib/a.py", "deep/er/b.bin"]
    data = b"".join(entry(source, name, source.randbytes(source.choice((0, 5, 300)))) for name in names)
    data = mutated(source, data)
    values = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest(), "data": "", "package": package}
    if source.random() < 0.1:
        values[source.choice(("size", "sha256", "data"))] = source.choice((None, -1, True, "x", 2**40))
    step = source.choice((1, 64, 256, 1000))
    return [json.dumps(values).encode(), *(data[at : at + step] for at in range(0, len(data), step))], values, data


def check_staged(case: Case, values: dict[str, Any], data: bytes) -> None:
    for path, content in zip(case.all("topic"), case.all("payload"), strict=True):
        name = path.decode()
        assert name.startswith("jail/board/"), (case, data)
        below = name.removeprefix("jail/board/")
        if below == "update/index":
            assert content == b"" or content.endswith(b"\n"), (case, data)
        elif values["package"]:
            assert below.startswith("slot_b/mqtt443/"), (case, data)
        else:
            assert below.endswith(".staged"), (case, data)
            assert not below.startswith(("boot.py", "config.json", "lib/mqtt443/")), (case, data)
        assert below == "update/index" or content in data, (case, data)


@pytest.mark.parametrize("name", INTERPRETERS)
def test_mutated_bundle_is_staged_where_it_may_be_or_refused(tmp_path: Path, form: Form, name: str) -> None:
    source = form.random("board bundles " + name)
    bundles = [sent(source) for _ in range(form.pick(SHORT, LONG))]
    whole = 0
    cases = run_cases(tmp_path, name, BUNDLES, [arrived for arrived, _, _ in bundles])
    for (_, values, data), case in zip(bundles, cases, strict=True):
        whole += case.result["end"] == "whole"
        assert case.result["end"].isprintable(), (case, data)
        check_staged(case, values, data)
    assert len(bundles) // 10 < whole < len(bundles), "mutations that change everything, or nothing, find nothing"
