"""`mqtt443 local --lan`: boards on the network reach the endpoint by its address, which new configs contain."""

from __future__ import annotations

import json
import re
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import pytest
import trustme
from mqtt443_tools.cli import app
from mqtt443_tools.local.lan import choose_address, lan_addresses, own_names
from mqtt443_tools.localcore.endpoint_file import ENDPOINT_FILE, KnownEndpoint, known_endpoint
from mqtt443_tools.support.errors import CommandError, UsageError
from typer.testing import CliRunner

from tests.firmware.micropython import run
from tests.support.board import interpreters
from tests.support.board.virtual import Board
from tests.support.mqtt.endpoint import RunningCore

ALIAS = "127.0.0.2"  # an address of this machine that is not the one of localhost
WAIT_S = 20.0
TWO = [("192.168.1.5", "wlan0"), ("172.17.0.1", "docker0")]


@contextmanager
def local(state: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-c", "from mqtt443_tools.cli import main; main()", "local"]
    with subprocess.Popen(
        [*command, "--state", str(state), "--port", "0", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline()
        finally:
            process.terminate()
            process.communicate(timeout=WAIT_S)


def add(state: Path, out: Path) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["device", "add", "board-1", "--state", str(state), "--out", str(out)])
    assert result.exit_code == 0, result.output
    config: dict[str, Any] = json.loads(out.read_text())
    return config


def test_new_config_has_the_address_and_port_of_the_running_endpoint(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with local(state, "--address", ALIAS) as (_, ready):
        found = re.match(rf"ready host={ALIAS} port=(\d+) ca=", ready)
        assert found, ready
        config = add(state, tmp_path / "config.json")
        assert (config["endpoint"], config["port"]) == (ALIAS, int(found[1]))
        context = ssl.create_default_context(cafile=str(tmp_path / config["ca"]))
        with (
            socket.create_connection((ALIAS, config["port"]), WAIT_S) as raw,
            context.wrap_socket(raw, server_hostname=ALIAS) as tls,
        ):
            names = cast("dict[str, Any]", tls.getpeercert())["subjectAltName"]
            held = {value for _, value in names}
        assert held == {ALIAS, *own_names()}
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", config["port"]), WAIT_S)
    assert known_endpoint(state) == KnownEndpoint(ALIAS, config["port"], ALIAS), "it is remembered afterwards"


def test_own_host_name_and_address_both_reach_the_endpoint(tmp_path: Path) -> None:
    with local(tmp_path, "--address", ALIAS, "--name", "iot.example") as (_, ready):
        assert ready.startswith("ready host=iot.example ")
    known = known_endpoint(tmp_path)
    assert known is not None
    assert (known.host, known.bind) == ("iot.example", ALIAS)


def test_boards_with_an_old_address_are_named(tmp_path: Path) -> None:
    (tmp_path / ENDPOINT_FILE).write_text('{"host": "192.168.1.5", "port": 8443, "bind": "192.168.1.5"}')
    with local(tmp_path, "--address", ALIAS) as (process, _):
        assert process.stderr is not None
        assert f"boards that were told 192.168.1.5 no longer find this endpoint: push them the new {ALIAS}" in (
            process.stderr.readline()
        )


def test_address_of_another_machine_is_one_line(tmp_path: Path) -> None:
    with local(tmp_path, "--address", "192.0.2.1") as (process, ready):
        assert ready == ""
        assert process.stderr is not None
        assert process.stderr.read() == (
            "mqtt443: cannot listen on 192.0.2.1 port 0: Cannot assign requested address; "
            "choose another with --address\n"
        )


def test_one_address_is_taken_without_a_question() -> None:
    assert choose_address(TWO[:1], None, None, None) == "192.168.1.5"


def test_choice_between_addresses_is_asked_once_and_remembered() -> None:
    asked: list[str] = []

    def ask(lines: Any) -> int:
        asked.extend(lines)
        return 1

    assert choose_address(TWO, None, None, ask) == "172.17.0.1"
    assert asked == ["192.168.1.5  wlan0", "172.17.0.1  docker0"]
    assert choose_address(TWO, None, "172.17.0.1", ask) == "172.17.0.1"
    assert choose_address(TWO, None, "10.0.0.9", ask) == "172.17.0.1", "an address that is gone counts for nothing"
    assert len(asked) == 4


def test_without_a_terminal_the_address_must_be_named() -> None:
    with pytest.raises(UsageError, match=r"192\.168\.1\.5, 172\.17\.0\.1 with --address"):
        choose_address(TWO, None, None, None)
    with pytest.raises(CommandError, match="no network address"):
        choose_address([], None, None, None)
    with pytest.raises(UsageError, match="not an IPv4 address"):
        choose_address(TWO, "box.local", None, None)


def test_loopback_is_no_address_for_boards() -> None:
    assert all(not address.startswith("127.") for address, _ in lan_addresses())


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"host": 1, "port": 1, "bind": ""}', '{"host": "a", "port": 0, "bind": ""}', "[" * 9000],
)
def test_broken_memory_of_the_endpoint_counts_for_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / ENDPOINT_FILE).write_text(content)
    assert known_endpoint(tmp_path) is None
    assert add(tmp_path, tmp_path / "config.json")["endpoint"] == "localhost"


@pytest.fixture(scope="module")
def on_the_lan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCore]:
    with RunningCore(tmp_path_factory.mktemp("lan"), name=ALIAS, bind=ALIAS, also="box.example") as core:
        yield core


@pytest.mark.parametrize("interpreter", interpreters.ALL)
@pytest.mark.parametrize("transport", ["auto", "wss"])
def test_board_reaches_the_endpoint_by_its_address(
    on_the_lan: RunningCore, tmp_path: Path, interpreter: str, transport: str
) -> None:
    client_id = f"by-address-{interpreter}-{transport}"
    password = on_the_lan.add_device(client_id)
    login: dict[str, Any] = {"client_id": client_id, "username": client_id, "password": password}
    way: dict[str, Any] = {"endpoint": ALIAS, "port": on_the_lan.port, "transport": transport}
    board = tmp_path / "board"
    with Board(board, interpreters.need(interpreter), on_the_lan.ca.read_bytes(), **login, **way) as running:
        running.wait_for(f"connected to {ALIAS}")
        assert on_the_lan.next_message().topic == f"telemetry/{client_id}"


HANDSHAKE = """
import socket, tls
s = socket.socket()
s.connect(socket.getaddrinfo(HOST, PORT)[0][-1])
context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
context.verify_mode = tls.CERT_REQUIRED
with open("ca.der", "rb") as file:
    context.load_verify_locations(file.read())
try:
    context.wrap_socket(s, server_hostname=HOST).write(b"x")
    print("verified")
except ValueError as e:
    print(e)
"""


@pytest.mark.parametrize("interpreter", interpreters.MICROPYTHON)
@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([ALIAS], "verified"),
        (["box.example", ALIAS], "verified"),
        (["127.0.0.3"], "does not match"),
        (["box.example"], "does not match"),
    ],
)
def test_micropython_checks_an_ip_address_against_the_certificate(
    tmp_path: Path, interpreter: str, names: list[str], said: str
) -> None:
    ca = trustme.CA()
    (tmp_path / "ca.der").write_bytes(ssl.PEM_cert_to_DER_cert(ca.cert_pem.bytes().decode()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # The common name is the address in every case: it must count for nothing.
    ca.issue_cert(*names, common_name=ALIAS).configure_cert(context)
    with socket.create_server((ALIAS, 0)) as listener:

        def serve() -> None:
            with suppress(OSError), context.wrap_socket(listener.accept()[0], server_side=True) as tls:
                tls.recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        program = HANDSHAKE.replace("HOST", repr(ALIAS)).replace("PORT", str(listener.getsockname()[1]))
        assert said in run(interpreters.need(interpreter), tmp_path, program)
        thread.join(WAIT_S)
