"""Sends what the outbox holds: QoS 1 in a window, packed into records, at the pace that AWS allows.

A message that was not acknowledged is sent again after a reconnect, in the old order: with DUP and its packet
identifier where the server kept the session, afresh where it did not [MQTT-4.4.0-1].
"""

from . import errors
from ._port import const, ticks_add, ticks_diff, ticks_ms
from .outbox import PAYLOAD, PID, SENT

# AWS takes 100 publishes a second from a connection (General Reference, "AWS IoT Core protocol quotas"). They are
# counted in pairs, which takes half the memory: no second begins more than 49, and ends one pair from before it.
_PAIRS = const(49)
_DUP = const(8)


class Sender:
    """Moves messages from an outbox to a client.

    client: a `Client`. outbox: an `Outbox`. config: a `Config`; its window is how many may wait for their PUBACK.
    on_sent: called with the payload of each that is done.
    """

    def __init__(self, client, outbox, config, on_sent):
        self.client = client
        self.outbox = outbox
        self.topic = config.topic.encode()
        self.qos = config.qos
        self.window = config.window
        self.timeout_ms = config.timeout_s * 1000
        self.on_sent = on_sent
        # When the last pairs were begun, the oldest at _at; whether the newest takes one more.
        self._ticks = [ticks_add(ticks_ms(), -1000)] * _PAIRS
        self._at = 0
        self._half = False
        self._flags = 0
        self._sent = 0  # so many of what is in flight were sent on this connection: the first ones
        client.on_puback = self._acknowledged

    def begin(self, session):
        """Begin on a new connection; session: whether the server kept the old one."""
        self._flags = _DUP if session else 0
        self._sent = 0
        for entry in self.outbox.flying:
            entry[SENT] = None

    def pump(self):
        """Send what may be sent now; return how many ms this may wait if nothing comes in, None for any time.

        Raises PeerVanished if a PUBACK is overdue, and what sending raises.
        """
        flying = self.outbox.flying
        now = ticks_ms()
        left_ms = None
        if flying and flying[0][SENT] is not None:
            left_ms = self.timeout_ms - ticks_diff(now, flying[0][SENT])
            if left_ms <= 0:
                raise errors.late(errors.PeerVanished, "PUBACK", self.timeout_ms // 1000)
        while self._sent < len(flying) or len(flying) < self.window:
            wait_ms = 1000 - ticks_diff(now, self._ticks[self._at])
            if wait_ms > 0 and not self._half:
                left_ms = wait_ms if left_ms is None else min(left_ms, wait_ms)
                break
            entry = flying[self._sent] if self._sent < len(flying) else self.outbox.next()
            if entry is None:
                break
            self._sent += 1  # first: Ctrl-C may come in between, and nothing goes twice for it
            self._take(entry, now)
        self.client.flush()
        if not self.qos:
            while flying:
                self._finish(flying[0])
        return left_ms

    def _take(self, entry, now):
        if not self._half:
            self._ticks[self._at] = now
            self._at = (self._at + 1) % _PAIRS
        self._half = not self._half
        flags = 0
        if entry[PID]:
            flags = self._flags
        elif self.qos:
            taken = [other[PID] for other in self.outbox.flying]
            while True:
                entry[PID] = self.client.next_pid()
                if entry[PID] not in taken:
                    break
        entry[SENT] = now
        self.client.take(self.topic, entry[PAYLOAD], entry[PID], flags)

    def _acknowledged(self, pid):
        for entry in self.outbox.flying:
            if entry[PID] == pid and entry[SENT] is not None:
                self._finish(entry)
                return

    def _finish(self, entry):
        self._sent -= 1
        self.outbox.done(entry)
        self.on_sent(entry[PAYLOAD])
