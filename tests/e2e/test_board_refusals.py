"""What a board logs when it cannot connect: certificates, clock, refusals, silent servers; on MicroPython as .mpy."""

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme
from mqtt443_tools.virtualboard.interpreters import find

from tests.firmware.servers import Server, context, read_packet, serve_tcp, serve_tls
from tests.support.board import fake_time as faketime
from tests.support.board import interpreters
from tests.support.board.virtual import Board
from tests.support.mqtt import answers
from tests.support.mqtt.endpoint import RunningCore

Says = Callable[..., str]
Silences = dict[tuple[str, str], Board]

LOGIN: dict[str, Any] = {"client_id": "board", "username": "user", "password": "pa55-phrase", "transport": "tls"}
LONG_AGO, LONG_FROM_NOW = datetime(2025, 1, 1, tzinfo=UTC), datetime(2080, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def says(tmp_path: Path) -> Callable[..., str]:
    """Run a board until a log line matches a pattern; return that line."""

    def says(pattern: str, name: str, server: Server | RunningCore, ca: bytes, **more: Any) -> str:
        settings = {"port": server.port, "compiled": name != "cpython", **LOGIN, **more}
        with Board(tmp_path, interpreters.need(name), ca, **settings) as board:
            line = board.wait_for(pattern)
        assert not any(LOGIN["password"] in line for line in board.lines), "a password was printed"
        return line

    return says


def hang_up(connection: ssl.SSLSocket) -> None:
    """Read one byte and close: these boards never get this far."""
    connection.recv(1)


@pytest.mark.parametrize("name", interpreters.ALL)
def test_wrong_ca_is_named(says: Says, ca: trustme.CA, name: str) -> None:
    with serve_tls(ca, context(ca), hang_up) as server:
        line = says("WrongCa", name, server, trustme.CA().cert_pem.bytes())
    assert "Amazon Root CA" in line


@pytest.mark.parametrize("name", interpreters.ALL)
def test_wrong_host_name_is_named(says: Says, ca: trustme.CA, name: str) -> None:
    with serve_tls(ca, context(ca, "another.example"), hang_up) as server:
        assert "localhost" in says("WrongHost", name, server, ca.cert_pem.bytes())


@pytest.mark.parametrize("name", interpreters.ALL)
def test_expired_certificate_is_named_with_the_date(says: Says, ca: trustme.CA, name: str) -> None:
    old = context(ca, not_before=LONG_AGO, not_after=datetime(2025, 6, 1, tzinfo=UTC))
    with serve_tls(ca, old, hang_up) as server:
        line = says("CertificateExpired", name, server, ca.cert_pem.bytes())
    assert str(datetime.now(UTC).year) in line


def close_in_the_handshake(connection: socket.socket) -> None:
    """Read the ClientHello, and close."""
    connection.recv(4096)


@pytest.mark.parametrize("name", interpreters.ALL)
def test_peer_that_closes_in_the_handshake_is_named(says: Says, ca: trustme.CA, name: str) -> None:
    with serve_tcp(close_in_the_handshake) as server:
        line = says("TlsError", name, server, ca.cert_pem.bytes())
    assert "localhost closed the connection in the TLS handshake" in line
    assert line.index("IDF heap") < line.index("SNI")


@pytest.mark.parametrize("name", interpreters.ALL)
def test_certificate_from_the_future_is_a_clock_error(says: Says, ca: trustme.CA, name: str) -> None:
    future = context(ca, not_before=datetime(2070, 1, 1, tzinfo=UTC), not_after=LONG_FROM_NOW)
    with serve_tls(ca, future, hang_up) as server:
        says("ClockError", name, server, ca.cert_pem.bytes())


@pytest.mark.parametrize("name", faketime.INTERPRETERS)
def test_clock_is_set_over_443_if_ntp_is_blocked(tmp_path: Path, name: str) -> None:
    interpreter = interpreters.need(name)
    environment = faketime.board_clock(tmp_path, 2000)
    with RunningCore(tmp_path / "state") as core:
        password = core.add_device("board")
        login: dict[str, Any] = {"client_id": "board", "username": "board", "password": password, "port": core.port}
        world = {"ntp_error": 110}
        board = Board(tmp_path, interpreter, core.ca.read_bytes(), world=world, environment=environment, **login)
        with board:
            board.wait_for("clock: set from localhost over 443")
            board.wait_for("connected to localhost")
            assert str(datetime.now(UTC).year) in str(core.next_message().payload)


@pytest.mark.parametrize(
    ("name", "mqtt", "error"),
    [*((name, "5", "ConnectRefused") for name in interpreters.ALL), ("alpn", "3.1.1", "ClosedBeforeConnack")],
)
@pytest.mark.parametrize("transport", ["auto", "wss", "tls"])
def test_refused_password_lists_the_causes(
    says: Says, tmp_path: Path, name: str, mqtt: str, error: str, transport: str
) -> None:
    with RunningCore(tmp_path / "state", domain_name="localhost") as core:
        core.add_device("board", username="user", password="right one")
        port = core.domain_port if transport == "tls" else core.port
        line = says(error, name, core, core.ca.read_bytes(), transport=transport, port=port, mqtt=mqtt)
        assert core.next_event("refused").reason == "NOT_AUTHENTICATED"
    assert "password" in line


def after_connack(connection: ssl.SSLSocket) -> None:
    """Accept the board, then fall silent."""
    connection.sendall(answers.connack(answers.level(read_packet(connection))))
    connection.settimeout(None)
    while connection.recv(4096):
        pass


def never(connection: socket.socket) -> None:
    """Read everything and answer nothing until the peer closes."""
    connection.settimeout(None)
    while connection.recv(4096):
        pass


def half_a_handshake(ca: trustme.CA) -> AbstractContextManager[Server]:
    """Serve TCP and stop halfway through the server's first TLS flight."""

    def accepted(connection: socket.socket) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context(ca).wrap_bio(incoming, outgoing, server_side=True)
        incoming.write(connection.recv(4096))
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        flight = outgoing.read()
        connection.sendall(flight[: len(flight) // 2])
        never(connection)

    return serve_tcp(accepted)


# Where the server falls silent -> what the board must log.
SILENT: dict[str, tuple[Callable[[trustme.CA], AbstractContextManager[Server]], str]] = {
    "after TCP": (lambda _: serve_tcp(never), "HandshakeTimeout"),
    "mid handshake": (half_a_handshake, "HandshakeTimeout"),
    "before CONNACK": (lambda ca: serve_tls(ca, context(ca), never), "ConnackTimeout"),
    "after CONNACK": (lambda ca: serve_tls(ca, context(ca), after_connack), "PeerVanished"),
}


@pytest.fixture(scope="module")
def silences(ca: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, str], Board]]:
    """Boards on every interpreter, each with every silent server; they wait for the 10 s deadline at the same time."""
    boards = {}
    with ExitStack() as stack:
        for name in interpreters.ALL:
            interpreter = find(name)
            if interpreter is None:
                continue
            for place, (serve, _) in SILENT.items():
                server = stack.enter_context(serve(ca))
                folder = tmp_path_factory.mktemp("silent")
                board = Board(folder, interpreter, ca.cert_pem.bytes(), port=server.port, timeout_s=10, **LOGIN)
                boards[name, place] = stack.enter_context(board)
        yield boards


@pytest.mark.parametrize("place", SILENT)
@pytest.mark.parametrize("name", interpreters.ALL)
def test_silent_server_ends_at_the_deadline(silences: Silences, name: str, place: str) -> None:
    interpreters.need(name)
    line = silences[name, place].wait_for(SILENT[place][1])
    assert "10 s" in line
    silences[name, place].wait_for("next attempt in")
