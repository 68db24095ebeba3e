"""Any misbehaviour of sensors.py costs only the reading in which it happens: not the link, a message or the program."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.faults.boards import rig
from tests.support.board import interpreters
from tests.support.board.lives import living
from tests.support.board.virtual import Board
from tests.support.mqtt.endpoint import RunningCore
from tests.support.mqtt.relay import UNHARMED

SIZES = (1000, 3500, 4096, 7000, 9000, 10_000, 16_000, 22_000, 28_000, 34_000, 40_000)
LARGE = b"""
sizes = %r
n = -1

def read():
    global n
    n = min(n + 1, len(sizes) - 1)
    return {"size": sizes[n], "raw": "x" * sizes[n], "by_call": lambda: "y" * 2 * sizes[n], "small": 1}
"""
HEAPS = {"alpn32": 115_000, "stock": 230_000}  # objects of the 64-bit build are twice as large


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCore]:
    with RunningCore(tmp_path_factory.mktemp("state")) as core:
        yield core


def telemetry(endpoint: RunningCore, client_id: str) -> dict[str, Any]:
    while True:
        message = endpoint.next_message()
        if message.topic == f"telemetry/{client_id}":
            loaded: dict[str, Any] = json.loads(message.payload.decode())  # strictly UTF-8
            return loaded


@pytest.mark.parametrize("name", HEAPS)
def test_reading_that_does_not_fit_costs_that_reading_alone(endpoint: RunningCore, tmp_path: Path, name: str) -> None:
    client_id = f"large-{name}"
    interpreter = interpreters.need(name)
    program = (interpreter.command[0], "-X", f"heapsize={HEAPS[name]}")
    with Board(
        tmp_path,
        replace(interpreter, command=program),
        endpoint.ca.read_bytes(),
        compiled=True,
        port=endpoint.port,
        client_id=client_id,
        username=client_id,
        password=endpoint.add_device(client_id),
        files={"sensors.py": LARGE % (SIZES,)},
    ) as board:
        messages = [telemetry(endpoint, client_id) for _ in SIZES]
    assert [message["seq"] for message in messages] == list(range(1, len(SIZES) + 1))
    for size, message in zip(SIZES, messages, strict=True):
        named = message.get("errors", {})
        assert "link" not in message
        if "sensors" in named:  # read() itself ran out of memory
            assert size > 20_000
            assert named["sensors"].startswith("MemoryError")
        else:
            assert (message["size"], message["small"]) == (size, 1)
            assert len(message.get("raw", "")) == (size if size <= 3500 else 0)
            assert set(named) == ({"raw", "by_call"} if size > 3500 else {"by_call"} if size > 1000 else set())
    assert sum("connected to" in line for line in board.lines) == 1


LEAVES = {
    "SystemExit": "import sys\nsys.exit()",
    "CancelledError": "import asyncio\nraise asyncio.CancelledError",
    "GeneratorExit": "raise GeneratorExit",
    "MemoryError": "raise MemoryError",
    "BaseException": "raise BaseException('no')",
    "text that fails": "class E(BaseException):\n    def __str__(self):\n        raise SystemExit\nraise E",
    "text that is not UTF-8": "raise OSError(chr(0xD800))",
    "recursion": "def f():\n    f()\nf()",
}


def indented(source: str, by: int) -> str:
    return "".join(" " * by + line + "\n" for line in source.split("\n"))


@pytest.mark.parametrize("place", ["import", "read", "value"])
def test_any_exception_of_user_code_is_named(endpoint: RunningCore, tmp_path: Path, place: str) -> None:
    for number, source in enumerate(LEAVES.values()):
        files = {"sensors.py": program(place, source).encode("latin-1")}
        folder = tmp_path / f"{place}-{number}"
        with rig(endpoint, folder, lambda _: UNHARMED, name="stock", transport="wss", files=files) as running:
            running.wait_for_more(3)
        assert running.errors == [], running.board.lines
        assert sum("connected to" in line for line in running.board.lines) == 1


def program(place: str, source: str) -> str:
    """Return a sensors.py that runs `source` in that place."""
    if place == "import":
        return source + "\ndef read():\n    return {}\n"
    if place == "read":
        return "def read():\n" + indented(source, 4)
    return "def read():\n    return {'good': 1, 'bad': bad}\ndef bad():\n" + indented(source, 4)


def test_command_that_raises_anything_is_refused(endpoint: RunningCore, tmp_path: Path) -> None:
    handlers = "".join(
        f"@mqtt443.command('{number}')\ndef leave(_):\n" + indented(source, 4)
        for number, source in enumerate(LEAVES.values())
    )
    sensors = "import mqtt443\n" + handlers + "def read():\n    return {}\n"
    with living(endpoint, tmp_path / "leaves", sensors=sensors, interval_s=3600, keepalive_s=1200) as board:
        board.wait_for_next()
        for number in range(len(LEAVES)):
            board.send({"command": str(number), "request_id": "1"})
            board.board.wait_for(f"command refused: {number} raised")
        board.wait_until(lambda: len(board.readings) > len(LEAVES))
    assert sum("connected to" in line for line in board.board.lines) == 1
