"""The command `mqtt443 local` as a person or a script runs it."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from mqtt443_authorizer.sqlitestore import SqliteStore
from mqtt443_tools.cli import app
from mqtt443_tools.device.registration import add_device
from mqtt443_tools.local.local_command import parse_settings
from mqtt443_tools.localcore.localcore_errors import SettingError
from mqtt443_tools.localcore.settings import Settings
from mqtt443_tools.support.lambda_zip import build
from typer.testing import CliRunner

from tests.support.mqtt.client import Connack, Inbox, client_connect, client_publish

MQTT443 = (sys.executable, "-c", "from mqtt443_tools.cli import main; main()")
WAIT_S = 20.0
READY = re.compile(r"ready host=(\S+) port=(\d+) ca=(\S+)(?: domain=(\S+) domain_port=(\d+))?\n")


@contextmanager
def local(state: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], re.Match[str]]]:
    """Run the command until the end of the block; the process and its ready line."""
    with subprocess.Popen(
        [*MQTT443, "local", "--no-console", "--port", "0", "--state", str(state), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            ready = READY.fullmatch(process.stdout.readline())
            assert ready is not None, process.communicate(timeout=WAIT_S)[1]
            yield process, ready
        finally:
            process.kill()


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*MQTT443, *arguments], capture_output=True, text=True, timeout=WAIT_S, check=False)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_endpoint_reports_ready_and_refusals_and_stops_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    state = tmp_path / "state"
    with local(state, "--name", "iot.localhost") as (process, ready):
        name, port, ca = ready.group(1, 2, 3)
        assert (name, ca) == ("iot.localhost", str(state / "ca.pem"))
        store = SqliteStore(state / "devices.sqlite")
        add_device(store, "dev-1", password="p@ssw0rd-1", now=time.time())
        context = ssl.create_default_context(cafile=ca)
        context.set_alpn_protocols(["mqtt"])
        with (
            socket.create_connection(("127.0.0.1", int(port)), WAIT_S) as raw,
            context.wrap_socket(raw, server_hostname=name) as tls,
        ):
            tls.sendall(client_connect("dev-1", "dev-1", b"p@ssw0rd-1"))
            assert len(Inbox().feed(tls.recv(100))) == 1
            tls.sendall(client_publish("telemetry/\x1b[31mred"))
            assert tls.recv(100) == b""
        process.send_signal(number)
        out, err = process.communicate(timeout=WAIT_S)
    assert (process.returncode, out) == (0, "")
    assert "accepted dev-1 from 127.0.0.1: CONNECTED" in err
    assert "closed dev-1 from 127.0.0.1: AUTH_ERROR" in err
    assert "authorizer: allow dev-1: the password matches (" in err, "the Lambda's own log line, in words"
    assert "p@ssw0rd" not in err
    assert "\x1b" not in err, "no colour when piped, no control characters from the network"
    assert not (state / "control.json").exists()


def test_endpoint_emulates_a_domain_configuration(tmp_path: Path) -> None:
    with local(tmp_path, "--domain-name", "iot.example.com") as (_, ready):
        name, port = ready.group(4, 5)
        context = ssl.create_default_context(cafile=ready.group(3))
        with (
            socket.create_connection(("127.0.0.1", int(port)), WAIT_S) as raw,
            context.wrap_socket(raw, server_hostname=name) as tls,
        ):
            assert tls.selected_alpn_protocol() is None


def test_second_endpoint_on_a_state_folder_is_refused(tmp_path: Path) -> None:
    with local(tmp_path):
        result = run("local", "--port", "0", "--state", str(tmp_path))
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr.count("\n") == 1
        assert "another localcore runs" in result.stderr
        assert (tmp_path / "control.json").exists()


def test_state_folder_is_free_again_after_a_kill(tmp_path: Path) -> None:
    with local(tmp_path) as (process, first):
        process.kill()
    with local(tmp_path) as (_, second):
        assert first.group(3) == second.group(3)


def test_port_in_use_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = run("local", "--port", str(taken.getsockname()[1]), "--state", str(tmp_path))
    assert result.returncode == 1
    assert re.fullmatch(
        r"mqtt443: cannot listen on 127\.0\.0\.1 port \d+: Address already in use; .*--port\n", result.stderr
    )


def test_state_folder_that_is_a_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = run("local", "--port", "0", "--state", str(tmp_path / "file"))
    assert result.returncode == 1
    assert re.fullmatch(r"mqtt443: cannot use the state folder .*; choose another with --state\n", result.stderr)


def test_broken_ca_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    result = run("local", "--port", "0", "--state", str(tmp_path))
    assert result.returncode == 1
    assert "delete ca.pem and ca-key.pem" in result.stderr


@pytest.mark.parametrize("setting", ["qos2=maybe", "unknown=1", "qos2", "retry_s=soon"])
def test_wrong_setting_is_wrong_use(tmp_path: Path, setting: str) -> None:
    result = run("local", "--state", str(tmp_path / "state"), "--set", setting)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    "setting",
    [
        "bind=",
        "bind=localhost",
        "bind=" + "a" * 70,
        "region=eu west",
        "region=*",
        "account=12345678901",
        "account=*",
        "handshake_timeout_s=0",
        "retry_s=0",
        "keep_alive_min_s=0",
        "keep_alive_max_s=0",
        "websocket_lifetime_s=0",
    ],
)
def test_setting_out_of_range_is_refused(setting: str) -> None:
    with pytest.raises(SettingError, match=f"^{setting.partition('=')[0]}="):
        Settings(**cast("dict[str, Any]", parse_settings([setting])))


def test_optional_setting_can_be_set_to_none() -> None:
    assert parse_settings(["domain_authorizer=none"]) == {"domain_authorizer": None}


def test_unreadable_ca_is_not_blamed_on_the_port(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").mkdir()
    (tmp_path / "ca-key.pem").touch()
    result = run("local", "--port", "0", "--state", str(tmp_path))
    assert result.returncode == 1
    assert re.fullmatch(r"mqtt443: cannot use the state folder .*: Is a directory; .*--state\n", result.stderr)


def test_unwritable_control_file_is_not_blamed_on_the_port(tmp_path: Path) -> None:
    (tmp_path / "control.json").mkdir()
    result = run("local", "--port", "0", "--state", str(tmp_path))
    assert result.returncode == 1
    assert re.fullmatch(r"mqtt443: cannot use the state folder .*; .*--state\n", result.stderr)


def test_lost_reader_is_not_blamed_on_the_port(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write) as nobody:
        command = [*MQTT443, "local", "--port", "0", "--state", str(tmp_path)]
        done = subprocess.run(command, stdout=nobody, stderr=subprocess.PIPE, text=True, timeout=WAIT_S, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert not (tmp_path / "control.json").exists()


def test_binary_server_name_is_explained_without_a_traceback(tmp_path: Path) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    hello = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        hello.do_handshake()
    with local(tmp_path) as (process, ready):
        with socket.create_connection(("127.0.0.1", int(ready.group(2))), WAIT_S) as raw:
            raw.sendall(outgoing.read().replace(b"localhost", b"local\xffost"))
            assert raw.recv(1) == b"\x15", "an alert"
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=WAIT_S)
    assert re.fullmatch(r"\S+ refused a client from .*: SNI_MISUSED: .*not ASCII.*\n", err)


def test_settings_are_parsed_by_type() -> None:
    parsed = parse_settings(["qos2=ignore", "retry_s=5", "recheck_connect=false"])
    assert parsed == {"qos2": "ignore", "retry_s": 5, "recheck_connect": False}
    with pytest.raises(SettingError, match="true or false"):
        parse_settings(["recheck_connect=no"])


def test_help_has_an_example() -> None:
    result = CliRunner().invoke(app, ["local", "--help"])
    assert result.exit_code == 0
    assert "Example: mqtt443 local --port 8443" in result.output


def test_zip_with_an_authorizer_decides(tmp_path: Path) -> None:
    state, code = tmp_path / "state", tmp_path / "authorizer.zip"
    code.write_bytes(build())
    with local(state, "--zip", str(code)) as (process, ready):
        add_device(SqliteStore(state / "devices.sqlite"), "dev-1", password="p@ssw0rd-1", now=time.time())
        context = ssl.create_default_context(cafile=ready.group(3))
        context.set_alpn_protocols(["mqtt"])
        raw = socket.create_connection(("127.0.0.1", int(ready.group(2))), WAIT_S)
        with context.wrap_socket(raw, server_hostname="localhost") as client:
            client.sendall(client_connect("dev-1", password=b"p@ssw0rd-1"))
            assert Inbox().feed(client.recv(4)) == [Connack(0)]
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT_S) == 0


def test_zip_runs_instead_of_the_checkout(tmp_path: Path) -> None:
    code = tmp_path / "authorizer.zip"
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr(
            "mqtt443_authorizer/handler.py", "def handler(event, context): raise RuntimeError('of the zip')"
        )
    with local(tmp_path / "state", "--zip", str(code)) as (process, ready):
        context = ssl.create_default_context(cafile=ready.group(3))
        context.set_alpn_protocols(["mqtt"])
        raw = socket.create_connection(("127.0.0.1", int(ready.group(2))), WAIT_S)
        with context.wrap_socket(raw, server_hostname="localhost") as client:
            client.sendall(client_connect("dev-1", password=b"x"))
            assert client.recv(4) == b""
        process.send_signal(signal.SIGTERM)
        assert "of the zip" in process.communicate(timeout=WAIT_S)[1]


@pytest.mark.parametrize("content", [None, b"no zip"])
def test_broken_zip_is_one_line_with_the_next_step(tmp_path: Path, content: bytes | None) -> None:
    code = tmp_path / "authorizer.zip"
    if content is not None:
        code.write_bytes(content)
    result = run("local", "--port", "0", "--state", str(tmp_path / "state"), "--zip", str(code))
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert f"write one with: mqtt443 cloud zip {code}" in result.stderr


def test_zip_without_an_end_is_not_read(tmp_path: Path) -> None:
    result = run("local", "--port", "0", "--state", str(tmp_path / "state"), "--zip", "/dev/zero")
    assert result.returncode == 1
    assert result.stderr == "mqtt443: /dev/zero: not a file; write one with: mqtt443 cloud zip authorizer.zip\n"
