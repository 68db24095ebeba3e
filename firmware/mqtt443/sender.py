"""Sends the messages of the outbox: QoS 1 in a window, packed into TLS records, at the rate that AWS allows.

An unacknowledged message is sent again after a reconnect, in the same order: with DUP and its old packet identifier if
the server kept the session, as a new message if it did not [MQTT-4.4.0-1].
"""

from . import errors
from ._port import const, phase, ticks_add, ticks_diff, ticks_ms
from .outbox import EXPIRES, PAYLOAD, PID, SENT

# AWS accepts 100 publishes per second on a connection and discards the rest (General Reference, "AWS IoT Core protocol
# quotas"). It counts when they arrive, so 5 ms allow for rounding. Acknowledged messages are counted in pairs, to halve
# the memory.
_A_SECOND = const(100)
_SECOND_MS = const(1005)
_PAIRS = const(50)
# With QoS 0 nothing shows when a message arrived: one may take this much longer than another.
_UNTOLD_MS = const(100)
_DUP = const(8)
_TOO_LARGE = const(0x95)  # reason code "Packet too large" (MQTT 5 section 2.4)
# AWS keeps messages no longer than this (General Reference, AWS IoT Core: message expiry of up to 604,800 s).
_MAX_EXPIRY_S = const(604800)


class Sender:
    """Moves messages from an outbox to a client.

    client: a `Client`. outbox: an `Outbox`. config: a `Config`; its window limits how many may wait for their PUBACK,
    unless the server allows fewer. on_sent: called with the payload of each message that the server has acknowledged,
    and with None, or the PublishRefused if it refused the message. ticks: seam, a millisecond counter.
    """

    def __init__(self, client, outbox, config, on_sent, ticks=ticks_ms):
        self.client = client
        self.outbox = outbox
        self.topic = config.topic.encode()
        self.config = config
        self.qos = config.qos  # this and the next: as limited by the server
        self.window = config.window
        self.timeout_ms = config.timeout_s * 1000
        self.on_sent = on_sent
        self.ticks = ticks
        # Ticks of the last acknowledged pairs, the oldest at _at; and whether half of the next pair is acknowledged.
        self._ticks = [ticks_add(ticks(), -2000)] * _PAIRS
        self._at = 0
        self._half = 0
        self._least_ms = self.timeout_ms if self.qos else -_UNTOLD_MS  # the shortest round trip so far
        self.flags = 0
        self.sent = 0  # how many of the first messages in flight were sent on this connection
        client.on_puback = self._acknowledged

    def begin(self, session):
        """Begin on a new connection; session: whether the server kept the old one."""
        self.flags = _DUP if session else 0
        self.sent = 0
        self.qos = min(self.config.qos, self.client.max_qos)
        self.window = min(self.config.window, self.client.receive_maximum)
        if not self.qos:
            self._least_ms = -_UNTOLD_MS
        for entry in self.outbox.in_flight:
            entry[SENT] = None

    def pump(self):
        """Send as much as allowed now; return how many ms the next call may wait for input, None for no limit.

        Raises PeerVanished if a PUBACK is overdue, and what sending raises.
        """
        in_flight = self.outbox.in_flight
        now = self.ticks()
        left_ms = None
        if in_flight and in_flight[0][SENT] is not None:
            left_ms = self.timeout_ms - ticks_diff(now, in_flight[0][SENT])
            if left_ms <= 0:
                raise errors.timeout_error(errors.PeerVanished, "PUBACK", self.timeout_ms // 1000)
        while self.sent < self.window:
            # How many pairs may fall within a second, besides the messages whose arrival is unknown.
            pairs = (_A_SECOND - 1 - self.sent - self._half) // 2
            if pairs < 0:
                break
            # The last pair that may not: it had arrived when its PUBACK left, and new messages travel too. Both ways
            # take at least the shortest round trip, so that much need not be waited.
            wait_ms = _SECOND_MS - self._least_ms - ticks_diff(now, self._ticks[self._at - 1 - pairs])
            # A larger value means that the pair is days old and the counter has since wrapped.
            if 0 < wait_ms <= _SECOND_MS + _UNTOLD_MS:
                left_ms = wait_ms if left_ms is None else min(left_ms, wait_ms)
                break
            entry = in_flight[self.sent] if self.sent < len(in_flight) else self.outbox.next()
            if entry is None:
                break
            self.sent += 1  # first, so that Ctrl-C in between cannot send a message twice
            self._queue(entry, now)
        self.client.flush()
        if not self.qos:
            while in_flight:
                self._finish(in_flight[0])
        return left_ms

    def _queue(self, entry, now):
        payload = entry[PAYLOAD]
        if not self.client.fits(self.topic, payload):
            with phase():
                from .mqtt5 import refusal

                self._finish(entry, refusal(errors.PublishRefused, _TOO_LARGE))
            return
        flags = 0
        if not self.qos:
            entry[PID] = 0
        elif entry[PID]:
            flags = self.flags
        else:
            while not entry[PID]:
                pid = self.client.next_pid()
                for other in self.outbox.in_flight:
                    if other[PID] == pid:
                        break
                else:
                    entry[PID] = pid
        entry[SENT] = now
        expiry_s = entry[EXPIRES]
        if expiry_s:
            expiry_s = min(max(expiry_s - self.outbox.now(), 1), _MAX_EXPIRY_S)
        self.client.queue_publish(self.topic, payload, entry[PID], flags, expiry_s)

    def _acknowledged(self, pid, refusal=None):
        for entry in self.outbox.in_flight:
            if entry[PID] == pid and entry[SENT] is not None:
                self._finish(entry, refusal)
                return

    def _finish(self, entry, refusal=None):
        self.sent -= 1
        now = self.ticks()
        if self.qos and entry[SENT] is not None:
            self._least_ms = min(self._least_ms, ticks_diff(now, entry[SENT]))
        if self._half:
            self._ticks[self._at] = now
            self._at = (self._at + 1) % _PAIRS
        self._half ^= 1
        self.outbox.done(entry)
        self.on_sent(entry[PAYLOAD], refusal)
