"""Runs many cases of hostile input through the board's own code on real MicroPython, bounded in time and memory.

What the server sends comes through the board's `Stream`, from a channel that ends after the last byte and counts each
call: code that would wait or loop forever is a separate error. The program prints the result of each case, and the heap
in use after a tenth of the cases and at the end.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mqtt443_tools.support.compile_mpy import compile_package
from mqtt443_tools.support.paths import UMQTT

from tests.support.board.interpreters import need
from tests.support.board.package import FIRMWARE

INTERPRETERS = ("alpn32", "stock-1.25")
# Cases of each fuzzer on each interpreter; in the long form 600,000 in all.
SHORT, LONG = 1_000, 75_000
HEAP_BYTES = {"alpn32": 115_000, "stock-1.25": 260_000}  # of a plain ESP32; on 64 bits about twice
BATCH = 2_000
BATCH_S = 300.0
# How many more bytes the last error of a run may leave than one of the first.
GROWTH_BYTES = 1024

CHANNEL = """
import binascii, gc, json, os, sys
from mqtt443 import errors
from mqtt443.stream import Stream

MOST_CALLS = 60000

class Channel:
    def begin(self, sizes):
        self.sizes = sizes
        self.calls = 0

    def _count(self):
        self.calls += 1
        if self.calls > MOST_CALLS:
            raise RuntimeError("reads without end")

    def readinto(self, view):
        self._count()
        if not len(view):
            raise RuntimeError("reads nothing")
        if not self.sizes:
            return 0
        n = min(self.sizes[0], len(view))
        self.sizes[0] -= n
        if not self.sizes[0]:
            del self.sizes[0]
        return cases.readinto(view[:n]) if n else None

    def write(self, buf, offset, size):
        self._count()
        tell("sent", memoryview(buf)[offset : offset + size])
        return size

    def wait(self, event, timeout_ms):
        self._count()
        return True

    def close(self):
        pass

def tell(what, data):
    sys.stdout.write(what + " ")
    for at in range(0, len(data), 512):
        sys.stdout.write(binascii.hexlify(data[at : at + 512]))
    sys.stdout.write("\\n")

channel = Channel()

def urandom(n):
    return bytes(n)

def no_ticks():
    return 0

def said(error):
    return [type(error).__name__, str(error), isinstance(error, errors.Mqtt443Error)]
"""

RUN = """
# The collector takes a stale word on the stack for a reference now and then, so the least of several counts.
SAMPLES = 10
first = last = 1 << 30
cases = open("cases", "rb")
for n in range(COUNT):
    channel.begin(json.loads(cases.readline()))
    try:
        result = json.dumps(case())
    except Exception as e:
        sys.print_exception(e)
        result = json.dumps({"broken": repr(e)})
    left = sum(channel.sizes)
    cases.seek(left, 1)
    print("left", left)
    print("=", result)
    if 0 <= n - COUNT // 10 < SAMPLES or n >= COUNT - SAMPLES:
        gc.collect()
        if n < COUNT - SAMPLES:
            first = min(first, gc.mem_alloc())
        else:
            last = min(last, gc.mem_alloc())
print("heap", json.dumps([first, last]))
"""


@dataclass(frozen=True)
class Case:
    """The result of a case.

    Attributes:
        result: what the program's `case` returned.
        told: what it reported meanwhile, and what the board sent, in order: (what, data).
        left: bytes of the case that were not read.
    """

    result: dict[str, Any]
    told: tuple[tuple[str, bytes], ...]
    left: int

    def all(self, what: str) -> list[bytes]:
        """Return all entries about `what`."""
        return [data for name, data in self.told if name == what]


def record(arrived: Sequence[bytes | None]) -> bytes:
    """A case in the program's format: the size of each piece, 0 for nothing yet, and the bytes."""
    pieces = [piece or b"" for piece in arrived]
    return json.dumps([len(piece) for piece in pieces]).encode() + b"\n" + b"".join(pieces)


TOLD = ("sent", "topic", "payload", "got", "answer")


def parsed(output: str) -> tuple[list[Case], list[int]]:
    """Parse a program's output: its cases, and the heap in use."""
    found: list[Case] = []
    told: list[tuple[str, bytes]] = []
    left = 0
    heap: list[int] = []
    errors: list[str] = []
    for line in output.splitlines():
        what, _, value = line.partition(" ")
        if what == "left":
            left = int(value)
        elif what == "=":
            found.append(Case(json.loads(value), tuple(told), left))
            told = []
        elif what == "heap":
            heap = json.loads(value)
        elif what in TOLD:
            told.append((what, bytes.fromhex(value)))
        else:
            errors.append(line)
    assert not errors, "\n".join(errors[:20])
    return found, heap


def run_cases(folder: Path, name: str, program: str, cases: Sequence[Sequence[bytes | None]]) -> list[Case]:
    """Run `program`, which defines `case()`, over cases on interpreter `name`.

    Args:
        folder: the board's root.
        name: of an interpreter.
        program: its `case` reads from `channel`, and returns what JSON can hold.
        cases: what arrives in each, piece by piece; None: nothing has come yet.

    Returns:
        What became of each case.

    Raises:
        AssertionError: if a case raised, the heap grew, or the program ended or did not end.
    """
    interpreter = need(name)
    command = (interpreter.command[0], "-X", f"heapsize={HEAP_BYTES[name]}", "program.py")
    compile_package(FIRMWARE / "mqtt443", folder / "mqtt443")
    results: list[Case] = []
    for at in range(0, len(cases), BATCH):
        batch = cases[at : at + BATCH]
        (folder / "cases").write_bytes(b"".join(record(arrived) for arrived in batch))
        (folder / "program.py").write_text(f"{CHANNEL}\nCOUNT = {len(batch)}\n{program}\n{RUN}")
        done = subprocess.run(
            command,
            check=False,
            cwd=folder,
            env={"MICROPYPATH": f"{folder}:{UMQTT}"},
            capture_output=True,
            text=True,
            timeout=BATCH_S,
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        found, heap = parsed(done.stdout)
        assert len(found) == len(batch)
        for arrived, case in zip(batch, found, strict=True):
            assert "broken" not in case.result, (case.result, arrived, done.stderr[-2000:])
        assert heap[-1] <= heap[0] + GROWTH_BYTES, f"the heap grew: {heap}"
        results += found
    return results


def check_error(case: Case) -> None:
    name, said, known = case.result["error"]
    assert known, case
    assert name != "OutOfMemory", case
    assert said.isascii(), case
    assert said.isprintable(), case
