"""A WebSocket client (RFC 6455) over a Stream, with the Stream's own interface, for MQTT in binary frames.

Masking, control frames and fragments are here; the request before them is in `upgrade`. Incoming payload is handed on
as it comes, so what a frame's header claims is never allocated. Extensions are not offered and not accepted.
"""

import os

from . import errors
from ._port import const

_CONTINUATION = const(0)
_BINARY = const(2)
_CLOSE = const(8)
_PING = const(9)
_PONG = const(10)

_NO_STATUS = const(1005)  # section 7.4.1: a close frame without a code

# RFC 6455 section 5.5; both directions.
_MAX_CONTROL_BYTES = const(125)
_MAX_HEADER_BYTES = const(10)  # 2, 8 of length; a server does not mask
_CONTROL_AT = const(6)  # the header of the answer goes in front: 2, 4 of mask


class WebSocket:
    """MQTT over WebSocket on a stream that is upgraded; write, readinto and the rest are as the Stream's.

    stream: a `Stream`. urandom: seam, count -> random bytes.
    """

    def __init__(self, stream, urandom=os.urandom):
        self.stream = stream
        self.urandom = urandom
        self.deadline = stream.deadline
        self.setblocking = stream.setblocking
        self.poll = stream.poll
        # Of the frame being read: header bytes so far and wanted, payload bytes left, control payload so far.
        self._header = bytearray(_MAX_HEADER_BYTES)
        self._have = 0
        self._left = 0
        self._opcode = _CONTINUATION
        self._control = bytearray(_CONTROL_AT + _MAX_CONTROL_BYTES)
        self._control_have = 0
        self._in_message = False  # a message is begun and its last fragment has not come

    def send(self, buf, start, end):
        """Send buf[start:end] as one masked binary frame, in one write.

        The frame is made in place: what stands there is masked, and the 14 bytes in front of start are overwritten.
        """
        self._send(_BINARY, buf, start, end)

    def _send(self, opcode, frame, start, end):
        at = start
        # Fresh for each frame (RFC 6455 section 5.3).
        mask = self.urandom(4)
        m0, m1, m2, m3 = mask
        # Four at a time with the key in locals: a third faster than an index into the key, and nothing is allocated.
        while at + 4 <= end:
            frame[at] ^= m0
            frame[at + 1] ^= m1
            frame[at + 2] ^= m2
            frame[at + 3] ^= m3
            at += 4
        for byte in (m0, m1, m2):
            if at < end:
                frame[at] ^= byte
                at += 1
        n = end - start
        if n < 126:
            head = bytes((0x80 | opcode, 0x80 | n))
        else:
            size = 2 if n < 65536 else 8
            head = bytes((0x80 | opcode, 0xFE if size == 2 else 0xFF)) + n.to_bytes(size, "big")
        head += mask
        at = start
        start -= len(head)
        frame[start:at] = head
        self.stream.send(frame, start, end)

    def readinto(self, view):
        """Read payload bytes of binary messages into view, as `Stream.readinto` does.

        Raises ConnectionLost when a close frame came (answered first), WebSocketError for what RFC 6455 forbids.
        """
        while True:
            if self._left and self._opcode < _CLOSE:
                n = self.stream.readinto(view[: self._left] if len(view) > self._left else view)
                if n:
                    self._left -= n
                return n
            if not (self._read_control() if self._left else self._read_header()):
                return None

    def _read_header(self):
        header = self._header
        view = memoryview(header)
        need = 2
        while True:
            if self._have >= 2:
                length = header[1] & 0x7F
                need = 10 if length == 127 else 4 if length == 126 else 2
            if self._have >= need:
                break
            n = self.stream.readinto(view[self._have : need])
            if not n:
                return False
            self._have += n
        self._have = 0
        self._begin(header[0], header[1], int.from_bytes(header[2:need], "big"))
        if self._opcode >= _CLOSE and not self._left:
            self._end_control()
        return True

    def _begin(self, first, second, extended):
        opcode = first & 0x0F
        length = second & 0x7F
        if first & 0x70:
            self._fail("reserved bits")  # RFC 6455 section 5.2
        if second & 0x80:
            self._fail("a masked frame")  # section 5.1
        if opcode >= _CLOSE:
            if opcode > _PONG or length > _MAX_CONTROL_BYTES or not first & 0x80:
                self._fail("a bad control frame")  # section 5.5
            self._control_have = 0
        else:
            if opcode not in (_BINARY, _CONTINUATION):
                self._fail("a frame that is not binary")  # [MQTT-6.0.0-1]
            if (opcode == _CONTINUATION) != self._in_message:
                self._fail("fragments out of order")  # section 5.4
            self._in_message = not first & 0x80
        if length >= 126:
            if extended < (65536 if length == 127 else 126) or extended >> 63:
                self._fail("a bad length")  # section 5.2
            length = extended
        self._opcode = opcode
        self._left = length

    def _read_control(self):
        have = self._control_have
        have += _CONTROL_AT
        n = self.stream.readinto(memoryview(self._control)[have : have + self._left])
        if not n:
            return False
        self._control_have += n
        self._left -= n
        if not self._left:
            self._end_control()
        return True

    def _end_control(self):
        n = self._control_have
        end = _CONTROL_AT + n
        if self._opcode == _PING:
            self._send(_PONG, self._control, _CONTROL_AT, end)
        elif self._opcode == _CLOSE:
            if n == 1:
                self._fail("a bad close frame")  # section 5.5.1
            code = int.from_bytes(self._control[_CONTROL_AT : _CONTROL_AT + 2], "big") if n else _NO_STATUS
            self._send(_CLOSE, self._control, _CONTROL_AT, min(end, _CONTROL_AT + 2))
            raise errors.ConnectionLost("the server closed the WebSocket, code %d" % code, closed=True)

    def _fail(self, what):
        raise errors.WebSocketError("the server broke the WebSocket protocol: " + what)

    def close(self):
        """Close the stream, without a close frame: AWS takes one for an orderly end and drops the will."""
        self.stream.close()
