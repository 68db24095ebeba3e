"""Real TLS on loopback: who is refused and by which error, and what the board says on the wire."""

import socket
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.support.board import package as board  # noqa: F401 (umqtt, before mqtt443.client)

from mqtt443 import config_schema, errors  # isort: skip
from mqtt443.client import Client  # isort: skip
from mqtt443.transport import Transport  # isort: skip

from tests.firmware.servers import (  # isort: skip
    HOST,
    Server,
    answer_mqtt,
    context,
    read_packet,
    serve_tcp,
    serve_tls,
    websocket_server,
)
from tests.support.mqtt import answers

CA = trustme.CA()
SHORT_MS = 300


def client(server: Server, folder: Path, *, short: bool = False, **changes: Any) -> Client:
    """Return a client of server; with short, all its deadlines are 0.3 s."""
    (folder / "ca.pem").write_bytes(server.ca or CA.cert_pem.bytes())
    settings = config_schema.validate(
        {"endpoint": HOST, "port": server.port, "client_id": "dev1", "username": "u", "password": "p", "ca": "ca.pem"}
        | changes
    )
    if short:
        settings.timeout_s = SHORT_MS / 1000
    return Client(settings, Transport(settings, f"{folder}/"))


def pause(_: Any) -> None:
    """Keep the connection open and silent until the other side goes."""


def until_closed(connection: socket.socket) -> None:
    try:
        while connection.recv(4096):
            pass
    except TimeoutError:
        raise
    except OSError:
        pass  # the board closed without close_notify, as MicroPython does


def silent_after_connect(connection: ssl.SSLSocket) -> None:
    read_packet(connection)
    until_closed(connection)


@pytest.mark.parametrize("transport", ["alpn", "tls"])
def test_mqtt_goes_through_with_sni_and_alpn_as_chosen(tmp_path: Path, transport: str) -> None:
    seen: list[bytes] = []
    with serve_tls(CA, context(CA), lambda c: seen.extend(answer_mqtt(c))) as server:
        board_client = client(server, tmp_path, transport=transport)
        board_client.set_callback(lambda *_: None)
        assert board_client.connect() is False
        board_client.publish("telemetry/dev1", "{}", qos=1)
        board_client.subscribe("commands/dev1", 1)
        board_client.ping()
        board_client.wait(5000)
        assert not board_client.packets.pinged
        board_client.disconnect()
    assert server.errors == []
    assert server.sni == [HOST]
    assert server.alpn == ["mqtt" if transport == "alpn" else None]
    assert [packet[0] for packet in seen] == [0x10, 0x32, 0x82, 0xC0, 0xE0]


def test_mqtt_over_websocket_goes_through_without_alpn(tmp_path: Path) -> None:
    seen: list[bytes] = []
    with serve_tls(CA, context(CA, protocols=("mqtt", "http/1.1")), websocket_server(seen)) as server:
        board_client = client(server, tmp_path, transport="wss")
        board_client.connect()
        for _ in range(3):
            board_client.publish("telemetry/dev1", "{}", qos=1)
        board_client.disconnect()
    assert server.errors == []
    assert server.alpn == [None]
    assert [packet[0] for packet in seen] == [0x10, 0x32, 0x32, 0x32, 0xE0]


def test_each_packet_is_one_tls_record(tmp_path: Path) -> None:
    records: list[int] = []
    seen: list[bytes] = []

    def relay(near: socket.socket) -> None:
        """Pass bytes on to the TLS server and count the application data records that the board sends."""
        with socket.create_connection(("127.0.0.1", inner.port), timeout=10) as far:
            import selectors

            tail = b""
            with selectors.DefaultSelector() as both:
                both.register(near, selectors.EVENT_READ, far)
                both.register(far, selectors.EVENT_READ, near)
                while True:
                    for key, _ in both.select(10):
                        data = key.fileobj.recv(65536)  # type: ignore[union-attr]
                        if not data:
                            return
                        key.data.sendall(data)
                        if key.fileobj is near:
                            tail += data
                            while len(tail) >= 5 and len(tail) >= 5 + int.from_bytes(tail[3:5], "big"):
                                size = int.from_bytes(tail[3:5], "big")
                                if tail[0] == 23:
                                    records.append(size)
                                tail = tail[5 + size :]

    tls = context(CA)
    tls.maximum_version = ssl.TLSVersion.TLSv1_2  # in TLS 1.3 the handshake's records look the same
    with serve_tls(CA, tls, lambda c: seen.extend(answer_mqtt(c))) as inner, serve_tcp(relay) as server:
        server.ca = inner.ca
        board_client = client(server, tmp_path, transport="alpn")
        board_client.set_callback(lambda *_: None)
        board_client.connect()
        board_client.publish("telemetry/dev1", "x" * 100, qos=1)
        board_client.publish("telemetry/dev1", "x" * 100)
        board_client.subscribe("commands/dev1", 1)
        board_client.disconnect()
    assert len(seen) == 5
    assert len(records) == 5, f"5 packets went out in {len(records)} records"


@pytest.mark.parametrize("transport", ["alpn", "tls", "wss"])
def test_wrong_ca_is_refused(tmp_path: Path, transport: str) -> None:
    with serve_tls(CA, context(CA), pause) as server:
        server.ca = trustme.CA().cert_pem.bytes()
        with pytest.raises(errors.WrongCa, match="Amazon Root CA"):
            client(server, tmp_path, transport=transport).connect()


def test_wrong_host_name_is_refused(tmp_path: Path) -> None:
    with serve_tls(CA, context(CA, "other.example"), pause) as server, pytest.raises(errors.WrongHost, match=HOST):
        client(server, tmp_path).connect()


def test_expired_certificate_is_refused_with_the_clock_s_time(tmp_path: Path) -> None:
    tls = context(CA, not_before=datetime(2020, 1, 1, tzinfo=UTC), not_after=datetime(2021, 1, 1, tzinfo=UTC))
    with serve_tls(CA, tls, pause) as server, pytest.raises(errors.CertificateExpired, match="the clock says 20"):
        client(server, tmp_path).connect()


def test_certificate_of_tomorrow_means_that_the_clock_is_behind(tmp_path: Path) -> None:
    tls = context(CA, not_before=datetime(2037, 1, 1, tzinfo=UTC))
    with serve_tls(CA, tls, pause) as server, pytest.raises(errors.ClockError, match="clock is behind"):
        client(server, tmp_path).connect()


def test_server_that_picks_no_alpn_is_reported(tmp_path: Path) -> None:
    with (
        serve_tls(CA, context(CA, protocols=()), silent_after_connect) as server,
        pytest.raises(errors.NoAlpn, match="transport wss"),
    ):
        client(server, tmp_path, transport="alpn").connect()


def test_server_that_refuses_alpn_is_reported(tmp_path: Path) -> None:
    with serve_tls(CA, context(CA, protocols=("h2",)), silent_after_connect) as server, pytest.raises(errors.NoAlpn):
        client(server, tmp_path, transport="alpn").connect()


def test_silence_after_tcp_is_a_handshake_timeout(tmp_path: Path) -> None:
    with serve_tcp(until_closed) as server, pytest.raises(errors.HandshakeTimeout, match=HOST):
        client(server, tmp_path, short=True).connect()


def test_silent_handshake_is_a_handshake_timeout(tmp_path: Path) -> None:
    def half(connection: socket.socket) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context(CA).wrap_bio(incoming, outgoing, server_side=True)
        incoming.write(connection.recv(4096))
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        connection.sendall(outgoing.read()[:100])
        until_closed(connection)

    with serve_tcp(half) as server, pytest.raises(errors.HandshakeTimeout):
        client(server, tmp_path, short=True).connect()
    assert server.errors == []


def test_silence_before_connack_is_a_connack_timeout(tmp_path: Path) -> None:
    with serve_tls(CA, context(CA), silent_after_connect) as server, pytest.raises(errors.ConnackTimeout):
        client(server, tmp_path, short=True).connect()


def test_silent_upgrade_is_a_timeout_that_names_it(tmp_path: Path) -> None:
    with serve_tls(CA, context(CA), until_closed) as server, pytest.raises(errors.Timeout, match="WebSocket upgrade"):
        client(server, tmp_path, short=True, transport="wss").connect()


def test_silence_after_connack_means_that_the_peer_vanished(tmp_path: Path) -> None:
    def handler(connection: ssl.SSLSocket) -> None:
        connection.sendall(answers.connack(answers.level(read_packet(connection))))
        until_closed(connection)

    with serve_tls(CA, context(CA), handler) as server:
        board_client = client(server, tmp_path, short=True)
        board_client.connect()
        with pytest.raises(errors.PeerVanished):
            board_client.publish("t", "x", qos=1)
        board_client.close()


@pytest.mark.parametrize("transport", ["alpn", "wss"])
def test_close_before_connack_over_tls_names_the_causes(tmp_path: Path, transport: str) -> None:
    def handler(connection: ssl.SSLSocket) -> None:
        connection.recv(4096)

    with serve_tls(CA, context(CA), handler) as server, pytest.raises(errors.ClosedBeforeConnack, match="iot:Connect"):
        client(server, tmp_path, transport=transport).connect()


def test_port_without_a_listener_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(errors.ConnectFailed, match="ECONNREFUSED"):
        client(Server(port, b""), tmp_path).connect()


def test_check_msg_returns_at_once_with_nothing_there(tmp_path: Path) -> None:
    with serve_tls(CA, context(CA), answer_mqtt) as server:
        board_client = client(server, tmp_path)
        board_client.connect()
        for _ in range(100):
            board_client.check_msg()  # waiting for a message would end in PeerVanished
        board_client.disconnect()


def test_two_roots_in_one_file_are_both_trusted(tmp_path: Path) -> None:
    with serve_tls(CA, context(CA), answer_mqtt) as server:
        server.ca = trustme.CA().cert_pem.bytes() + server.ca
        board_client = client(server, tmp_path)
        board_client.connect()
        board_client.disconnect()


def test_ca_file_that_tls_does_not_take_is_a_config_error(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(b"\x30\x82\x01\x00" + b"x" * 256)
    settings = config_schema.validate({"endpoint": "h", "client_id": "d", "ca": "ca.pem"})
    with pytest.raises(errors.ConfigError, match="TLS does not take"):
        Transport(settings, f"{tmp_path}/")


def test_date_for_the_clock_is_asked_without_alpn(tmp_path: Path) -> None:
    asked: list[bytes] = []

    def handler(connection: ssl.SSLSocket) -> None:
        asked.append(connection.recv(4096))

    with serve_tls(CA, context(CA), handler) as server:
        stream = client(server, tmp_path, transport="alpn").transport.connect_http()
        stream.write(b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises(errors.ConnectionLost):
            stream.read(1)
        stream.close()
    assert server.alpn == [None]
    assert asked == [b"GET / HTTP/1.1\r\n\r\n"]
