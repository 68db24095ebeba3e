"""The queue of messages to publish: in memory while the link is up, on flash while it is down.

A message leaves the queue when it is acknowledged, when its time to live is over, or when it is the oldest and there is
no room; the last two are counted. `flash_log` stores it on flash, `sender` sends it, `app` decides when to save it.
"""

from ._port import BUILD_DATE, const, unix_time, unload

# Bytes of payload that may wait in memory alone; more goes to flash, or displaces the oldest.
RAM_BYTES = const(4096)

# Fields of an entry: payload (bytes), expiry (unix seconds, 0 for never), its segment on flash or None; set by the
# sender: packet identifier, tick at which it was sent (None: not on this connection).
PAYLOAD = const(0)
EXPIRES = const(1)
_SEGMENT = const(2)
PID = const(3)
SENT = const(4)


class Outbox:
    """A queue of payloads, first in, first out.

    folder: of the segments. max_bytes: their largest size on flash; 0 for none. log: takes a line.
    now: seam, unix seconds.
    """

    def __init__(self, folder, max_bytes, log, now=unix_time):
        self.in_flight = []  # entries sent but not yet acknowledged, oldest first
        self.dropped = 0
        self.expired = 0
        self._ram = []  # entries that were never sent, all newer than those on flash
        self._ram_bytes = 0
        self.folder = folder
        self.max_bytes = max_bytes
        self.log = log
        self.now = now
        self._segments = None
        self._full = False
        if max_bytes:
            self._open()
            self._close()

    def _open(self):
        """Load `flash_log`; it costs memory, so an outbox with nothing on flash unloads it again."""
        if self._segments is None:
            from .flash_log import Segments

            self._segments = Segments(self.folder, self.max_bytes)

    def _close(self):
        if self._segments.empty:
            self._count()
            self._segments = None
            unload("flash_log")

    def _count(self):
        segments = self._segments
        self.dropped += segments.dropped
        segments.dropped = 0
        if segments.corrupt:
            self.log("outbox: %d damaged segments on flash; what they still held is lost" % segments.corrupt)
            segments.corrupt = 0

    def put(self, payload, ttl_s=0):
        """Accept payload (bytes), to be dropped if it is not sent within ttl_s seconds (0: no limit)."""
        now = self.now() if ttl_s else 0
        # Without a correct clock, the age of a message is unknown.
        self._ram.append([payload, now + ttl_s if now > BUILD_DATE else 0, None, 0, None])
        self._ram_bytes += len(payload)
        if self._ram_bytes > RAM_BYTES and not self.save():
            while self._ram_bytes > RAM_BYTES and len(self._ram) > 1:
                self._take()
                self.dropped += 1

    def _take(self):
        entry = self._ram.pop(0)
        self._ram_bytes -= len(entry[PAYLOAD])
        return entry

    def save(self):
        """Write all entries that are only in memory to flash; return whether everything is on flash now."""
        if not self.max_bytes:
            return False
        held = [entry for entry in self.in_flight if entry[_SEGMENT] is None]
        if held or self._ram:
            try:
                self._open()
                numbers = self._segments.append([entry[:2] for entry in held + self._ram], len(held))
            except (OSError, MemoryError) as e:
                if not self._full:
                    self._full = True
                    self.log("outbox: flash is full (%s); keeping readings in RAM" % e)
                return False
            self._full = False
            for i, number in enumerate(numbers):
                if i < len(held):
                    held[i][_SEGMENT] = number
                else:
                    self._take()
            self._count()
        return not self.unsaved()

    def unsaved(self):
        """Return whether any entry is only in memory."""
        return bool(self._ram) or any(entry[_SEGMENT] is None for entry in self.in_flight)

    def next(self):
        """Move the next entry to send into `in_flight` and return it; None if there is none."""
        while True:
            if self._segments is not None:
                record = self._segments.next()
                if record is None:
                    self._release()
                    if not self._ram:
                        return None
                    entry = self._take()
                else:
                    entry = [record[0], record[1], record[2], 0, None]
            elif self._ram:
                entry = self._take()
            else:
                return None
            if not 0 < entry[EXPIRES] <= self.now():
                self.in_flight.append(entry)
                return entry
            self.expired += 1

    def done(self, entry):
        """Remove an entry of `in_flight` that was acknowledged."""
        for i, other in enumerate(self.in_flight):
            if other is entry:
                del self.in_flight[i]
                break
        if self._segments is not None:
            self._release()

    def _release(self):
        self._segments.release([entry[_SEGMENT] for entry in self.in_flight])
        self._close()

    def empty(self):
        """Return whether nothing is waiting: in memory, on flash, or for its PUBACK."""
        return not self.in_flight and not self._ram and self._segments is None
