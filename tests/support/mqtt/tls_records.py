"""Counts one direction of a TLS connection without decrypting it: bytes, TLS records, data records.

A record is five bytes of header (type, version, length) and its payload (RFC 5246 section 6.2.1). Records of type
`application_data` are the data records: with TLS 1.2 each write of a client that coalesces is one of them.
"""

import builtins
from dataclasses import dataclass, field
from typing import Literal

Unit = Literal["bytes", "records", "data_records"]

HEADER_BYTES = 5
APPLICATION_DATA = 23


@dataclass
class Meter:
    """The counts so far."""

    bytes: int = 0
    records: int = 0
    data_records: int = 0
    sizes: list[int] = field(default_factory=list)
    """Bytes of each data record, header included."""
    _header: bytearray = field(default_factory=bytearray)
    _left: int = 0

    def take(self, data: builtins.bytes, unit: Unit = "bytes", limit: int | None = None) -> int:
        """Count `data`, but stop as soon as `limit` units have passed in all; returns how many bytes were counted."""
        at = 0
        while at < len(data) and (limit is None or getattr(self, unit) < limit):
            step = min(self._left or HEADER_BYTES - len(self._header), len(data) - at)
            if limit is not None and unit == "bytes":
                step = min(step, limit - self.bytes)
            self._step(data[at : at + step])
            at += step
        return at

    def _step(self, part: builtins.bytes) -> None:
        """Count a part of one header or of one payload."""
        self.bytes += len(part)
        if self._left:
            self._left -= len(part)
        else:
            self._header += part
            if len(self._header) < HEADER_BYTES:
                return
            self._left = int.from_bytes(self._header[3:5], "big")
        if not self._left:
            self.records += 1
            if self._header[0] == APPLICATION_DATA:
                self.data_records += 1
                self.sizes.append(HEADER_BYTES + int.from_bytes(self._header[3:5], "big"))
            self._header.clear()
