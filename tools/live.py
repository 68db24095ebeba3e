"""Cuts a device's live connection to the local endpoint that runs on a state folder, through its control channel."""

import json
import socket
import time
from collections.abc import Callable
from pathlib import Path

from tools.errors import CommandError

DEADLINE_S = 2.0
MAX_BYTES = 4096


class LiveError(CommandError):
    """An endpoint seems to run, but does not do what it was asked for."""


def disconnect_live(state: Path, client_id: str, clock: Callable[[], float] = time.monotonic) -> bool:
    """Ask the local endpoint to cut the connection of a client id; waits at most two seconds.

    :param state: folder with the endpoint's control.json
    :return: whether there was such a connection; False too if no endpoint runs there
    :raises LiveError: it runs, but the connection may still be up
    """
    deadline = clock() + DEADLINE_S
    path = state / "control.json"
    try:
        control = _parse(path.read_bytes())
        port, token = control.get("port"), control.get("token")
        if type(port) is not int or not 0 < port < 65536 or not isinstance(token, str):
            raise LiveError(f"{path}: no port and token in it")
        request = json.dumps({"token": token, "op": "disconnect", "client_id": client_id}).encode() + b"\n"
        with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as connection:
            connection.sendall(request)
            answer = _parse(_line(connection, deadline, clock))
    except (FileNotFoundError, ConnectionRefusedError):
        return False  # it does not run; where it crashed, its file is still there
    except OSError as error:
        raise LiveError(f"the local endpoint did not answer: {error.strerror or type(error).__name__}") from error
    disconnected = answer.get("disconnected")
    if not isinstance(disconnected, bool):
        raise LiveError("the local endpoint did not do it")
    return disconnected


def _line(connection: socket.socket, deadline: float, clock: Callable[[], float]) -> bytes:
    """Read up to the first line feed, the end, or the size limit; raises TimeoutError at the deadline."""
    received = b""
    while b"\n" not in received and len(received) < MAX_BYTES:
        remaining_s = deadline - clock()
        if remaining_s <= 0:
            raise TimeoutError
        connection.settimeout(remaining_s)
        part = connection.recv(MAX_BYTES)
        if not part:
            break
        received += part
    return received.partition(b"\n")[0]


def _parse(content: bytes) -> dict[str, object]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise LiveError("what the local endpoint says is not JSON") from error
    if not isinstance(value, dict):
        raise LiveError("what the local endpoint says is not a JSON object")
    return value
