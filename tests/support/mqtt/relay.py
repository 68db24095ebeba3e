"""A TCP relay between a board and an endpoint that injects faults at repeatable places.

Each connection gets the `Treatment` of the test's plan: nothing, one fault at one point of the stream, or a slow link.
The relay does not interpret the bytes, except to count TLS records (`records`).
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Literal

from tests.support.mqtt.tls_records import Meter, Unit

Direction = Literal["up", "down"]  # up: from the board to the endpoint
Harm = Literal["reset", "close", "silence", "deafen", "stall"]

HOST = "127.0.0.1"
READ_BYTES = 65536
WAIT_S = 20.0
QUEUE_PIECES = 1000  # on their way at a time, where the link has a round-trip time

NO_LINGER = struct.pack("ii", 1, 0)  # a close sends RST


@dataclass(frozen=True)
class Fault:
    """One harm, done once `count` units have passed in `direction`.

    reset: both sides get RST. close: both sides get FIN. silence: nothing more passes, in either direction, and no side
    is notified (a black hole). deafen: the same towards the board only, so that a PUBACK is lost. stall: that direction
    waits `seconds`, then continues.
    """

    harm: Harm
    direction: Direction = "up"
    count: int = 0
    unit: Unit = "bytes"
    seconds: float = 0.0


@dataclass(frozen=True)
class Treatment:
    """The treatment of one connection. `piece_bytes`: the most bytes in a segment; `rtt_s`: a round-trip time."""

    fault: Fault | None = None
    piece_bytes: int = READ_BYTES
    rtt_s: float = 0.0


UNHARMED = Treatment()


class _Cut(Exception):
    """The connection ends here."""


@dataclass
class Passage:
    """One connection through the relay, and its counts; `turns` is how often the endpoint answered."""

    treatment: Treatment
    up: Meter = field(default_factory=Meter)
    down: Meter = field(default_factory=Meter)
    turns: int = 0
    harmed: bool = False
    open: bool = True
    lost: frozenset[Direction] = frozenset()
    """Directions in which nothing passes any more."""
    reset: bool = False
    """Whether it ends with RST."""
    _last: Direction = "down"

    def take(self, direction: Direction, data: bytes) -> bytes:
        """Count how much of `data` may pass; less than all of it if the fault is due within it."""
        if direction == "down" and self._last == "up":
            self.turns += 1
        self._last = direction
        fault, meter = self.treatment.fault, self.up if direction == "up" else self.down
        if fault is None or self.harmed or fault.direction != direction:
            return data[: meter.take(data)]
        return data[: meter.take(data, fault.unit, fault.count)]

    @property
    def due(self) -> bool:
        """Whether the fault is due now."""
        fault = self.treatment.fault
        if fault is None or self.harmed:
            return False
        return bool(getattr(self.up if fault.direction == "up" else self.down, fault.unit) >= fault.count)

    async def harm(self) -> None:
        """Inject the fault; raise _Cut if it ends the connection."""
        fault = self.treatment.fault
        assert fault is not None
        self.harmed = True
        match fault.harm:
            case "reset":
                self.reset = True
                raise _Cut
            case "close":
                raise _Cut
            case "silence":
                self.lost = frozenset({"up", "down"})
            case "deafen":
                self.lost = frozenset({"down"})
            case "stall":
                await asyncio.sleep(fault.seconds)


class Relay:
    """A relay to a port of this machine, running in a thread of its own; a context manager.

    Args:
        target: the endpoint's port.
        plan: what happens to the n-th connection, counted from 0; may be replaced at any time.
    """

    def __init__(self, target: int, plan: Callable[[int], Treatment] = lambda _: UNHARMED) -> None:
        self.plan = plan
        self.passages: list[Passage] = []
        self._target = target
        self._tasks: dict[asyncio.Task[None], Passage | None] = {}
        self._listener = socket.create_server((HOST, 0), backlog=1024)
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relay")

    def __enter__(self) -> Relay:
        self._thread.start()
        self._loop.call_soon_threadsafe(lambda: self._start(self._accept(), None))
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(WAIT_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WAIT_S)
        self._loop.close()
        self._listener.close()

    @property
    def harmed(self) -> int:
        """How many connections have had their fault."""
        return sum(passage.harmed for passage in tuple(self.passages))

    def strike(self, harm: Literal["reset", "silence"]) -> int:
        """Inject a fault into every open connection now; return their number."""

        async def strike() -> int:
            live = [(task, passage) for task, passage in self._tasks.items() if passage is not None]
            for task, passage in live:
                passage.harmed = True
                if harm == "reset":
                    passage.reset = True
                    task.cancel()
                else:
                    passage.lost = frozenset({"up", "down"})
            return len(live)

        return asyncio.run_coroutine_threadsafe(strike(), self._loop).result(WAIT_S)

    async def _stop(self) -> None:
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    def _start(self, work: Coroutine[object, object, None], passage: Passage | None) -> None:
        task = self._loop.create_task(work)
        self._tasks[task] = passage
        task.add_done_callback(self._tasks.pop)

    async def _accept(self) -> None:
        while True:
            board, _ = await self._loop.sock_accept(self._listener)
            passage = Passage(self.plan(len(self.passages)))
            self.passages.append(passage)
            self._start(self._serve(passage, board), passage)

    async def _serve(self, passage: Passage, board: socket.socket) -> None:
        endpoint = socket.socket()
        try:
            for sock in (board, endpoint):
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self._loop.sock_connect(endpoint, (HOST, self._target))
            if passage.due:
                await passage.harm()
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._carry(passage, "up", board, endpoint))
                ways.create_task(self._carry(passage, "down", endpoint, board))
        except* _Cut:
            pass
        except* OSError:  # one side has reset, or its port is closed: the other learns it the same way
            passage.reset = True
        finally:
            passage.open = False
            for sock in (board, endpoint):
                if passage.reset:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
                sock.close()

    async def _carry(
        self, passage: Passage, direction: Direction, source: socket.socket, target: socket.socket
    ) -> None:
        """Pass on one direction until its end. A black hole discards bytes, and does not pass on the end."""
        async with asyncio.TaskGroup() as group:
            pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(QUEUE_PIECES)
            if passage.treatment.rtt_s:
                group.create_task(self._deliver(pieces, target))
            while data := await self._loop.sock_recv(source, READ_BYTES):
                while data and direction not in passage.lost:
                    part = passage.take(direction, data)
                    data = data[len(part) :]
                    await self._send(passage, part, target, pieces)
                    if passage.due:
                        await passage.harm()
            if direction not in passage.lost:
                await self._send(passage, b"", target, pieces)

    async def _send(
        self, passage: Passage, data: bytes, target: socket.socket, pieces: asyncio.Queue[tuple[float, bytes]]
    ) -> None:
        """Send data now, or schedule it; no data is the end of the stream."""
        if rtt_s := passage.treatment.rtt_s:
            await pieces.put((self._loop.time() + rtt_s / 2, data))
        elif data:
            step = passage.treatment.piece_bytes
            for at in range(0, len(data), step):
                await self._loop.sock_sendall(target, data[at : at + step])
                if step < READ_BYTES:
                    await asyncio.sleep(0)
        else:
            target.shutdown(socket.SHUT_WR)

    async def _deliver(self, pieces: asyncio.Queue[tuple[float, bytes]], target: socket.socket) -> None:
        """Send scheduled data when its time has come."""
        while True:
            due, data = await pieces.get()
            await asyncio.sleep(due - self._loop.time())
            if not data:
                target.shutdown(socket.SHUT_WR)
                return
            await self._loop.sock_sendall(target, data)
