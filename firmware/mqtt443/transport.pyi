"""Types of `transport`."""

from collections.abc import Callable
from typing import Any

from .config import Config
from .stream import Stream
from .websocket import WebSocket

class Transport:
    host: str
    port: int
    connect: Callable[[str, int, int], Any] | None
    timeout_ms: int
    name: str
    why: str
    path: str
    context: Any
    def __init__(
        self,
        config: Config,
        root: str = "",
        alpn: bool | None = None,
        context: Any = None,
        connect: Callable[[str, int, int], Any] | None = None,
    ) -> None: ...
    def connect_http(self) -> Stream: ...
    def open(self) -> Stream | WebSocket: ...
    def check(self, stream: Stream | WebSocket) -> None: ...
