"""Types of `websocket`."""

from collections.abc import Callable

from .stream import Stream

class WebSocket:
    stream: Stream
    urandom: Callable[[int], bytes]
    deadline: Callable[[int, str], None]
    setblocking: Callable[[bool], None]
    poll: Callable[[int], bool]
    have: int
    left: int
    control: bytearray | None
    in_message: bool
    def __init__(self, stream: Stream, urandom: Callable[[int], bytes] = ...) -> None: ...
    def send(self, buf: bytearray, start: int, end: int) -> None: ...
    def send_frame(self, opcode: int, frame: bytearray, start: int, end: int) -> None: ...
    def readinto(self, view: memoryview) -> int | None: ...
    def close(self) -> None: ...
