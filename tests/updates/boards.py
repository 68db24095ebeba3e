"""Whole boards that take jobs: the unchanged boot.py and main.py on every interpreter, and a scripted server.

Each reading has an `id` that counts on across resets, so that a lost one shows.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import trustme
from mqtt443_tools.virtualboard.supervisor import PWRON_RESET

from tests.firmware.servers import context, serve_tls
from tests.support.board import flash_image
from tests.support.board.fake_time import board_pace
from tests.support.board.interpreters import need
from tests.support.board.virtual import Board
from tests.support.mqtt.job_server import JobServer

PACE = 40
THING = "dev1"
CA = trustme.CA()

# The number of the last reading outlives a reset, so that the server sees whether any is missing.
SENSORS = """
from mqtt443 import command

def _last():
    try:
        with open("count") as file:
            return int(file.read() or 0)
    except OSError:
        return 0

number = _last()

def read():
    global number
    number += 1
    with open("count", "w") as file:
        file.write(str(number))
    return {"id": number}

@command("relay")
def relay(arguments):
    return {"on": arguments["on"]}

@command("silent")
def silent(arguments):
    pass

@command("fails")
def fails(arguments):
    raise ValueError("no such relay")

@command("stuck")
def stuck(arguments):
    while True:
        pass
"""


class Updated:
    """A board and its server."""

    def __init__(self, server: JobServer, board: Board) -> None:
        self.server = server
        self.board = board

    @property
    def lines(self) -> str:
        return "\n".join(self.board.lines)

    def off(self) -> None:
        """Cut the power."""
        self.board.virtual.cut_power()

    @property
    def was_cut(self) -> bool:
        """Whether the power was cut since the board was switched on."""
        return PWRON_RESET in self.board.virtual.resets[1:]

    def check(self) -> None:
        """The board never crashed, and no reading is missing unless the power was cut, which costs those in RAM."""
        assert "Traceback" not in self.lines, self.lines
        if self.was_cut:
            return
        ids = self.server.ids
        assert ids == sorted(ids), ids
        assert not ids or set(range(ids[0], ids[-1] + 1)) == set(ids), ids


@contextlib.contextmanager
def updated(
    folder: Path,
    name: str = "alpn",
    *,
    compiled: bool = True,
    sensors: str = SENSORS,
    server: JobServer | None = None,
    on: bool = True,
    world: dict[str, Any] | None = None,
    heap_bytes: int | None = None,
    **config: Any,
) -> Iterator[Updated]:
    """A board in `folder` whose endpoint is a JobServer.

    Args:
        name: of the interpreter.
        on: whether its power is on; else its flash can be changed, and `board.power_on` switches it on.
        heap_bytes: the size of its heap; None for that of the interpreter.
        world, compiled, config: see Board.
    """
    interpreter = need(name)
    if name == "alpn32" and not compiled:
        heap_bytes = heap_bytes or 1_000_000  # a plain ESP32 has no room to compile the jobs
    if heap_bytes:
        command = (interpreter.command[0], "-X", f"heapsize={heap_bytes}")
        interpreter = replace(interpreter, command=command)
    server = server or JobServer(THING)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sensors.py").write_text(sensors)
    flash = name != "cpython"  # CPython has no littlefs: its board works in a folder
    config = {"interval_s": 5, "timeout_s": 40, "watchdog_s": 400, "updates": True, **config}
    with serve_tls(CA, context(CA), server) as served:
        board = Board(
            folder,
            interpreter,
            CA.cert_pem.bytes(),
            compiled=compiled,
            world={"pace": 1 if name == "alpn32" else PACE, **(world or {})},
            environment={} if name == "alpn32" else board_pace(PACE),  # libfaketime knows no 32-bit programs
            flash=flash,
            **{"port": served.port, "client_id": THING, "username": "u", "password": "p", "transport": "tls", **config},
        )
        running = Updated(server, board)
        if not on and board.flash is not None:
            flash_image.make(board.interpreter, board.flash, board.root)
        with board:
            if not on:
                board.virtual.cut_power()
            yield running
            running.off()
        running.check()


def document(action: str, **members: Any) -> dict[str, Any]:
    """Return a job document."""
    return json.loads(json.dumps({"mqtt443": 1, "action": action, **members}))  # type: ignore[no-any-return]


def resets(board: Board) -> list[int]:
    """Return the causes of the board's starts after the first."""
    assert board.virtual.resets[0] == PWRON_RESET
    return board.virtual.resets[1:]
