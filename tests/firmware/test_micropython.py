"""The board's code on real MicroPython: each transport, each way to fail, and a heap that stays flat, over real TLS."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme
from mqtt443_tools.virtualboard.interpreters import Interpreter

from tests.firmware.micropython import prepare, run
from tests.firmware.servers import (
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
from tests.support.board.interpreters import MICROPYTHON, need
from tests.support.mqtt import answers

CA = trustme.CA()

# Says what happened as one line of JSON; the deadlines are short where a test waits for one.
CLIENT = """
import json
from mqtt443 import config_schema, errors
from mqtt443.client import Client
from mqtt443.transport import Transport

settings = config_schema.load()
got = []
report = {}
try:
    transport = Transport(settings)
    report["transport"] = transport.name
    report["why"] = transport.why
    client = Client(settings, transport)
    client.timeout_ms = transport.timeout_ms = TIMEOUT_MS
    client.set_callback(lambda topic, message: got.append(message.decode()))
    report["session"] = client.connect()
    for n in range(3):
        client.publish("telemetry/dev1", "x" * 100 * n, qos=1)
    client.subscribe("commands/dev1", 1)
    client.ping()
    for _ in range(9):  # the WebSocket server cuts its packets
        if client.packets.pinged:
            client.wait(1000)
    report["pinged"] = client.packets.pinged
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
    connection.sendall(answers.connack(answers.level(read_packet(connection))))
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


def test_server_that_picks_no_alpn_is_reported(tmp_path: Path) -> None:
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
def test_certificate_that_proves_nothing_is_refused_by_name(
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
        assert "the clock says 20" in report["text"]


def closes(connection: Any) -> None:
    read_packet(connection)


def refuses(connection: Any) -> None:
    version = answers.level(read_packet(connection))
    connection.sendall(answers.connack(version, code=5 if version == answers.MQTT_311 else 0x87))
    until_closed(connection)


def lies(connection: Any) -> None:
    connection.sendall(answers.connack(answers.level(read_packet(connection))) + b"\x36\x05\0\1t\0\1")
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


def test_server_that_never_begins_tls_is_a_handshake_timeout(micropython: Interpreter, tmp_path: Path) -> None:
    with serve_tcp(until_closed) as server:
        server.ca = CA.cert_pem.bytes()
        assert connect(micropython, tmp_path, server, 400, transport="tls")["error"] == "HandshakeTimeout"


def test_refused_port_is_named(micropython: Interpreter, tmp_path: Path) -> None:
    with serve_tcp(until_closed) as server:
        port = server.port
    report = connect(micropython, tmp_path, Server(port, CA.cert_pem.bytes()), transport="tls")
    assert report["error"] == "ConnectFailed"
    assert "ECONNREFUSED" in report["text"]


PHASES = """
import sys
import mqtt443
from mqtt443._port import phase

def loaded():
    return [name for name in ("errors", "http", "ca") if "mqtt443." + name in sys.modules]

with phase():
    from mqtt443 import http
    with phase():
        from mqtt443 import ca, errors
        print(loaded())
    print(loaded(), len(ca.__dict__), "ca" in mqtt443.__dict__)
print(loaded(), len(http.__dict__), "http" in mqtt443.__dict__)
from mqtt443.http import read_head
print(callable(read_head), loaded())
"""


def test_phase_unloads_what_was_imported_inside_it_and_keeps_residents(
    micropython: Interpreter, tmp_path: Path
) -> None:
    # Unloaded modules are empty: the collector may take a stale word on the stack for a reference to one.
    assert run(micropython, tmp_path, PHASES).splitlines() == [
        "['errors', 'http', 'ca']",
        "['errors', 'http'] 0 False",
        "['errors'] 0 False",
        "True ['errors', 'http']",
    ]


RECONNECTS = """
import gc
from mqtt443 import config_schema
from mqtt443.client import Client
from mqtt443.transport import Transport

settings = config_schema.load()
client = Client(settings, Transport(settings))
for n in range(16):
    client.connect()
    client.publish("t", "x", qos=1)
    client.disconnect() if n % 2 else client.close()
    gc.collect()
    print(gc.mem_alloc())
"""


def test_error_class_is_the_same_in_every_phase(micropython: Interpreter, tmp_path: Path) -> None:
    source = """
import mqtt443
from mqtt443._port import phase
first = None
for _ in range(2):
    with phase():
        from mqtt443 import errors, mqtt5
        error = mqtt5.refusal(errors.ConnectRefused, 0x87)
    first = first or type(error)
    try:
        raise error
    except mqtt443.ConnectRefused as e:
        print(type(e) is first, isinstance(e, mqtt443.Refused))
"""
    assert run(micropython, tmp_path, source).split() == ["True"] * 4


@pytest.mark.parametrize("transport", ["tls", "wss"])
def test_reconnecting_leaves_the_heap_flat(tmp_path: Path, transport: str) -> None:
    seen: list[bytes] = []
    handler: Handler = websocket_server(seen) if transport == "wss" else lambda c: seen.extend(answer_mqtt(c))
    with serve_tls(CA, context(CA), handler) as server:
        prepare(tmp_path, server, transport=transport)
        heap = [int(line) for line in run(need("alpn32"), tmp_path, RECONNECTS).split()]
    assert max(heap[4:]) - min(heap[4:]) < 500, heap
