"""Types of `readings`: `read` of sensors.py returns a dict of names to values, or to functions that return them."""

from collections.abc import Callable
from typing import Any

MAX_DEPTH: int
TOO_LARGE: str

def reason(error: BaseException) -> str: ...
def check_json(value: object, depth: int, left: int) -> int: ...

class Readings:
    read: Callable[[], dict[str, Any]] | None
    link: Callable[[], dict[str, Any]]
    now: Callable[[], int]
    seq: int
    max_bytes: int
    failure: str | None
    def __init__(
        self,
        read: Callable[[], dict[str, Any]] | None,
        link: Callable[[], dict[str, Any]],
        now: Callable[[], int] = ...,
        seq: int = 0,
        max_bytes: int = 4096,
        failure: str | None = None,
    ) -> None: ...
    def payload(self, failure: str | None = None) -> bytes: ...
