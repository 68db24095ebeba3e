"""Runs short programs on the interpreters that have the module, against a server that tells what they offered."""

import subprocess
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.firmware.image.alpnserver import DEADLINE_S, AlpnServer
from tests.support.board import interpreters

# What every program starts with: connect() does the handshake, with a verified certificate.
PRELUDE = """
import alpn, gc, socket, sys, tls
PORT = int(sys.argv[1])
with open(sys.argv[2], "rb") as file:
    CA = file.read()

def make_context():
    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    context.verify_mode = tls.CERT_REQUIRED
    context.load_verify_locations(CA)
    return context

def connect(context, handshake=True):
    raw = socket.socket()
    raw.connect(socket.getaddrinfo("127.0.0.1", PORT)[0][-1])
    return context.wrap_socket(raw, server_hostname="localhost", do_handshake_on_connect=handshake)

def error_of(call, *arguments):
    try:
        call(*arguments)
    except Exception as error:
        return type(error).__name__
"""

Run = Callable[..., str]
Serve = Callable[..., AlpnServer]


@pytest.fixture(params=["alpn", "alpn32"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    """Run a program to its end; returns what it printed."""
    interpreter = interpreters.need_roomy(request.param)

    def run(program: str, server: AlpnServer | None = None) -> str:
        (tmp_path / "ca.der").write_bytes(server.ca if server else b"")
        (tmp_path / "program.py").write_text(PRELUDE + textwrap.dedent(program))
        port = str(server.port if server else 0)
        command = [*interpreter.command, "program.py", port, "ca.der"]
        # Freed blocks of the C heap are overwritten, so that a use after free shows.
        environment = {"MALLOC_PERTURB_": "165"}
        ended = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=DEADLINE_S, check=False
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    return run


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start a server that picks among the given protocols, or none; it ends with the test."""
    servers: list[AlpnServer] = []

    def serve(*picks: str) -> AlpnServer:
        servers.append(AlpnServer(picks))
        return servers[-1]

    yield serve
    for server in servers:
        server.close()
