"""Serves files over real HTTPS on this machine, with its own CA."""

from __future__ import annotations

import http.server
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import trustme


@dataclass
class Server:
    """Serves `pages`, each a body, or a status and headers; notes what was `asked`. `context` and `ca_pem` trust it."""

    url: str
    context: ssl.SSLContext
    ca_pem: str
    pages: dict[str, bytes | tuple[int, dict[str, str]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)


class _HttpsServer(http.server.ThreadingHTTPServer):
    known: Server

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore clients that refuse the certificate."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _HttpsServer

    def do_GET(self) -> None:
        known = self.server.known
        known.asked.append(self.path)
        page = known.pages.get(self.path, (404, {}))
        status, headers = page if isinstance(page, tuple) else (200, {"Content-Length": str(len(page))})
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if isinstance(page, bytes):
            self.wfile.write(page)
        elif "Content-Length" in headers:
            self.wfile.write(b"half of it")

    def log_message(self, *args: object) -> None:
        """Keep standard error free for the tests."""


@contextmanager
def serving() -> Iterator[Server]:
    """Run a server while the block runs."""
    ca, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(context)
    server = _HttpsServer(("127.0.0.1", 0), _Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.known = Server(
        f"https://localhost:{server.server_port}", ssl.create_default_context(), ca.cert_pem.bytes().decode()
    )
    ca.configure_trust(server.known.context)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.known
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
