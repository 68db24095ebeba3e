"""An MQTT server for a whole board, which acknowledges as a test's script says and remembers each PUBLISH."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme

from tests.faults.boards import TIMEOUT_S
from tests.firmware.servers import context, read_packet, serve_tls
from tests.support.board.fake_time import board_pace
from tests.support.board.interpreters import need
from tests.support.board.virtual import Board
from tests.support.mqtt import answers

WAIT_S = 20.0


@dataclass(frozen=True)
class Publish:
    """One received PUBLISH: the number of its connection (from 0), DUP flag, packet identifier, and `seq`."""

    connection: int
    dup: bool
    identifier: bytes
    seq: int


class Leave(Exception):
    """Raised by a script: the server closes the connection."""


Answer = Callable[[Publish], list[bytes]]
"""From a PUBLISH to the PUBACKs written for it: packet identifiers, each with a reason code behind it if it refuses.

May raise Leave.
"""


def at_once(publish: Publish) -> list[bytes]:
    """Acknowledge at once, as a good server does."""
    return [publish.identifier]


class Script:
    """The server's side.

    Args:
        answer: returns the packet identifiers to acknowledge.
        session_present: for the number of a connection, the session-present flag of its CONNACK.
        properties: of CONNACK in MQTT 5.
    """

    def __init__(
        self,
        answer: Answer = at_once,
        session_present: Callable[[int], bool] = lambda _: False,
        properties: bytes = b"\x22\0\x08",  # Topic Alias Maximum, as AWS
    ) -> None:
        self.seen: list[Publish] = []
        self.came: list[answers.Published] = []
        """The same, parsed."""
        self._properties = properties
        self._version = answers.MQTT_311
        self.subscribed: list[int] = []
        """The connections on which SUBSCRIBE came."""
        self._answer = answer
        self._session_present = session_present
        self._connection = -1
        self._more = threading.Condition()

    def wait_for(self, count: int) -> list[Publish]:
        """Wait for this number of PUBLISH packets; return all."""
        with self._more:
            assert self._more.wait_for(lambda: len(self.seen) >= count, WAIT_S), self.seen
            return list(self.seen)

    def __call__(self, connection: ssl.SSLSocket) -> None:
        self._connection += 1
        with contextlib.suppress(Leave):
            while packet := read_packet(connection):
                kind = packet[0] & 0xF0
                if kind == 0x10:
                    self._version = answers.level(packet)
                    session = self._session_present(self._connection)
                    connection.sendall(answers.connack(self._version, session=session, properties=self._properties))
                elif kind == 0x80:
                    self.subscribed.append(self._connection)
                    connection.sendall(answers.suback(self._version, packet[2:4], 1))
                elif kind == 0x30:
                    for answer in self._take(packet):
                        connection.sendall(answers.puback(self._version, answer[:2], *answer[2:]))
                elif kind == 0xC0:
                    connection.sendall(b"\xd0\x00")
                elif kind == 0xE0:
                    return

    def _take(self, packet: bytes) -> list[bytes]:
        assert packet[0] & 6 == 2, f"not QoS 1: {packet!r}"
        came = answers.published(self._version, packet)
        message = json.loads(came.payload)
        publish = Publish(self._connection, bool(packet[0] & 8), came.identifier, message["seq"])
        self.came.append(came)
        with self._more:
            self.seen.append(publish)
            self._more.notify_all()
        return self._answer(publish)


@contextlib.contextmanager
def board_at(script: Script, folder: Path, name: str, pace: int, **config: Any) -> Iterator[Board]:
    """A board whose endpoint is the script."""
    ca = trustme.CA()
    with serve_tls(ca, context(ca), script) as server:
        config = {"port": server.port, "client_id": "dev1", "username": "u", "password": "p", **config}
        with Board(
            folder,
            need(name),
            ca.cert_pem.bytes(),
            environment=board_pace(pace),
            transport="tls",
            **{"timeout_s": TIMEOUT_S, **config},
        ) as board:
            yield board
        assert "Traceback" not in "\n".join(board.lines), board.lines
        # The board may disconnect before the last answer arrives; the server has done nothing wrong then.
        assert [error for error in server.errors if not isinstance(error, ConnectionError | ssl.SSLError)] == []
