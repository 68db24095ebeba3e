"""Whole boards in trouble: the unchanged boot.py and main.py on real MicroPython, forty times faster than real time.

At that pace deadlines, backoff and intervals are those of a real config, and a test of them still takes a second.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.support.core import RunningCore
from tests.support.faketime import board_pace
from tests.support.interpreters import need
from tests.support.onboard import Board
from tests.support.relay import Relay, Treatment

PACE = 40
TIMEOUT_S = 40  # a second of real time, so that a busy machine is no fault

# What the log says of an error: its class, which must be one of our tree, and its text.
ERROR_LINE = re.compile(r"^\[ *\d+\.\d{3}\] ([A-Z]\w+): (.*)$")
TREE = {
    *("ClockError", "OutOfMemory", "WifiError", "DnsError", "ConnectFailed", "Timeout", "HandshakeTimeout"),
    *("ConnackTimeout", "PeerVanished", "ConnectionLost", "TlsError", "NoAlpn", "WrongCa", "WrongHost"),
    *("CertificateExpired", "WebSocketError", "MalformedPacket", "ClosedBeforeConnack", "ConnectRefused"),
    *("UpgradeRefused", "SubscribeRefused"),
}


class Rig:
    """One board behind a relay, and the endpoint that its telemetry reaches."""

    def __init__(self, core: RunningCore, relay: Relay, board: Board, client_id: str, password: str) -> None:
        self.core = core
        self.relay = relay
        self.board = board
        self.client_id = client_id
        self.password = password

    @property
    def arrived(self) -> list[int]:
        """The sequence numbers that the endpoint took, in their order."""
        topic = f"telemetry/{self.client_id}"
        return [json.loads(message.payload)["seq"] for message in tuple(self.core.messages) if message.topic == topic]

    def wait_for_more(self, count: int = 3) -> None:
        """Wait until `count` more readings have arrived."""
        for _ in range(count):
            while self.core.next_message().topic != f"telemetry/{self.client_id}":
                pass

    @property
    def errors(self) -> list[str]:
        """The classes of the errors that the board's log names, in their order."""
        return [found[1] for line in self.board.lines if (found := ERROR_LINE.match(line))]

    def check(self) -> None:
        """No traceback, no error that is not of our tree, and no reading that arrives out of nowhere."""
        lines = "\n".join(self.board.lines)
        assert "Traceback" not in lines, lines
        strange = set(self.errors) - TREE
        assert not strange, f"{strange} in\n{lines}"
        assert self.board.virtual.exit_code in (None, 0), lines


@contextlib.contextmanager
def rig(
    core: RunningCore,
    folder: Path,
    plan: Callable[[int], Treatment],
    *,
    name: str = "alpn",
    port: int | None = None,
    world: dict[str, Any] | None = None,
    environment: dict[str, str] | None = None,
    **config: Any,
) -> Iterator[Rig]:
    """A board in `folder`, whose name becomes the client id; checked in the end.

    Arguments:
        plan: what the relay does to the n-th connection.
        port: of the endpoint, if not its default one.
        environment: instead of the fast pace.
        world, config: see Board.
    """
    client_id = folder.name
    password = core.add_device(client_id)
    config = {"timeout_s": TIMEOUT_S, "keepalive_s": 60, "interval_s": 1, **config}
    with Relay(port or core.port, plan) as relay:
        board = Board(
            folder,
            need(name),
            core.ca.read_bytes(),
            world=world,
            environment=board_pace(PACE) if environment is None else environment,
            port=relay.port,
            client_id=client_id,
            username=client_id,
            password=password,
            **config,
        )
        running = Rig(core, relay, board, client_id, password)
        with board:
            yield running
        running.check()
