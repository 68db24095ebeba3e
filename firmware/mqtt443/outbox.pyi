"""Types of `outbox`."""

from collections.abc import Callable
from typing import Any, Final

RAM_BYTES: Final[int]
PAYLOAD: Final[int]
EXPIRES: Final[int]
PID: Final[int]
SENT: Final[int]

# An entry: payload, when it expires, segment, packet identifier, tick at which it was sent.
_Entry = list[Any]

class Outbox:
    in_flight: list[_Entry]
    dropped: int
    expired: int
    folder: str
    max_bytes: int
    log: Callable[[str], object]
    now: Callable[[], int]
    def __init__(
        self, folder: str, max_bytes: int, log: Callable[[str], object], now: Callable[[], int] = ...
    ) -> None: ...
    def put(self, payload: bytes, ttl_s: int = 0) -> None: ...
    def save(self) -> bool: ...
    def unsaved(self) -> bool: ...
    def next(self) -> _Entry | None: ...
    def done(self, entry: _Entry) -> None: ...
    def empty(self) -> bool: ...
