"""The rare frames of a WebSocket: control frames, fragments, long frames, and frames that RFC 6455 forbids.

Imported on demand.
"""

from . import errors
from ._port import const

_CONTINUATION = const(0)
_BINARY = const(2)
_CLOSE = const(8)
_PING = const(9)
_PONG = const(10)

_NO_STATUS = const(1005)  # section 7.4.1: a close frame without a code
_MAX_CONTROL_BYTES = const(125)  # section 5.5
_CONTROL_AT = const(6)  # the header of the answer goes in front: 2, 4 of mask


def begin(websocket, first, second, extended):
    """Check a frame's header and set up websocket, a `WebSocket`, for what follows.

    first, second: its first two bytes. extended: the length behind them, if there is one.
    Raises WebSocketError for frames that RFC 6455 forbids.
    """
    opcode = first & 0x0F
    length = second & 0x7F
    if first & 0x70:
        _fail("reserved bits")  # RFC 6455 section 5.2
    if second & 0x80:
        _fail("a masked frame")  # section 5.1
    if opcode >= _CLOSE:
        if opcode > _PONG or length > _MAX_CONTROL_BYTES or not first & 0x80:
            _fail("a bad control frame")  # section 5.5
        websocket.control = bytearray(_CONTROL_AT + length)
        websocket.control[0] = opcode
        websocket.have = _CONTROL_AT
        return
    if opcode not in (_BINARY, _CONTINUATION):
        _fail("a frame that is not binary")  # [MQTT-6.0.0-1]
    if (opcode == _CONTINUATION) != websocket.in_message:
        _fail("fragments out of order")  # section 5.4
    websocket.in_message = not first & 0x80
    if length >= 126:
        if extended < (65536 if length == 127 else 126) or extended >> 63:
            _fail("a bad length")  # section 5.2
        length = extended
    websocket.left = length


def answer(websocket, control):
    """Answer a complete control frame; control: as made by `begin`.

    Raises ConnectionLost for a close frame, WebSocketError for a bad one.
    """
    opcode = control[0]
    end = len(control)
    n = end - _CONTROL_AT
    if opcode == _PING:
        websocket.send_frame(_PONG, control, _CONTROL_AT, end)
    elif opcode == _CLOSE:
        if n == 1:
            _fail("a bad close frame")  # section 5.5.1
        code = int.from_bytes(control[_CONTROL_AT : _CONTROL_AT + 2], "big") if n else _NO_STATUS
        websocket.send_frame(_CLOSE, control, _CONTROL_AT, min(end, _CONTROL_AT + 2))
        raise errors.ConnectionLost("the server closed the WebSocket, code %d" % code, closed=True)


def _fail(what):
    raise errors.WebSocketError("the server broke the WebSocket protocol: " + what)
