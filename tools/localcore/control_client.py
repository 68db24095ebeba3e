"""The client's side of the control channel (`control.py`), for commands: blocking, with a deadline for every wait."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from tools.localcore.control import CONTROL_FILE

CONNECT_TIMEOUT_S = 5.0
MAX_LINE_BYTES = 1024 * 1024


class ControlError(Exception):
    """There is no endpoint to talk to, or it said no; the text is the start of one line."""


class ControlClient:
    """A connection to the endpoint that runs on a state folder. Raises ControlError when it is made, and later."""

    def __init__(self, state: Path) -> None:
        try:
            control = json.loads((state / CONTROL_FILE).read_bytes())
            self._token = str(control["token"])
            self._socket = socket.create_connection(("127.0.0.1", int(control["port"])), CONNECT_TIMEOUT_S)
        except (OSError, ValueError, KeyError, TypeError):
            raise ControlError(f"no localcore runs on {state}") from None
        self._buffer = bytearray()

    def __enter__(self) -> ControlClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def watch(self, topic_filter: str, deadline: float | None) -> Iterator[dict[str, Any]]:
        """Yield messages and `{"dropped": N}` until the endpoint ends or `deadline` (monotonic seconds) has come."""
        self._ask({"op": "watch", "filter": topic_filter})
        while (line := self._line(deadline)) is not None:
            yield line

    def _ask(self, request: dict[str, Any]) -> None:
        self._socket.sendall(json.dumps({"token": self._token, **request}).encode() + b"\n")

    def _line(self, deadline: float | None) -> dict[str, Any] | None:
        """Return the next line, None at the end of the stream or at the deadline."""
        while (end := self._buffer.find(b"\n")) < 0:
            left_s = None if deadline is None else deadline - time.monotonic()
            if (left_s is not None and left_s <= 0) or len(self._buffer) > MAX_LINE_BYTES:
                return None
            self._socket.settimeout(left_s)
            try:
                data = self._socket.recv(65536)
            except OSError:  # TimeoutError is one: the deadline; a reset: the endpoint has gone
                return None
            if not data:
                return None
            self._buffer += data
        line = json.loads(self._buffer[:end])
        del self._buffer[: end + 1]
        if not isinstance(line, dict) or "error" in line:
            raise ControlError("the local endpoint refused the request")
        return line
