"""Bytes to and from the endpoint under a deadline.

`Stream` is the bottom of every transport. `connection` opens it; `websocket` and `packets` are above it.
"""

from . import errors
from ._port import READ, WRITE, phase, ticks_add, ticks_diff, ticks_ms


class Stream:
    """A channel with deadlines. `phase` names the step for a timeout's text.

    channel: a `Channel`. host: for error texts. handshaking: the first write does the TLS handshake. ticks: seam, a
    millisecond counter.
    """

    def __init__(self, channel, host, handshaking=True, ticks=ticks_ms):
        self.phase = "connecting"
        self.channel = channel
        self.host = host
        self.handshaking = handshaking
        self._blocking = True
        self._seconds = 0
        self.ticks = ticks
        self._end = ticks()

    def deadline(self, timeout_ms, step):
        """Set a deadline timeout_ms from now for everything until the next call; step names it ("CONNACK")."""
        self.phase = step
        self._seconds = timeout_ms // 1000
        self._end = ticks_add(self.ticks(), timeout_ms)

    def setblocking(self, on):
        """Whether `readinto` waits for a byte (True) or returns None (False)."""
        self._blocking = on

    def _left_ms(self):
        left = ticks_diff(self._end, self.ticks())
        if left > 0:
            return left
        if self.handshaking:
            raise errors.timeout_error(errors.HandshakeTimeout, "the TLS handshake with " + self.host, self._seconds)
        raise errors.timeout_error(errors.Timeout, self.phase, self._seconds)

    def _fault(self, error):
        with phase():
            from .tls_errors import fault

            return fault(error, self.host, self.handshaking)

    def readinto(self, view):
        """Read at least one byte into view (not empty); return the count, or None if not blocking and none is
        available.

        Raises ConnectionLost at the end of the stream, Timeout past the deadline.
        """
        while True:
            left_ms = self._left_ms()  # even while bytes come: a byte now and then is not an answer
            try:
                n = self.channel.readinto(view)
            except (OSError, ValueError, MemoryError) as e:
                raise self._fault(e)
            if n:
                return n
            if n is not None:
                raise self._fault(None)
            if not self._blocking:
                return None
            self.channel.wait(READ, left_ms)

    def read(self, n):
        """Return exactly n bytes, waiting for them."""
        data = bytearray(n)
        view = memoryview(data)
        done = 0
        while done < n:
            done += self.readinto(view[done:])
        return data

    def write(self, data):
        """Send all of data, in one TLS record where it fits one (4 KiB on ESP32)."""
        self.send(data, 0, len(data))

    def send(self, buf, start, end):
        """Send buf[start:end] as `write` does."""
        while start < end:
            left_ms = self._left_ms()
            try:
                sent = self.channel.write(buf, start, end - start)
            except (OSError, ValueError, MemoryError) as e:
                raise self._fault(e)
            if sent:
                start += sent
            elif sent is None:
                self.channel.wait(WRITE, left_ms)
            else:
                raise self._fault(None)
        self.handshaking = False

    def poll(self, timeout_ms):
        """Wait up to timeout_ms for something to read, after a read that returned None; return whether it came."""
        return self.channel.wait(READ, timeout_ms)

    def tls_socket(self):
        """Return the TLS socket, which knows what TLS negotiated."""
        if self.handshaking:
            raise errors.TlsError("no handshake yet")
        return self.channel.sock

    def close(self):
        """Close the socket. Nothing is sent: MicroPython's TLS sends no close_notify either."""
        self.channel.close()
