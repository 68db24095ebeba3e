"""The board's code on real MicroPython: each transport, each way to fail, and the main program, over real TLS."""

import json
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.firmware.servers import (
    CONNACK,
    HOST,
    Handler,
    Server,
    answer_mqtt,
    context,
    read_packet,
    serve_tcp,
    serve_tls,
    websocket_server,
)
from tests.support.board import FIRMWARE
from tests.support.interpreters import MICROPYTHON, need
from tools.paths import ROOT, UMQTT
from tools.virtualboard.interpreters import Interpreter

CA = trustme.CA()
TIMEOUT_S = 30

# Says what happened as one line of JSON; the deadlines are short where a test waits for one.
CLIENT = """
import json
from mqtt443 import config, errors
from mqtt443.client import Client
from mqtt443.transport import Transport

settings = config.load()
got = []
report = {}
try:
    transport = Transport(settings)
    report["transport"] = transport.name
    report["why"] = transport.why
    client = Client(settings, transport)
    client._timeout_ms = transport.timeout_ms = TIMEOUT_MS
    client.set_callback(lambda topic, message: got.append(message.decode()))
    report["session"] = client.connect()
    for n in range(3):
        client.publish("telemetry/dev1", "x" * 100 * n, qos=1)
    client.subscribe("commands/dev1", 1)
    client.ping()
    for _ in range(9):  # the WebSocket server cuts its packets
        if client._packets.pinged:
            client.wait(1000)
    report["pinged"] = client._packets.pinged
    client.check_msg()
    client.disconnect()
except errors.Mqtt443Error as e:
    report["error"] = type(e).__name__
    report["text"] = str(e)
print(json.dumps(report))
"""


@pytest.fixture(params=MICROPYTHON)
def micropython(request: pytest.FixtureRequest) -> Interpreter:
    return need(request.param)


def run(interpreter: Interpreter, folder: Path, source: str) -> str:
    """Run source on interpreter with folder as the board's root; return what it printed."""
    (folder / "program.py").write_text(source)
    result = subprocess.run(
        [*interpreter.command, "program.py"],
        check=False,
        cwd=folder,
        env={"MICROPYPATH": f"{folder}:{FIRMWARE}:{UMQTT}"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def prepare(folder: Path, server: Server, **changes: Any) -> None:
    (folder / "ca.pem").write_bytes(server.ca or CA.cert_pem.bytes())
    base = {"endpoint": HOST, "port": server.port, "client_id": "dev1", "username": "u", "password": "p"}
    (folder / "config.json").write_text(json.dumps({**base, "ca": "ca.pem", **changes}))


def connect(interpreter: Interpreter, folder: Path, server: Server, timeout_ms: int = 5000, **changes: Any) -> Any:
    """Run a client against server; return its report."""
    prepare(folder, server, **changes)
    return json.loads(run(interpreter, folder, CLIENT.replace("TIMEOUT_MS", str(timeout_ms))))


def until_closed(connection: Any) -> None:
    try:
        while connection.recv(4096):
            pass
    except OSError:
        pass  # MicroPython closes without close_notify


def silent_after_connect(connection: Any) -> None:
    read_packet(connection)
    until_closed(connection)


def silent_after_connack(connection: Any) -> None:
    read_packet(connection)
    connection.sendall(CONNACK)
    until_closed(connection)


@pytest.mark.parametrize("transport", ["auto", "tls", "wss"])
def test_each_transport_goes_through(micropython: Interpreter, tmp_path: Path, transport: str) -> None:
    seen: list[bytes] = []
    alpn = transport == "auto" and micropython.name.startswith("alpn")
    websocket = transport == "wss" or (transport == "auto" and not alpn)
    handler: Handler = websocket_server(seen) if websocket else lambda c: seen.extend(answer_mqtt(c))
    with serve_tls(CA, context(CA), handler) as server:
        report = connect(micropython, tmp_path, server, transport=transport)
    assert server.errors == []
    assert "error" not in report, report
    assert (report["session"], report["pinged"]) == (False, False)
    assert report["transport"] == ("alpn" if alpn else "wss" if websocket else "tls")
    assert server.sni == [HOST]
    assert server.alpn == ["mqtt" if alpn else None]
    assert [packet[0] for packet in seen] == [0x10, 0x32, 0x32, 0x32, 0x82, 0xC0, 0xE0]
    if transport == "auto":
        assert "ALPN" in report["why"]


def test_alpn_without_the_module_names_the_ways_out(tmp_path: Path) -> None:
    with serve_tls(CA, context(CA), until_closed) as server:
        report = connect(need("stock"), tmp_path, server, transport="alpn")
    assert report["error"] == "NoAlpn"
    assert "transport wss" in report["text"]


def test_a_server_that_picks_no_alpn_is_reported(tmp_path: Path) -> None:
    with serve_tls(CA, context(CA, protocols=()), silent_after_connect) as server:
        assert connect(need("alpn"), tmp_path, server, transport="alpn")["error"] == "NoAlpn"


OLD = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC))
FUTURE = (datetime(2037, 1, 1, tzinfo=UTC), datetime(2038, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("name", "dates", "other_ca", "error"),
    [
        (HOST, None, True, "WrongCa"),
        ("other.example", None, False, "WrongHost"),
        (HOST, OLD, False, "CertificateExpired"),
        (HOST, FUTURE, False, "ClockError"),
    ],
)
def test_a_certificate_that_proves_nothing_is_refused_by_name(
    micropython: Interpreter,
    tmp_path: Path,
    name: str,
    dates: tuple[datetime, datetime] | None,
    other_ca: bool,
    error: str,
) -> None:
    begin, end = dates or (None, None)
    with serve_tls(CA, context(CA, name, not_before=begin, not_after=end), until_closed) as server:
        if other_ca:
            server.ca = trustme.CA().cert_pem.bytes()
        report = connect(micropython, tmp_path, server, transport="tls")
    assert report["error"] == error, report
    if error in ("ClockError", "CertificateExpired"):
        assert "it says 20" in report["text"]


def closes(connection: Any) -> None:
    read_packet(connection)


def refuses(connection: Any) -> None:
    read_packet(connection)
    connection.sendall(b"\x20\x02\x00\x05")
    until_closed(connection)


def lies(connection: Any) -> None:
    read_packet(connection)
    connection.sendall(CONNACK + b"\x36\x05\0\1t\0\1")
    until_closed(connection)


@pytest.mark.parametrize(
    ("handler", "error"),
    [
        (silent_after_connect, "ConnackTimeout"),
        (silent_after_connack, "PeerVanished"),
        (closes, "ClosedBeforeConnack"),
        (refuses, "ConnectRefused"),
        (lies, "MalformedPacket"),
    ],
)
def test_each_way_to_fail_over_tls_is_its_own_error(
    micropython: Interpreter, tmp_path: Path, handler: Callable[[Any], None], error: str
) -> None:
    with serve_tls(CA, context(CA), handler) as server:
        report = connect(micropython, tmp_path, server, 400, transport="tls")
    assert report["error"] == error, report
    assert len(report["text"]) > 40


def test_a_server_that_never_begins_tls_is_a_handshake_timeout(micropython: Interpreter, tmp_path: Path) -> None:
    with serve_tcp(until_closed) as server:
        assert connect(micropython, tmp_path, server, 400, transport="tls")["error"] == "HandshakeTimeout"


def test_a_refused_port_is_named(micropython: Interpreter, tmp_path: Path) -> None:
    with serve_tcp(until_closed) as server:
        port = server.port
    report = connect(micropython, tmp_path, Server(port, b""), transport="tls")
    assert report["error"] == "ConnectFailed"
    assert "ECONNREFUSED" in report["text"]


def test_the_main_program_publishes_and_says_goodbye(micropython: Interpreter, tmp_path: Path) -> None:
    seen: list[bytes] = []
    (tmp_path / "sensors.py").write_text("def read():\n    return {'t': 21.5, 'bad': lambda: 1 / 0}\n")
    source = """
from mqtt443 import run
turns = [0]
def stop():
    turns[0] += 1
    return turns[0] > 2
print(run(stop=stop))
"""
    with serve_tls(CA, context(CA), lambda c: seen.extend(answer_mqtt(c))) as server:
        prepare(tmp_path, server, transport="tls", interval_s=1)
        lines = run(micropython, tmp_path, source).splitlines()
    assert lines[-1] == "True", lines
    assert "transport tls: as config.json says" in lines[0]
    assert seen[-1] == b"\xe0\x00"
    topic = b"telemetry/dev1"
    message = json.loads(seen[1][seen[1].index(topic) + len(topic) + 2 :])
    assert message["seq"] == 1
    assert message["t"] == 21.5
    assert "ZeroDivisionError" in message["errors"]["bad"]
    assert message["time"].startswith("20")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{\n "endpoint": "h",\n "port": x}', "line 3"),
        ('{"endpoint": "h", "client_id": "d", "intervall_s": 5}', "did you mean interval_s?"),
        (None, "config.example.json"),
    ],
)
def test_a_wrong_config_is_one_line_and_the_prompt(
    micropython: Interpreter, tmp_path: Path, text: str | None, words: str
) -> None:
    if text is not None:
        (tmp_path / "config.json").write_text(text)
    lines = run(micropython, tmp_path, (ROOT / "main.py").read_text()).splitlines()
    assert len(lines) == 1
    assert words in lines[0]


def test_a_board_without_the_package_says_what_to_copy(micropython: Interpreter, tmp_path: Path) -> None:
    (tmp_path / "mqtt443.py").write_text("raise ImportError('no module named mqtt443')\n")
    lines = run(micropython, tmp_path, (ROOT / "main.py").read_text()).splitlines()
    assert len(lines) == 1
    assert "firmware/mqtt443" in lines[0]
