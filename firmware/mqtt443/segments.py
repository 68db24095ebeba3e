"""The outbox on flash: a few files, the segments, to which records are appended and from which they are read in order.

A segment is removed when all its records are done with; where reading stands is kept in memory alone, which spares the
flash. So after a power cut the oldest segment, and no other, is read from its beginning again.
"""

import binascii
import os
import struct

from ._port import const

# A segment is closed once it has so many bytes: one block of an ESP32's flash.
SEGMENT_BYTES = const(4096)
_HEADER_BYTES = const(12)  # length of the payload, CRC-32 of what follows, when it expires; four bytes each


class Segments:
    """The segments in folder, which is made when it is first written to.

    max_bytes: the most that they take; the oldest makes room, whole, and its records not yet read count as `dropped`.
    A record whose length or checksum is wrong ends its segment, which counts as `corrupt`.
    """

    def __init__(self, folder, max_bytes):
        self._folder = folder
        self._max_bytes = max_bytes
        self.dropped = 0
        self.corrupt = 0
        self._sizes = {}  # of each segment, by number
        try:
            for name in os.listdir(folder):
                if len(name) == 8 and name.isdigit():
                    number = int(name)
                    self._sizes[number] = os.stat(self._path(number))[6]
        except OSError:
            pass  # nothing was ever written
        # Where reading stands.
        self._number = min(self._sizes) if self._sizes else 0
        self._at = 0

    @property
    def empty(self):
        """Whether nothing is on flash."""
        return not self._sizes

    def _path(self, number):
        return "%s/%08d" % (self._folder, number)

    def append(self, records, sent=0):
        """Append records, each (payload, when it expires in unix seconds or 0); return the segment of each.

        sent: the first so many are in flight already, so reading, which stands at the end then, goes on behind them.
        Where flash takes only some of them, the list is that much shorter; raises OSError if it takes none.
        """
        numbers = []
        done = 0
        try:
            while done < len(records):
                number = self._open_segment(_HEADER_BYTES + len(records[done][0]))
                size = self._sizes.get(number, 0)
                most = min(SEGMENT_BYTES, size + self._max_bytes - sum(self._sizes.values()))
                behind = None
                count = done
                with open(self._path(number), "ab") as file:
                    while count < len(records):
                        payload, expires = records[count]
                        body = struct.pack(">I", expires) + payload
                        if count > done and size + 8 + len(body) > most:
                            break
                        file.write(struct.pack(">II", len(payload), binascii.crc32(body)))
                        file.write(body)
                        size += 8 + len(body)
                        count += 1
                        if count == sent:
                            behind = size
                self._sizes[number] = size
                numbers += [number] * (count - done)
                done = count
                if behind:
                    self._number = number
                    self._at = behind
        except OSError:
            if not numbers:
                raise
        return numbers

    def _open_segment(self, size):
        """Return the number of a segment that takes size bytes more; the oldest make room for them."""
        if size > self._max_bytes:
            raise OSError("a record of %d bytes" % size)
        while sum(self._sizes.values()) + size > self._max_bytes:
            self._drop(min(self._sizes))
        try:
            os.mkdir(self._folder)
        except OSError:
            pass  # it is there, or what follows says why not
        if not self._sizes:
            return self._number
        number = max(self._sizes)
        # What a failed append left behind is found by its size: nothing may come after it.
        if self._sizes[number] + size > SEGMENT_BYTES or os.stat(self._path(number))[6] != self._sizes[number]:
            number += 1
        return number

    def _drop(self, number):
        while self._number <= number and self._read(number):
            self.dropped += 1
        self._remove(number)

    def _remove(self, number):
        try:
            os.remove(self._path(number))
        except OSError:
            pass  # it is read once more after the next start
        del self._sizes[number]
        if self._number == number:
            self._number += 1
            self._at = 0

    def next(self):
        """Return the next record as (payload, when it expires, its segment), None at the end."""
        while True:
            for number in sorted(self._sizes):
                if number >= self._number:
                    break
            else:
                return None
            record = self._read(number)
            if record:
                return record
            if number == max(self._sizes):
                return None
            self._number = number + 1
            self._at = 0

    def _read(self, number):
        """Return the next record of segment number, None at its end."""
        if number != self._number:
            self._number = number
            self._at = 0
        size = self._sizes[number]
        if self._at >= size:
            return None
        try:
            with open(self._path(number), "rb") as file:
                file.seek(self._at)
                head = file.read(_HEADER_BYTES)
                length = int.from_bytes(head[:4], "big")
                self._at += _HEADER_BYTES + length
                if len(head) == _HEADER_BYTES and self._at <= size:  # before as much memory is asked for
                    payload = file.read(length)
                    if binascii.crc32(payload, binascii.crc32(head[8:])) == int.from_bytes(head[4:8], "big"):
                        return payload, int.from_bytes(head[8:], "big"), number
        except OSError:
            pass
        self.corrupt += 1
        self._at = size
        return None

    def release(self, in_flight):
        """Remove the segments that are read to their end and not in in_flight, a collection of numbers."""
        for number in sorted(self._sizes):
            if number > self._number or (number == self._number and self._at < self._sizes[number]):
                return
            if number not in in_flight:
                self._remove(number)
