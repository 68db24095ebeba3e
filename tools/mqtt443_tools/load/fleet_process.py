"""One process of a fleet: `python -m mqtt443_tools.load.fleet_process`. Its parent is `fleet.Fleet`.

The first line of standard input has the target and the logins, so that no password appears in the process list. Each
further line is an order, answered by a line with a tally. The end of standard input ends the process.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from mqtt443_tools.load.client import KEEP_ALIVE_S, LoadClient
from mqtt443_tools.load.tally import Tally, total
from mqtt443_tools.load.target import Login, Target
from mqtt443_tools.localcore.mqtt.fields import string
from mqtt443_tools.support.file_limit import raise_file_limit

TICK_S = 0.005
PING_S = 60.0
MAX_LINE_BYTES = 64 * 1024 * 1024


class FleetProcess:
    """A part of a fleet.

    Args:
        target: the endpoint.
        logins: one for each client.
        timeout_s: for a handshake and CONNACK, for SUBACK, and for the last PUBACKs.
    """

    def __init__(self, target: Target, logins: list[Login], timeout_s: float) -> None:
        self._target = target
        self._timeout_s = timeout_s
        self._context = target.tls_context()
        self._clients = [LoadClient(login, self) for login in logins]
        self._published: list[Tally] = []
        self._arrived = Tally()
        self._lost = Tally()
        self._refill_until = 0.0
        self._refill_size = 0

    async def do(self, order: dict[str, Any]) -> Tally:
        """Carry out an order: its key `do` names a method, the other keys are the arguments."""
        arguments = {key: value for key, value in order.items() if key != "do"}
        tally: Tally = await getattr(self, f"do_{order['do']}")(**arguments)
        return tally

    async def do_connect(self, at_once: int) -> Tally:
        """Connect all clients, with at most `at_once` handshakes in progress."""
        tally = Tally()
        waiting = iter(self._clients)

        async def connect_some() -> None:
            for client in waiting:
                await self._timed(tally, client, client.connect(self._target, self._context), "no CONNACK")

        await asyncio.gather(*(connect_some() for _ in range(at_once)))
        return tally

    async def do_subscribe(self, topic_filter: str, qos: int, at_once: int) -> Tally:
        """Subscribe all clients; `{client_id}` in the filter stands for each client's own id."""
        tally = Tally()
        waiting = iter([client for client in self._clients if client.is_connected])

        async def subscribe_some() -> None:
            for client in waiting:
                own = topic_filter.replace("{client_id}", client.login.client_id)
                await self._timed(tally, client, client.subscribe(own, qos), "no SUBACK")

        await asyncio.gather(*(subscribe_some() for _ in range(at_once)))
        return tally

    async def do_publish(self, streams: list[dict[str, Any]]) -> Tally:
        """Publish several streams at the same time; each is the arguments of `_stream`."""
        self._published = [Tally() for _ in streams]
        await asyncio.gather(
            *(self._stream(tally, **stream) for tally, stream in zip(self._published, streams, strict=True))
        )
        await self._last_acknowledgements()
        return total(self._published)

    async def do_published(self, stream: int) -> Tally:
        """Return the tally of one stream of the last `do_publish`."""
        return self._published[stream]

    async def do_saturate(self, start: float, seconds: float, window: int, size: int) -> Tally:
        """Keep `window` QoS 1 publishes of each client in flight for some seconds, beginning at `start`."""
        tally = Tally()
        await asyncio.sleep(start - time.monotonic())
        self._refill_until, self._refill_size = start + seconds, size
        for client in self._clients:
            for _ in range(window if client.is_connected else 0):
                client.publish(time.monotonic(), size, tally)
        await asyncio.sleep(start + seconds - time.monotonic())
        self._refill_until = 0.0
        await self._last_acknowledgements()
        return tally

    async def do_listen(self) -> Tally:
        """Begin to count the messages that arrive."""
        self._arrived = Tally()
        return self._arrived

    async def do_heard(self, count: int, within_s: float) -> Tally:
        """Wait up to `within_s` seconds until `count` messages have arrived; return how many have."""
        await _until(lambda: self._arrived.done >= count, within_s)
        return self._arrived

    async def do_disconnect(self) -> Tally:
        """Disconnect all clients; return the connections that had ended by themselves."""
        for client in self._clients:
            client.disconnect()
        lost, self._lost = self._lost, Tally()
        return lost

    def acknowledged(self, client: LoadClient, began: float, tally: Tally) -> None:
        """See client.Fleet."""
        now = time.monotonic()
        tally.add(began, now)
        if now < self._refill_until:
            client.publish(now, self._refill_size, tally)

    def arrived(self, sent: float) -> None:
        """See client.Fleet."""
        self._arrived.add(sent, time.monotonic())

    def lost(self, client: LoadClient, cause: str) -> None:  # noqa: ARG002 - it has closed already
        """See client.Fleet."""
        self._lost.fail(cause)

    async def keep_alive(self) -> None:
        """Send PINGREQ for silent clients, until cancelled."""
        while True:
            await asyncio.sleep(PING_S)
            silent_since = time.monotonic() - KEEP_ALIVE_S / 2
            for client in self._clients:
                if client.is_connected and client.heard_at < silent_since:
                    client.ping()

    async def _stream(
        self,
        tally: Tally,
        *,
        start: float,
        seconds: float,
        rate: float,
        size: int,
        qos: int = 1,
        topics: list[str] | None = None,
    ) -> None:
        """Publish at a rate; the clients take turns.

        Args:
            tally: counts the messages.
            start: when to begin, in monotonic seconds.
            seconds: for how long.
            rate: messages per second of all clients together.
            size: bytes of a payload.
            qos: 0 or 1.
            topics: one for each client; their telemetry topics if None.
        """
        encoded = None if topics is None else [string(topic) for topic in topics]
        count = round(rate * seconds)
        sent = 0
        while sent < count:
            await asyncio.sleep(max(TICK_S, start + sent / rate - time.monotonic()))
            due = min(count, int((time.monotonic() - start) * rate) + 1)
            for number in range(sent, due):
                at = number % len(self._clients)
                if self._clients[at].is_connected:
                    topic = None if encoded is None else encoded[at]
                    self._clients[at].publish(start + number / rate, size, tally, qos=qos, topic=topic)
                else:
                    tally.fail("not connected")
            sent = due

    async def _last_acknowledgements(self) -> None:
        await _until(lambda: not any(client.pending for client in self._clients), self._timeout_s)
        for client in self._clients:
            client.give_up(f"no PUBACK within {self._timeout_s:g} s")

    async def _timed(self, tally: Tally, client: LoadClient, work: Any, missing: str) -> None:
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._timeout_s):
                cause = await work
        except TimeoutError:
            cause = f"{missing} within {self._timeout_s:g} s"
        if cause is None:
            tally.add(began, time.monotonic())
        else:
            tally.fail(cause)
            client.close()


async def _until(is_done: Callable[[], bool], within_s: float) -> None:
    """Wait until a condition holds, for some seconds at most."""
    deadline = time.monotonic() + within_s
    while not is_done():
        if time.monotonic() >= deadline:
            return
        await asyncio.sleep(TICK_S)


def _run_as_batch() -> None:
    """Keep arriving bytes from interrupting an endpoint on the same machine that is still sending to other clients.

    Only on Linux; see sched(7), "SCHED_BATCH". Otherwise each message costs two changes of the process, and those are
    what is measured.
    """
    if sys.platform == "linux" and os.sched_getscheduler(0) == os.SCHED_OTHER:
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


async def main() -> None:
    """Carry out the orders on standard input."""
    raise_file_limit()
    _run_as_batch()
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader(limit=MAX_LINE_BYTES)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    setup = json.loads(await lines.readline())
    part = FleetProcess(Target(**setup["target"]), [Login(*login) for login in setup["logins"]], setup["timeout_s"])
    keeping = asyncio.create_task(part.keep_alive())
    while line := await lines.readline():
        tally = await part.do(json.loads(line))
        print(json.dumps(tally.to_json()), flush=True)
    keeping.cancel()


if __name__ == "__main__":
    asyncio.run(main())
