"""Scripted ends for the board's streams: no socket, no time, every byte and every write recorded."""

from collections.abc import Sequence


class Wire:
    """A stream like `mqtt443.stream.Stream`, for the layers above it.

    incoming: what the server sends, in pieces; None between pieces means that nothing has arrived yet; an exception is
    raised. After the last piece nothing more arrives. `writes`: each complete write.
    """

    def __init__(self, incoming: Sequence[bytes | Exception | None] = ()) -> None:
        self.incoming: list[bytes | Exception | None] = list(incoming)
        self.writes: list[bytes] = []
        self.deadlines: list[tuple[int, str]] = []
        self.polls: list[int] = []
        self.blocking = True
        self.spoils = True
        self.closed = 0

    def deadline(self, timeout_ms: int, phase: str) -> None:
        self.deadlines.append((timeout_ms, phase))

    def setblocking(self, flag: bool) -> None:
        self.blocking = flag

    def readinto(self, view: memoryview) -> int | None:
        assert len(view), "a read of nothing"
        while self.incoming:
            piece = self.incoming.pop(0)
            if isinstance(piece, Exception):
                raise piece
            if piece is None:
                if self.blocking:
                    continue
                return None
            if not piece:
                continue
            count = min(len(piece), len(view))
            view[:count] = piece[:count]
            if piece[count:]:
                self.incoming.insert(0, piece[count:])
            return count
        if self.blocking:
            raise TimeoutError("the script is over, and the board waits for more")
        return None

    def read(self, count: int) -> bytes:
        data = bytearray(count)
        done = 0
        while done < count:
            got = self.readinto(memoryview(data)[done:])
            assert got
            done += got
        return bytes(data)

    def write(self, data: bytes) -> None:
        self.writes.append(bytes(data))

    def send(self, buf: bytearray, start: int, end: int) -> None:
        """Records buf[start:end]; if `spoils`, overwrites it and what is before it, as a WebSocket does."""
        self.writes.append(bytes(buf[start:end]))
        if self.spoils:
            buf[start - 14 : end] = b"\xaa" * (end - start + 14)

    def poll(self, timeout_ms: int) -> bool:
        self.polls.append(timeout_ms)
        return any(piece is not None for piece in self.incoming)

    def close(self) -> None:
        self.closed += 1


class Line:
    """A channel as `mqtt443._port.Channel`: incoming as `Wire`'s, b"" is the end; room: what each write takes."""

    def __init__(
        self, incoming: Sequence[bytes | Exception | None] = (), room: Sequence[int | Exception | None] = ()
    ) -> None:
        self.incoming = list(incoming)
        self.room = list(room)
        self.writes: list[bytes] = []
        self.waits: list[tuple[int, int]] = []
        self.closed = 0
        self.sock = self

    def readinto(self, view: memoryview) -> int | None:
        if not self.incoming:
            return None
        piece = self.incoming.pop(0)
        if isinstance(piece, Exception):
            raise piece
        if piece is None:
            return None
        count = min(len(piece), len(view))
        view[:count] = piece[:count]
        if piece[count:]:
            self.incoming.insert(0, piece[count:])
        return count

    def write(self, buf: bytes, offset: int, size: int) -> int | None:
        room = self.room.pop(0) if self.room else size
        if isinstance(room, Exception):
            raise room
        if room is None:
            return None
        count = min(room, size)
        self.writes.append(bytes(buf[offset : offset + count]))
        return count

    def wait(self, event: int, timeout_ms: int) -> bool:
        self.waits.append((event, timeout_ms))
        return bool(self.incoming)

    def close(self) -> None:
        self.closed += 1


class Ticks:
    """A millisecond counter that moves when it is told to, or by `step_ms` each time it is read."""

    def __init__(self, step_ms: int = 0) -> None:
        self.now_ms = 0
        self.step_ms = step_ms

    def __call__(self) -> int:
        self.now_ms += self.step_ms
        return self.now_ms
