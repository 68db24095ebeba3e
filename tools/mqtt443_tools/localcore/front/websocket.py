"""WebSocket framing around MQTT (MQTT 3.1.1 section 6, RFC 6455) by the `websockets` library, without I/O."""

from __future__ import annotations

from websockets.frames import Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

SUBPROTOCOL = Subprotocol("mqtt")


def negotiate(request: Request) -> Response:
    """Answer an upgrade request: 101 with subprotocol `mqtt` [MQTT-6.0.0-3] [MQTT-6.0.0-4], or the error."""
    return ServerProtocol(subprotocols=[SUBPROTOCOL]).accept(request)


class WebSocketFrames:
    """The frames of one open connection.

    Args:
        max_frame_bytes: longest frame to accept. MQTT packets may be split over frames or share one [MQTT-6.0.0-2].

    Attributes:
        closed: the client sent a Close frame.
        problem: the protocol violation in one line, or None.
    """

    def __init__(self, max_frame_bytes: int) -> None:
        self.closed = False
        self.problem: str | None = None
        self._protocol = ServerProtocol(state=State.OPEN, max_size=(None, max_frame_bytes))

    def receive(self, data: bytes) -> bytes:
        """Process bytes from the client; return the MQTT bytes in them. `replies` then has pongs or a Close."""
        mqtt = bytearray()
        if self.closed or self.problem is not None or not data:
            return bytes(mqtt)
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            assert not isinstance(event, (Request, Response))  # noqa: S101 - the protocol began in state OPEN
            if event.opcode is Opcode.TEXT:  # [MQTT-6.0.0-1]
                self.problem = "a WebSocket text frame; MQTT goes in binary frames [MQTT-6.0.0-1]"
                return bytes(mqtt)
            if event.opcode in {Opcode.BINARY, Opcode.CONT}:
                mqtt += event.data
            elif event.opcode is Opcode.CLOSE:
                self.closed = True
        if self._protocol.parser_exc is not None:
            self.problem = f"WebSocket: {self._protocol.parser_exc}"
        return bytes(mqtt)

    def binary(self, data: bytes) -> bytes:
        """Return `data` in a binary frame; nothing once the connection is closing."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_binary(data)
        return self.replies()

    def close(self) -> bytes:
        """Return a Close frame, unless one was sent."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(1000 if self.problem is None else 1002)
        return self.replies()

    def replies(self) -> bytes:
        """Return the protocol's pending output, such as pongs; the caller ends the stream."""
        return b"".join(self._protocol.data_to_send())
