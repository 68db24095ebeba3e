"""Types of `readings`: `read` of sensors.py returns a dict of names to values, or to functions that return them."""

from collections.abc import Callable
from typing import Any

def own_readings(uptime_ms: Callable[[], int]) -> dict[str, Callable[[], Any]]: ...
def user_sensors() -> Callable[[], dict[str, Any]] | None: ...
def reader(uptime_ms: Callable[[], int]) -> Callable[[], dict[str, Any]]: ...

class Readings:
    read: Callable[[], dict[str, Any]]
    link: Callable[[], dict[str, Any]]
    now: Callable[[], int]
    seq: int
    def __init__(
        self,
        read: Callable[[], dict[str, Any]],
        link: Callable[[], dict[str, Any]],
        now: Callable[[], int] = ...,
        seq: int = 0,
    ) -> None: ...
    def payload(self) -> str: ...
