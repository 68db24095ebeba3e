"""Whole boards in trouble: the unchanged boot.py and main.py on real MicroPython, forty times faster than real time.

At that pace deadlines, backoff and intervals are those of a real config, and a test of them still takes a second.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.support.board.fake_time import board_pace
from tests.support.board.interpreters import need
from tests.support.board.virtual import Board
from tests.support.mqtt.endpoint import RunningCore
from tests.support.mqtt.relay import Relay, Treatment

PACE = 40
WAIT_S = 20.0
TIMEOUT_S = 40  # a second of real time, so that a busy machine is no fault

# What the log says of an error: its class, which must be one of our tree, and its text.
ERROR_LINE = re.compile(r"^\[ *\d+\.\d{3}\] ([A-Z]\w+): (.*)$")
TREE = {
    *("ClockError", "OutOfMemory", "WifiError", "DnsError", "ConnectFailed", "Timeout", "HandshakeTimeout"),
    *("ConnackTimeout", "PeerVanished", "ConnectionLost", "TlsError", "NoAlpn", "WrongCa", "WrongHost"),
    *("CertificateExpired", "WebSocketError", "MalformedPacket", "ClosedBeforeConnack", "ConnectRefused"),
    *("UpgradeRefused", "SubscribeRefused", "PublishRefused"),
}


# What a login that the endpoint refuses is called, by version of MQTT.
REFUSED = {"5": "ConnectRefused", "3.1.1": "ClosedBeforeConnack"}


class Rig:
    """One board behind a relay, and the endpoint that its telemetry reaches."""

    def __init__(
        self, core: RunningCore, relay: Relay, board: Board, client_id: str, password: str, *, qos: int, window: int
    ) -> None:
        self.core = core
        self.relay = relay
        self.board = board
        self.client_id = client_id
        self.password = password
        self._qos = qos
        self._window = window

    @property
    def arrived(self) -> list[int]:
        """The sequence numbers that the endpoint accepted, in order."""
        topic = f"telemetry/{self.client_id}"
        return [json.loads(message.payload)["seq"] for message in tuple(self.core.messages) if message.topic == topic]

    def wait_for_more(self, count: int = 3) -> None:
        """Wait until `count` more readings have arrived."""
        for _ in range(count):
            while self.core.next_message().topic != f"telemetry/{self.client_id}":
                pass

    def wait_for_errors(self, count: int) -> None:
        """Wait until the log has named this number of errors."""
        deadline = time.monotonic() + WAIT_S
        while len(self.errors) < count:
            assert time.monotonic() < deadline, f"{count} errors wanted:\n" + "\n".join(self.board.lines)
            time.sleep(0.02)

    @property
    def errors(self) -> list[str]:
        """The classes of the errors that the board's log names, in their order."""
        return [found[1] for line in self.board.lines if (found := ERROR_LINE.match(line))]

    def check(self) -> None:
        """No traceback, no error that is not of our tree, no reset, and with QoS 1 no reading lost."""
        lines = "\n".join(self.board.lines)
        assert "Traceback" not in lines, lines
        strange = set(self.errors) - TREE
        assert not strange, f"{strange} in\n{lines}"
        assert self.board.virtual.exit_code in (None, 0), lines
        assert len(self.board.virtual.resets) == 1, lines
        if self._qos:
            self.check_readings()

    def check_readings(self) -> int:
        """Check that every reading arrived in order, and that those that arrived twice were in flight at a disconnect.

        Returns the number of readings that arrived twice.
        """
        arrived = self.arrived
        assert list(dict.fromkeys(arrived)) == list(range(1, max(arrived, default=0) + 1)), arrived
        again = 0
        ends = 0
        for n in range(1, len(arrived)):
            # A step back is a new connection, which begins with what was not acknowledged on the one before.
            back = arrived[n - 1] + 1 - arrived[n]
            assert back <= self._window, f"{back} messages sent again; the window is {self._window}: {arrived}"
            again += max(back, 0)
            ends += back > 0
        assert len(arrived) - len(set(arrived)) == again, arrived
        assert ends < max(len(self.relay.passages), 1), f"{ends} times again, and no fault for it: {arrived}"
        return again


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
    files: dict[str, bytes] | None = None,
    **config: Any,
) -> Iterator[Rig]:
    """A board in `folder`, whose name becomes the client id; checked at the end.

    Args:
        plan: what the relay does to the n-th connection.
        port: of the endpoint, if not its default one.
        environment: instead of the fast pace.
        world, files, config: see Board.
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
            files=files,
            port=relay.port,
            client_id=client_id,
            username=client_id,
            password=password,
            **config,
        )
        running = Rig(core, relay, board, client_id, password, qos=config.get("qos", 1), window=config.get("window", 8))
        with board:
            yield running
        running.check()
