"""The outbox on flash: a log in a few files (segments); records are appended and read in order.

A segment is deleted once all its records are done. To spare the flash, the read position is kept in RAM only; so after
a power cut the oldest segment, and no other, is read again from its beginning.

On littlefs an append is all or nothing. The checksums are for file systems without that promise (FAT) and for worn
flash.
"""

import binascii
import os
import struct

from ._port import const

# A segment is full at this many bytes: one block of an ESP32's flash.
_SEGMENT_BYTES = const(4096)
_HEADER_BYTES = const(12)  # length of the payload, CRC-32 of what follows, when it expires; four bytes each
_PIECE_BYTES = const(512)


class Segments:
    """The segments in folder, which is created by the first write.

    folder: a path without a slash at its end. max_bytes: their largest size in total; beyond it the oldest segment is
    deleted, and its unread records count as `dropped`. A record whose length or checksum is wrong ends its segment,
    which counts as `corrupt`; one that does not fit into memory counts as `dropped`. Other files in the folder are left
    alone.
    """

    def __init__(self, folder, max_bytes):
        self.folder = folder
        self.max_bytes = max_bytes
        self.dropped = 0
        self.corrupt = 0
        self._sizes = {}  # of each segment, by number
        try:
            for name in os.listdir(folder):
                try:
                    number = int(name)
                except ValueError:
                    continue
                if self._path(number) == folder + "/" + name:
                    stat = os.stat(self._path(number))
                    # A folder of that name must not be appended to.
                    self._sizes[number] = stat[6] if stat[0] & 0x8000 else _SEGMENT_BYTES
        except OSError:
            pass  # nothing was ever written
        # The read position.
        self._number = min(self._sizes) if self._sizes else 0
        self._at = 0
        self._last = None  # the segment that was appended to, and is therefore whole

    @property
    def empty(self):
        """Whether nothing is on flash."""
        return not self._sizes

    def _path(self, number):
        return "%s/%08d" % (self.folder, number)

    def append(self, records, sent=0):
        """Append records, each (payload, its expiry in unix seconds or 0); return the segment of each.

        sent: how many of the first records are already in flight; reading, which is then at the end, continues after
        them. If flash has room for only the first few, the list is that much shorter; raises OSError if it has room for
        none, or if the first one is larger than max_bytes. (On FAT a record left out may still appear after a restart.)
        """
        numbers = []
        try:
            while len(numbers) < len(records):
                self._append(records, numbers, sent)
        except OSError:
            if not numbers:
                raise
        return numbers

    def _append(self, records, numbers, sent):
        """Append as many of records as fit to one segment; the first len(numbers) are already done."""
        done = len(numbers)
        length = _HEADER_BYTES + len(records[done][0])
        if length > self.max_bytes:
            raise OSError("a record of %d bytes" % length)
        left = self.max_bytes - sum(self._sizes.values())
        while left < length:
            number = min(self._sizes)
            left += self._sizes[number]
            while self.read(number):
                self.dropped += 1
            self.remove(number)
        try:
            os.mkdir(self.folder)
        except OSError:
            pass  # it exists, or the next call says why not
        # Never before the read position, which may have passed all segments.
        number = max(0, self._number, *self._sizes)
        while True:
            size = self._sizes.get(number, 0)
            if not size or (size + length <= _SEGMENT_BYTES and self._whole(number)):
                with open(self._path(number), "ab") as file:
                    # The rest of a failed append, or a file that was not listed: nothing may follow it.
                    if file.seek(0, 2) == size:
                        behind = None
                        for payload, expires in records[done:]:
                            length = _HEADER_BYTES + len(payload)
                            if length > left or (size and size + length > _SEGMENT_BYTES):
                                break
                            check = binascii.crc32(payload, binascii.crc32(struct.pack(">I", expires)))
                            file.write(struct.pack(">III", len(payload), check, expires))
                            file.write(payload)
                            left -= length
                            size += length
                            done += 1
                            if done <= sent:
                                behind = size
                        break
            number += 1
        # Now it is closed, and therefore on flash.
        self._sizes[number] = size
        self._last = number
        numbers.extend([number] * (done - len(numbers)))
        if behind:
            self._number = number
            self._at = behind

    def _whole(self, number):
        """Return whether a record appended to segment number could be read again."""
        at = 0
        while number != self._last and at < self._sizes[number]:
            record = self._record(number, at)
            if not record:
                return False
            at = record[2]
        return True

    def remove(self, number):
        """Delete segment number; reading continues after it."""
        try:
            os.remove(self._path(number))
        except OSError:
            pass  # it is read again after the next start
        del self._sizes[number]
        if self._number == number:
            self._number += 1
            self._at = 0

    def next(self):
        """Return the next record as (payload, its expiry, its segment), None at the end."""
        for number in sorted(self._sizes):
            record = self.read(number)
            while record and record[0] is None:
                self.dropped += 1
                record = self.read(number)
            if record:
                return record
        return None

    def read(self, number):
        """Return the next record of segment number, None at its end or if reading is past it."""
        if number > self._number:
            self._number = number
            self._at = 0
        size = self._sizes[number]
        if number < self._number or self._at >= size:
            return None
        record = self._record(number, self._at)
        if not record:
            self.corrupt += 1
            self._at = size
            return None
        payload, expires, self._at = record
        return payload, expires, number

    def _record(self, number, at):
        """Return (payload, expiry, end) of the record at `at`, None if it is not whole.

        payload: None if it does not fit into memory.
        """
        try:
            with open(self._path(number), "rb") as file:
                file.seek(at)
                head = file.read(_HEADER_BYTES)
                at += _HEADER_BYTES
                if len(head) == _HEADER_BYTES:
                    length, wanted, expires = struct.unpack(">III", head)
                    if at + length <= self._sizes[number]:
                        check = binascii.crc32(head[8:])
                        # In pieces: a damaged length may exceed the memory.
                        for left in range(length, 0, -_PIECE_BYTES):
                            check = binascii.crc32(file.read(min(left, _PIECE_BYTES)), check)
                        if check == wanted:
                            file.seek(at)
                            try:
                                payload = file.read(length)
                            except MemoryError:
                                payload = None
                            return payload, expires, at + length
        except OSError:
            pass
        return None

    def release(self, in_flight):
        """Remove the segments that were read to their end and are not in in_flight, a collection of numbers."""
        for number in sorted(self._sizes):
            if number > self._number or (number == self._number and self._at < self._sizes[number]):
                return
            if number not in in_flight:
                self.remove(number)
