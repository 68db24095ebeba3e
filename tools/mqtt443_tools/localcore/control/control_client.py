"""The client side of the control channel (`control_server.py`): blocking, with a deadline for every wait."""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from mqtt443_tools.localcore.control.control_server import CONTROL_FILE
from mqtt443_tools.localcore.faults import Fault
from mqtt443_tools.support.errors import CommandError

ANSWER_S = 2.0
MAX_LINE_BYTES = 16 * 1024 * 1024
"""More than the client ids of all connections, each of 128 bytes that JSON escapes."""

NOT_DONE = "the local endpoint did not carry out the request"


class ControlError(CommandError):
    """An endpoint seems to run, but did not carry out a request."""


class IotRefused(ControlError):
    """The local endpoint refused a call of the control plane, as AWS would.

    Attributes:
        code: name of the exception, such as `ResourceNotFoundException`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class NotRunning(ControlError):
    """No endpoint runs on the state folder."""


class ControlClient:
    """A connection to the endpoint that runs on a state folder. Raises NotRunning or ControlError when it is made."""

    def __init__(self, state: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buffer = bytearray()
        try:
            control = _parse((state / CONTROL_FILE).read_bytes())
            port, self._token = control.get("port"), control.get("token")
            if type(port) is not int or not 0 < port < 65536 or not isinstance(self._token, str):
                raise ControlError(f"{state / CONTROL_FILE}: no port and token in it")
            self._socket = socket.create_connection(("127.0.0.1", port), ANSWER_S)
        except (FileNotFoundError, ConnectionRefusedError):  # after a crash, its file still exists
            raise NotRunning(f"no localcore runs on {state}; start one with: mqtt443 local --state {state}") from None
        except OSError as error:
            raise ControlError(f"the local endpoint did not answer: {error.strerror or type(error).__name__}") from None

    def __enter__(self) -> ControlClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # the endpoint may have stopped
            self._socket.shutdown(socket.SHUT_RDWR)  # ends a `watch` in another thread
        self._socket.close()

    def watch(self, topic_filter: str, deadline: float | None) -> Iterator[dict[str, Any]]:
        """Watch; return messages and `{"dropped": N}` until the endpoint stops or the `deadline` of the clock passes.

        No message that arrives after this call is missed. Raises ControlError.
        """
        if self._answer({"op": "watch", "filter": topic_filter}).get("watching") != topic_filter:
            raise ControlError(NOT_DONE)
        return self._messages(deadline)

    def publish(
        self, topic: str, payload: bytes, topic_filter: str, deadline: float, *, qos: int = 1, retain: bool = False
    ) -> Iterator[dict[str, Any]]:
        """Publish; return what `watch` would yield, starting just before the publish. Raises ControlError."""
        encoded = base64.b64encode(payload).decode()
        request = {
            "op": "publish",
            "topic": topic,
            "payload": encoded,
            "filter": topic_filter,
            "qos": qos,
            "retain": retain,
        }
        if self._answer(request).get("published") is not True:
            raise ControlError(NOT_DONE)
        return self._messages(deadline)

    def _messages(self, deadline: float | None) -> Iterator[dict[str, Any]]:
        """Yield messages until the endpoint stops or the `deadline` passes."""
        try:
            while (line := self._line(deadline)).endswith(b"\n"):
                message = _parse(line)
                if "error" in message:
                    raise ControlError(f"the local endpoint refused the request: {message['error']}")
                if not _is_message(message):
                    raise ControlError("the local endpoint's answer is not a message")
                yield message
        except OSError:  # TimeoutError is an OSError: the deadline; a reset: the endpoint has stopped
            return

    def disconnect(self, client_id: str) -> bool:
        """Close a device's connection; return whether it had one. Raises ControlError if it may still be connected."""
        disconnected = self._answer({"op": "disconnect", "client_id": client_id}).get("disconnected")
        if not isinstance(disconnected, bool):
            raise ControlError(NOT_DONE)
        return disconnected

    def clients(self) -> list[str]:
        """Return the connected client ids. Raises ControlError."""
        clients = self._answer({"op": "clients"}).get("clients")
        if not isinstance(clients, list) or not all(isinstance(each, str) for each in clients):
            raise ControlError(NOT_DONE)
        return clients

    def iot(self, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """Make a call of the control plane; return its answer. Raises IotRefused or ControlError."""
        answer = self._answer({"op": "iot", "operation": operation, "parameters": parameters})
        refused, found = answer.get("refused"), answer.get("answer")
        if isinstance(refused, dict):
            raise IotRefused(str(refused.get("code")), f"{operation}: {refused.get('message')}")
        if not isinstance(found, dict):
            raise ControlError(NOT_DONE)
        return found

    def save(self) -> None:
        """Make the endpoint save its list of seen clients. Raises ControlError."""
        if self._answer({"op": "save"}).get("saved") is not True:
            raise ControlError(NOT_DONE)

    def events(self) -> list[dict[str, Any]]:
        """Return the last events, oldest first, each with the fields of `Event`. Raises ControlError."""
        return self.events_and_logins()[0]

    def events_and_logins(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Return the last events and the authorizer's last log entries, oldest first. Raises ControlError."""
        answer = self._answer({"op": "events"})
        return _objects(answer.get("events")), _objects(answer.get("logins"))

    def faults(self) -> list[dict[str, Any]]:
        """Return the faults that are on: `client_id`, `fault` and `hits`. Raises ControlError."""
        return _objects(self._answer({"op": "faults"}).get("faults"))

    def switch_fault(self, client_id: str | None, fault: Fault | None, *, on: bool) -> list[dict[str, Any]]:
        """Switch a fault on or off.

        Args:
            client_id: the client that suffers it; None for all clients, only to switch off.
            fault: the fault; None for all of the client's faults, only to switch off.
            on: True to switch on, False to switch off.

        Returns:
            The faults that are on now, as `faults`.

        Raises:
            ControlError: the endpoint refuses or does not answer.
        """
        answer = self._answer({"op": "faults", "client_id": client_id, "fault": fault, "on": on})
        return _objects(answer.get("faults"))

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Ask for one line, and wait for it. Raises ControlError, also if the line is an error."""
        deadline = self._clock() + ANSWER_S
        try:
            self._ask(request)
            answer = _parse(self._line(deadline))
        except OSError as error:
            raise ControlError(
                f"the local endpoint did not answer: {error.strerror or type(error).__name__}"
            ) from error
        if isinstance(refused := answer.get("error"), str):
            raise ControlError(f"the local endpoint refused the request: {refused}")
        return answer

    def _ask(self, request: dict[str, Any]) -> None:
        self._socket.sendall(json.dumps({"token": self._token, **request}).encode() + b"\n")

    def _line(self, deadline: float | None) -> bytes:
        """Return the next line with its line feed; at the end of the stream, the rest without one.

        Raises TimeoutError at the deadline, OSError if the connection breaks, ControlError for an endless line.
        """
        while (end := self._buffer.find(b"\n") + 1) == 0:
            left_s = None if deadline is None else deadline - self._clock()
            if left_s is not None and left_s <= 0:
                raise TimeoutError
            self._socket.settimeout(left_s)
            data = self._socket.recv(65536)
            if not data:
                end = len(self._buffer)
                break
            self._buffer += data
            if len(self._buffer) > MAX_LINE_BYTES:
                raise ControlError("the local endpoint sent an endless line")
        line = bytes(self._buffer[:end])
        del self._buffer[:end]
        return line


def disconnect_live(state: Path, client_id: str, clock: Callable[[], float] = time.monotonic) -> bool:
    """Ask the local endpoint to close the connection of a client id; wait a few seconds at most.

    Returns whether there was such a connection; also False if no endpoint runs. Raises ControlError if one runs, but
    the connection may still be open.
    """
    try:
        with ControlClient(state, clock) as control:
            return control.disconnect(client_id)
    except NotRunning:
        return False


def _is_message(message: dict[str, Any]) -> bool:
    """Return whether a line has the fields that its readers use; another program may listen on the port by now."""
    if "dropped" in message:
        return type(message["dropped"]) is int
    try:
        base64.b64decode(message["payload"], validate=True)
    except (KeyError, TypeError, ValueError):
        return False
    return isinstance(message.get("topic"), str) and type(message.get("received_at")) in {int, float}


def _objects(value: object) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise ControlError(NOT_DONE)
    return value


def _parse(content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        raise ControlError("the local endpoint's answer is not JSON") from None
    if not isinstance(value, dict):
        raise ControlError("the local endpoint's answer is not a JSON object")
    return value
