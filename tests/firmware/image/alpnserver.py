"""A TLS server that records which application protocols its clients offer, in order, and chooses as instructed."""

import socket
import ssl
import threading
from collections.abc import Sequence
from contextlib import suppress
from queue import Queue

import trustme

DEADLINE_S = 20
_ALPN = 16  # the extension's number, RFC 7301 section 3.1


def offered_protocols(client_hello: bytes) -> list[str] | None:
    """Read the ALPN extension of a ClientHello (RFC 5246 section 7.4.1.2); None if there is none."""
    at = 5 + 4 + 2 + 32  # record header, handshake header, version, random
    at += 1 + client_hello[at]  # session id
    at += 2 + int.from_bytes(client_hello[at : at + 2])  # cipher suites
    at += 1 + client_hello[at]  # compression methods
    end = at + 2 + int.from_bytes(client_hello[at : at + 2])
    at += 2
    while at < end:
        kind, size = int.from_bytes(client_hello[at : at + 2]), int.from_bytes(client_hello[at + 2 : at + 4])
        if kind == _ALPN:
            names, at_end, at = [], at + 4 + size, at + 6
            while at < at_end:
                names.append(client_hello[at + 1 : at + 1 + client_hello[at]].decode())
                at += 1 + client_hello[at]
            return names
        at += 4 + size
    return None


class AlpnServer:
    """Serves clients on 127.0.0.1, each in its own thread; echoes in upper case.

    Attributes:
        port: where it listens.
        ca: the CA certificate in DER, to trust.
        seen: the offer of each client, in the order of their connections.
    """

    def __init__(self, picks: Sequence[str]) -> None:
        authority = trustme.CA()
        self.ca = ssl.PEM_cert_to_DER_cert(authority.cert_pem.bytes().decode())
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(self._context)
        if picks:
            self._context.set_alpn_protocols(list(picks))
        self.seen: Queue[list[str] | None] = Queue()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._listen)]
        self._threads[0].start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(DEADLINE_S)

    def _listen(self) -> None:
        while True:
            try:
                raw, _ = self._listener.accept()
            except OSError:  # closed
                return
            raw.settimeout(DEADLINE_S)
            self._threads.append(threading.Thread(target=self._answer, args=(raw,)))
            self._threads[-1].start()

    def _answer(self, raw: socket.socket) -> None:
        # A client may go in the middle of anything; what it offered is what counts.
        with raw, suppress(OSError):
            size = 5 + int.from_bytes(raw.recv(5, socket.MSG_PEEK | socket.MSG_WAITALL)[3:5])
            self.seen.put(offered_protocols(raw.recv(size, socket.MSG_PEEK | socket.MSG_WAITALL)))
            with self._context.wrap_socket(raw, server_side=True) as tls:
                while data := tls.recv(1024):
                    tls.sendall(data.upper())
