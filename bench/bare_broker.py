"""The least that a broker in Python can do, as the floor of a fan-out: `python -m bench.bare_broker FOLDER`.

It takes every CONNECT and SUBSCRIBE, and sends each PUBLISH at QoS 0 to all subscribers as it came: no topics, no
sessions, no policy. What remains is one TLS record and one system call for each delivery. It serves the certificate in
FOLDER on a free port of 127.0.0.1, and prints the port.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
from pathlib import Path

from mqtt443_tools.load import client_packets as packets
from mqtt443_tools.support.tls_connection import TlsConnection

CONNECT, SUBSCRIBE = 1, 8
BACKLOG = 128


class Client:
    """A connection; it joins the subscribers with its first SUBSCRIBE."""

    def __init__(self, context: ssl.SSLContext, subscribers: set[Client]) -> None:
        self.tls = TlsConnection(context, self)
        self._subscribers = subscribers
        self._incomplete = b""

    def connected(self, transport: asyncio.Transport) -> None:
        """Send without Nagle's algorithm, as localcore does."""
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def handshake_begins(self, tls: ssl.SSLObject) -> None:
        """See Receiver."""

    def handshake_done(self) -> None:
        """See Receiver."""

    def data_received(self, data: bytes) -> None:
        """Answer CONNECT and SUBSCRIBE; pass PUBLISH on."""
        found, self._incomplete = packets.cut(self._incomplete + data)
        for first_byte, body in found:
            kind = first_byte >> 4
            if kind == CONNECT:
                self.tls.write(bytes((packets.CONNACK << 4, 2, 0, 0)))
            elif kind == SUBSCRIBE:
                self._subscribers.add(self)
                self.tls.write(bytes((packets.SUBACK << 4, 3)) + body[:2] + b"\0")
            elif kind == packets.PUBLISH:
                packet = packets.whole(first_byte, body)
                for subscriber in self._subscribers:
                    subscriber.tls.write(packet)

    def connection_ended(self, _: OSError | None) -> None:
        """Forget the subscriber."""
        self._subscribers.discard(self)


async def main(folder: Path) -> None:
    """Serve until the process is ended."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    subscribers: set[Client] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Client(context, subscribers).tls, "127.0.0.1", 0, backlog=BACKLOG)
    print(f"ready port={server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
