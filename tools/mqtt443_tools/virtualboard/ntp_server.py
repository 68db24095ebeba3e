"""The time server of a virtual board: this machine's clock, over real NTP on a free port of 127.0.0.1."""

import socket
import struct
import threading
import time
from collections.abc import Callable
from types import TracebackType

UNIX_EPOCH = 2208988800
"""In seconds since 1900, where NTP counts from (RFC 5905 section 6)."""
QUERY_BYTES = 48


class NtpServer:
    """Answers queries while its `with` block runs.

    Args:
        answer: takes a query and returns the answer, or None for silence; `now` by default.

    Attributes:
        port: where it listens.
    """

    def __init__(self, answer: Callable[[bytes], bytes | None] | None = None) -> None:
        self._answer = answer or now
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, name="ntp server", daemon=True)

    def __enter__(self) -> "NtpServer":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            query, sender = self._socket.recvfrom(1024)
            if not query:  # an empty datagram ends it; only this machine can send one here
                return
            answer = self._answer(query)
            if answer is not None:
                self._socket.sendto(answer, sender)


def now(query: bytes, unix_s: float | None = None) -> bytes | None:
    """Answer a query with this machine's time, or with `unix_s`; stay silent if it is none (RFC 5905 section 7.3)."""
    if len(query) < QUERY_BYTES:
        return None
    whole, part = divmod(time.time() if unix_s is None else unix_s, 1)
    stamp = struct.pack("!II", int(whole + UNIX_EPOCH) & 0xFFFFFFFF, int(part * (1 << 32)))
    # No leap second is near, version 4, mode server; stratum 2, poll 6, precision 2^-20; delay and dispersion 0.
    return bytes((0x24, 2, 6, 0xEC)) + bytes(8) + b"\x7f\0\0\1" + stamp + query[40:48] + stamp + stamp
