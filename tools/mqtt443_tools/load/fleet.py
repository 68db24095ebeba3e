"""A fleet of clients, spread over processes: gives them orders, and adds up their results."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

from mqtt443_tools.load.tally import Tally, total
from mqtt443_tools.load.target import Login, Target
from mqtt443_tools.support.errors import CommandError

START_S = 0.2
"""Seconds from an order to the moment when all processes start to publish."""

END_S = 5.0
MAX_LINE_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class Stream:
    """Messages that the clients of a fleet publish in turn.

    Attributes:
        rate: messages per second of the whole fleet.
        size: bytes of a payload, 48 or more.
        qos: 0 or 1.
        topics: by client id; each one's `telemetry/CLIENT_ID` if None.
    """

    rate: float
    size: int
    qos: int = 1
    topics: Mapping[str, str] | None = None


class Fleet:
    """Clients in separate processes; use it with `async with`.

    Args:
        target: the endpoint.
        logins: one for each client.
        processes: how many; one for each processor if None, and never more than clients.
        timeout_s: for each answer of the endpoint.
    """

    def __init__(
        self, target: Target, logins: Sequence[Login], processes: int | None = None, *, timeout_s: float = 30.0
    ) -> None:
        count = max(1, min(processes or os.cpu_count() or 1, len(logins)))
        self._target = target
        self._timeout_s = timeout_s
        self._parts = [logins[first::count] for first in range(count)]
        self._processes: list[asyncio.subprocess.Process] = []

    async def __aenter__(self) -> Fleet:
        try:
            for part in self._parts:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "mqtt443_tools.load.fleet_process"),
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    start_new_session=True,  # Ctrl-C ends the parent, and with it their standard input
                    limit=MAX_LINE_BYTES,
                )
                self._processes.append(process)
                logins = [[login.client_id, login.username, login.password] for login in part]
                self._write(process, {"target": asdict(self._target), "logins": logins, "timeout_s": self._timeout_s})
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end()

    async def connect(self, at_once: int) -> Tally:
        """Connect all clients, with at most `at_once` handshakes in progress over all processes."""
        return await self._all({"do": "connect", "at_once": self._share(at_once)})

    async def subscribe(self, topic_filter: str, *, qos: int = 1, at_once: int = 100) -> Tally:
        """Subscribe all clients; `{client_id}` in the filter stands for each client's own id."""
        return await self._all(
            {"do": "subscribe", "topic_filter": topic_filter, "qos": qos, "at_once": self._share(at_once)}
        )

    async def publish(self, streams: Sequence[Stream], *, seconds: float) -> list[Tally]:
        """Publish streams at the same time; return how many messages of each were acknowledged, or sent at QoS 0.

        Latencies count from the due time of a message, so that a stalling endpoint cannot hide them by slowing the
        load.
        """
        start = time.monotonic() + START_S
        clients = sum(map(len, self._parts))
        await self._each(
            [
                {
                    "do": "publish",
                    "streams": [
                        {
                            **{"start": start, "seconds": seconds, "size": stream.size, "qos": stream.qos},
                            "rate": stream.rate * len(part) / clients,
                            "topics": stream.topics and [stream.topics[login.client_id] for login in part],
                        }
                        for stream in streams
                    ],
                }
                for part in self._parts
            ]
        )
        return [await self._all({"do": "published", "stream": number}) for number in range(len(streams))]

    async def saturate(self, *, seconds: float, window: int, size: int) -> Tally:
        """Keep `window` QoS 1 publishes of every client in flight for some seconds; return the acknowledged ones."""
        start = time.monotonic() + START_S
        return await self._all({"do": "saturate", "start": start, "seconds": seconds, "window": window, "size": size})

    async def listen(self) -> None:
        """Begin to count the messages that arrive."""
        await self._all({"do": "listen"})

    async def heard(self, each: float, *, within_s: float) -> Tally:
        """Return the messages that arrived, once every client has `each` or the time is over."""
        return await self._each(
            [{"do": "heard", "count": math.ceil(each * len(part)), "within_s": within_s} for part in self._parts]
        )

    async def disconnect(self) -> Tally:
        """Disconnect all clients; return the connections that had ended by themselves."""
        return await self._all({"do": "disconnect"})

    def _share(self, at_once: int) -> int:
        return max(1, at_once // len(self._parts))

    async def _all(self, order: dict[str, Any]) -> Tally:
        return await self._each([order] * len(self._processes))

    async def _each(self, orders: Sequence[dict[str, Any]]) -> Tally:
        for process, order in zip(self._processes, orders, strict=True):
            self._write(process, order)
        return total([await self._answer(process) for process in self._processes])

    @staticmethod
    def _write(process: asyncio.subprocess.Process, order: dict[str, Any]) -> None:
        cast(asyncio.StreamWriter, process.stdin).write(json.dumps(order).encode() + b"\n")

    @staticmethod
    async def _answer(process: asyncio.subprocess.Process) -> Tally:
        line = await cast(asyncio.StreamReader, process.stdout).readline()
        if not line:
            raise CommandError("a process of the fleet ended; its error is above")
        return Tally.from_json(json.loads(line))

    async def _end(self) -> None:
        for process in self._processes:
            cast(asyncio.StreamWriter, process.stdin).close()
        for process in self._processes:
            try:
                async with asyncio.timeout(END_S):
                    await process.wait()
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
