"""The name and address of a state folder's endpoint, kept in the folder after it stops."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mqtt443_authorizer.files import write_private

ENDPOINT_FILE = "endpoint.json"
MAX_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class KnownEndpoint:
    """The address of the endpoint.

    Attributes:
        host: name or address to connect to.
        port: TCP port.
        bind: the address it listens on.
    """

    host: str
    port: int
    bind: str


def remember(state: Path, endpoint: KnownEndpoint) -> None:
    """Store it in the state folder. Raises OSError."""
    write_private(state / ENDPOINT_FILE, json.dumps(asdict(endpoint)).encode() + b"\n")


def known_endpoint(state: Path) -> KnownEndpoint | None:
    """Return the address last stored in a state folder; None if there is no usable one."""
    try:
        with (state / ENDPOINT_FILE).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        values: Any = json.loads(content) if len(content) <= MAX_BYTES else None
        endpoint = KnownEndpoint(**values)
    except (OSError, ValueError, RecursionError, TypeError):
        return None
    is_usable = isinstance(endpoint.host, str) and isinstance(endpoint.bind, str) and type(endpoint.port) is int
    return endpoint if is_usable and 0 < endpoint.port < 65536 else None
