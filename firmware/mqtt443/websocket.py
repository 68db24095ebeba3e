"""A WebSocket client (RFC 6455) over a Stream, with the Stream's own interface, for MQTT in binary frames.

Masking and the common frames are here; `ws_control` has the rare ones, `ws_handshake` the upgrade request. Incoming
payload is passed on as it arrives; the length that a frame's header claims is never allocated. Extensions are neither
offered nor accepted.
"""

import os

from ._port import const, phase

_BINARY = const(2)
_LONG = const(126)  # from here on, the length has bytes of its own
_MAX_HEADER_BYTES = const(10)  # 2, 8 of length; a server does not mask


class WebSocket:
    """MQTT over WebSocket on an upgraded stream, with the same methods as the Stream.

    stream: a `Stream`. urandom: seam, count -> random bytes.
    """

    def __init__(self, stream, urandom=os.urandom):
        self.stream = stream
        self.urandom = urandom
        self.deadline = stream.deadline
        self.setblocking = stream.setblocking
        self.poll = stream.poll
        # Of the frame being read: its header, bytes of it so far, payload bytes left.
        self._header = bytearray(_MAX_HEADER_BYTES)
        self.have = 0
        self.left = 0
        self.control = None  # a control frame, of which self.have bytes have arrived
        self.in_message = False  # a message has begun and its last fragment has not arrived

    def send(self, buf, start, end):
        """Send buf[start:end] as one masked binary frame, in one write.

        The frame is made in place: the data is masked, and the 14 bytes in front of start are overwritten.
        """
        self.send_frame(_BINARY, buf, start, end)

    def send_frame(self, opcode, frame, start, end):
        """Send a frame as `send` does; opcode: RFC 6455 section 5.2."""
        n = end - start
        at = start
        # Fresh for each frame (RFC 6455 section 5.3).
        mask = self.urandom(4)
        m0, m1, m2, m3 = mask
        # Four bytes at a time with the key in locals: a third faster than indexing the key, with nothing allocated.
        while at + 4 <= end:
            frame[at] ^= m0
            frame[at + 1] ^= m1
            frame[at + 2] ^= m2
            frame[at + 3] ^= m3
            at += 4
        while at < end:
            frame[at] ^= mask[at - start & 3]
            at += 1
        at = start - 4
        frame[at:start] = mask
        # Its header, from the end: the length, in bytes of its own if it is over 125.
        size = 0 if n < _LONG else 2 if n < 65536 else 8
        start = at - size - 2
        frame[start] = 0x80 | opcode
        frame[start + 1] = 0x80 | (n if not size else _LONG if size == 2 else 127)
        while at > start + 2:
            at -= 1
            frame[at] = n & 0xFF
            n >>= 8
        self.stream.send(frame, start, end)

    def readinto(self, view):
        """Read payload bytes of binary messages into view, as `Stream.readinto` does.

        Raises ConnectionLost when a close frame came (answered first), WebSocketError for what RFC 6455 forbids.
        """
        while True:
            control = self.control
            if control:
                if self.have < len(control):
                    n = self.stream.readinto(memoryview(control)[self.have :])
                    if not n:
                        return None
                    self.have += n
                else:
                    self.control = None
                    self.have = 0
                    with phase():
                        from .ws_control import answer

                        answer(self, control)
            elif self.left:
                n = self.stream.readinto(view[: self.left] if len(view) > self.left else view)
                if n:
                    self.left -= n
                return n
            elif not self._read_header():
                return None

    def _read_header(self):
        header = self._header
        need = 2
        while True:
            if self.have >= 2:
                length = header[1] & 0x7F
                need = 10 if length == 127 else 4 if length == _LONG else 2
            if self.have >= need:
                break
            n = self.stream.readinto(memoryview(header)[self.have : need])
            if not n:
                return False
            self.have += n
        self.have = 0
        if header[0] == 0x80 | _BINARY and header[1] < _LONG and not self.in_message:
            self.left = header[1]
        else:
            with phase():
                from .ws_control import begin

                begin(self, header[0], header[1], int.from_bytes(header[2:need], "big"))
        return True

    def close(self):
        """Close the stream without a close frame: after one, AWS would treat the end as orderly and drop the will."""
        self.stream.close()
