"""Whole boards through several starts: the unchanged boot.py and main.py on real MicroPython, with littlefs as flash.

They run forty times faster than real time, including deep sleep and watchdog, so their intervals are those of a real
config. Each reading has its own `id`, since `seq` starts again after a power cut.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.support.board import flash_image as flash
from tests.support.board.fake_time import board_pace
from tests.support.board.interpreters import need
from tests.support.board.virtual import Board
from tests.support.mqtt.client import Puback, RawClient, client_publish
from tests.support.mqtt.endpoint import RunningCore
from tests.support.mqtt.relay import UNHARMED, Fault, Relay, Treatment

PACE = 40
TIMEOUT_S = 40  # a second of real time, so that a busy machine is no fault
WAIT_S = 30.0

WINDOW = 8  # as config.py has it
GONE = Treatment(Fault("reset"))
SENSORS = """
import binascii, os

def read():
    return {"id": binascii.hexlify(os.urandom(6)).decode() + "x" * %d}
"""
LOGGED = re.compile(r'^\[ *(\d+\.\d{3})\] kept .*"id": "([0-9a-f]{12})')


class Living:
    """One board with a flash, behind a relay, and the endpoint that its telemetry reaches."""

    def __init__(self, core: RunningCore, relay: Relay, board: Board, client_id: str, operator: str) -> None:
        self.core = core
        self.relay = relay
        self.board = board
        self.client_id = client_id
        self.operator = operator
        """Password of the client that sends its commands."""
        self.since = 0
        """Messages of the endpoint before this one are of no interest."""
        self._before = 0
        """The number of readings when the board was last switched on or sent a command."""

    @property
    def image(self) -> Path:
        """The file that is the board's flash."""
        assert self.board.flash is not None
        return self.board.flash

    @property
    def payloads(self) -> list[str]:
        """The payloads that the endpoint received from this board, in order; all whole."""
        topic = f"telemetry/{self.client_id}"
        found = [message.payload for message in tuple(self.core.messages)[self.since :] if message.topic == topic]
        return [json.dumps(json.loads(payload)) and payload.decode() for payload in found]

    @property
    def readings(self) -> list[dict[str, Any]]:
        """The same, parsed from JSON, without duplicates."""
        return [json.loads(payload) for payload in dict.fromkeys(self.payloads)]

    def once(self, payloads: list[str]) -> list[str]:
        """Return these without the duplicates that QoS 1 allows after a broken connection."""
        first = list(dict.fromkeys(payloads))
        breaks = sum("next attempt in" in line for line in tuple(self.board.lines))
        assert len(payloads) - len(first) <= WINDOW * breaks, f"came again for no reason: {payloads}"
        return first

    @property
    def logged(self) -> list[tuple[float, str]]:
        """When, in the board's seconds, it reported each id as kept."""
        return [(float(found[1]), found[2]) for line in self.board.lines if (found := LOGGED.match(line))]

    @property
    def segments(self) -> list[list[str]]:
        """The payloads on flash; for a board that is off."""
        return flash.segments(self.board.interpreter, self.image)

    def wait_until(self, true: Callable[[], bool]) -> None:
        """Wait for messages until it is true."""
        while not true():
            self.core.next_message()

    def wait_for_more(self, count: int = 2) -> None:
        """Wait until this number of further messages has arrived."""
        wanted = len(self.readings) + count
        self.wait_until(lambda: len(self.readings) >= wanted)

    def wait_for_next(self, count: int = 1) -> None:
        """Wait until this number of messages has arrived since the board was switched on or sent its last command.

        For a board that sends nothing by itself: its answer may be there before this is called.
        """
        self.wait_until(lambda: len(self.readings) >= self._before + count)

    def wait_for_lines(self, text: str, count: int) -> None:
        """Wait until the board has printed this number of lines with this text."""
        deadline = time.monotonic() + WAIT_S
        while sum(text in line for line in tuple(self.board.lines)) < count:
            assert time.monotonic() < deadline, "\n".join(self.board.lines)
            time.sleep(0.01)

    def forget(self) -> None:
        """Ignore everything so far."""
        self.since = len(self.core.messages)
        self._before = 0

    def online(self) -> None:
        """Let the next connection through."""
        self.relay.plan = lambda _: UNHARMED

    def offline(self) -> None:
        """Reset current and future connections."""
        self.relay.plan = lambda _: GONE
        self.relay.strike("reset")

    def send(self, command: dict[str, Any] | bytes) -> None:
        """Send the board a command, as an operator does; return once the endpoint has it."""
        self._before = len(self.readings)
        payload = command if isinstance(command, bytes) else json.dumps(command).encode()
        operator = f"operator-{self.client_id}"
        with RawClient(self.core) as client:
            assert client.connect(operator, self.operator).code == 0
            client.send(client_publish(f"commands/{self.client_id}", payload, qos=1))
            assert isinstance(client.receive(), Puback)

    def report(self) -> dict[str, Any]:
        """Ask for a report, and return it."""
        seen = len(self.readings)
        self.send({"command": "report"})
        self.wait_until(lambda: any("report" in message for message in self.readings[seen:]))
        found: dict[str, Any] = next(message["report"] for message in self.readings[seen:] if "report" in message)
        return found

    def off(self) -> None:
        """Cut the power; return once the endpoint has received everything in transit."""
        self.board.virtual.cut_power()
        assert self.board.virtual.wait(WAIT_S)
        self.settle()

    def to_the_prompt(self) -> str:
        """Wait until the program has ended; return its last line."""
        assert self.board.virtual.wait(WAIT_S), self.board.lines
        assert self.board.virtual.exit_code == 0
        self.settle()
        return self.board.lines[-1]

    def settle(self) -> None:
        """Wait until the endpoint has received everything in transit from a board that is off."""
        deadline = time.monotonic() + WAIT_S
        while self.core.run(lambda: len(self.core.core._connections)):
            assert time.monotonic() < deadline, "a connection of a board that is off stays open"
            time.sleep(0.005)

    def on(self, **world: Any) -> None:
        """Switch the power on."""
        self._before = len(self.readings)
        self.board.power_on(**world)

    def put(self, name: str, data: bytes) -> None:
        """Put a file on the flash of a board that is off."""
        flash.write(self.board.interpreter, self.image, {name: data})

    def remove(self, name: str) -> None:
        """Remove a file from the flash of a board that is off."""
        flash.write(self.board.interpreter, self.image, {name: None})

    def has(self, name: str) -> bool:
        """Return whether a file is in the root of a board that is off."""
        return name in flash.read(self.board.interpreter, self.image, "")

    def file(self, name: str) -> bytes:
        """Return a file of the root of a board that is off."""
        return flash.read(self.board.interpreter, self.image, "")[name]

    def reload(self, image: Path) -> None:
        """Replace the flash of a board that is off with a copy of this one."""
        shutil.copy(image, self.image)

    def check(self) -> None:
        """No traceback, and every payload whole."""
        lines = "\n".join(self.board.lines)
        assert "Traceback" not in lines, lines
        assert self.readings is not None


@contextlib.contextmanager
def living(
    core: RunningCore,
    folder: Path,
    *,
    name: str = "alpn",
    compiled: bool = True,
    pad: int = 0,
    sensors: str | None = None,
    online: bool = True,
    on: bool = True,
    pace: int = PACE,
    world: dict[str, Any] | None = None,
    **config: Any,
) -> Iterator[Living]:
    """A board in `folder`, whose name becomes the client id.

    Args:
        pad: how many bytes longer each reading is.
        sensors: its sensors.py, instead of that with the ids.
        on: whether it is switched on now; else with `Living.on`, and until then its flash can be changed.
        world, compiled, config: see Board.
    """
    client_id = folder.name
    password = core.add_device(client_id)
    operator = core.add_device(f"operator-{client_id}", publish=[f"commands/{client_id}"])
    folder.mkdir(parents=True)
    (folder / "sensors.py").write_text(SENSORS % pad if sensors is None else sensors)
    config = {"timeout_s": TIMEOUT_S, "keepalive_s": 60, "interval_s": 1, "watchdog_s": 1200, **config}
    with Relay(core.port, lambda _: UNHARMED if online else GONE) as relay:
        board = Board(
            folder,
            need(name),
            core.ca.read_bytes(),
            compiled=compiled,
            world={"pace": pace, **(world or {})},
            environment=board_pace(pace),
            flash=True,
            port=relay.port,
            client_id=client_id,
            username=client_id,
            password=password,
            **config,
        )
        running = Living(core, relay, board, client_id, operator)
        flash.make(board.interpreter, running.image, folder / "root")
        with contextlib.ExitStack() as stack:
            if on:
                stack.enter_context(board)
            else:
                # A board that was never on: `power_on` makes it anew.
                board.virtual.__enter__()
                board.virtual.cut_power()
                stack.callback(board.__exit__, None, None, None)
            yield running
        running.check()
