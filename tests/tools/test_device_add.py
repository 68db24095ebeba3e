"""`mqtt443 device add`: what it prints and writes, and that no password leaks."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mqtt443_tools.support.errors import CommandError, UsageError

from tests.support.aws.logins import CONTEXT
from tests.support.device_command import ROOT, DeviceCommand


@pytest.fixture
def run(tmp_path: Path) -> Any:
    return DeviceCommand(tmp_path / "state")


def test_add_shows_a_generated_password_once(run: Any) -> None:
    first, second = run("add", "sensor-1").splitlines()
    assert first == "added sensor-1, user name sensor-1"
    assert run.fits(second.split()[1]) == 0
    assert second.endswith("(shown only once: it is not stored)")


def test_add_as_json_gives_the_generated_password(run: Any) -> None:
    shown = json.loads(run("add", "sensor-1", "--username", "dev1", "--json"))
    assert run.fits(shown.pop("password")) == 0
    assert shown == {"client_id": "sensor-1", "username": "dev1"}


@pytest.mark.parametrize(
    "way",
    [
        {"arguments": ["--password", "test"]},
        {"arguments": ["--password", "-"], "input": "test\n"},
        {"arguments": ["--password", "-"], "input": "test"},
        {"arguments": ["--password", "-"], "input": "test\r\nmore\n"},
        {"arguments": ["--password", "-"], "input": b"\xef\xbb\xbftest\r\n"},
        {"arguments": [], "env": {"MQTT443_PASSWORD": "test"}},
    ],
)
def test_chosen_password_is_used_and_never_shown(run: Any, way: Any) -> None:
    arguments = way.pop("arguments")
    output = run("add", "myClientName", "--username", "username", *arguments, **way)
    assert output == "added myClientName, user name username\n"
    assert run.fits("test", "myClientName") == 0


def test_additional_topics_are_stored(run: Any) -> None:
    run("add", "sensor-1", "--publish", "a/b", "--publish", "c", "--subscribe", "d/#")
    assert (run.stored().publish, run.stored().subscribe) == (("a/b", "c"), ("d/#",))


def test_config_file_gets_the_password_and_keeps_other_keys(run: Any, tmp_path: Path) -> None:
    out = tmp_path / "config.json"
    out.write_text(json.dumps({"wifi": {"ssid": "näme", "password": "secret"}, "port": 1, "interval_s": 5}))
    output = run("add", "sensor-1", "--out", str(out))
    config = json.loads(out.read_text())
    password = config.pop("password")
    assert config == {
        "wifi": {"ssid": "näme", "password": "secret"},
        "interval_s": 5,
        "endpoint": "localhost",
        "port": 8443,
        "ca": "ca.pem",
        "client_id": "sensor-1",
        "username": "sensor-1",
    }
    assert run.fits(password) == 0
    assert password not in output
    assert output == f"added sensor-1, user name sensor-1\nwrote {out}\n"
    assert out.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "ca.pem").read_bytes() == (run.state / "ca.pem").read_bytes()


def test_endpoint_port_and_ca_can_be_given(run: Any, tmp_path: Path) -> None:
    out = tmp_path / "new" / "config.json"
    ca = tmp_path / "ca.der"
    ca.write_bytes(b"certificate")
    place = ["--endpoint", "x-ats.iot.eu-west-1.amazonaws.com", "--port", "443", "--ca", str(ca)]
    shown = json.loads(run("add", "sensor-1", "--out", str(out), *place, "--json"))
    config = json.loads(out.read_text())
    assert (config["endpoint"], config["port"], config["ca"]) == (place[1], 443, "ca.der")
    assert (out.parent / "ca.der").read_bytes() == b"certificate"
    assert shown == {"client_id": "sensor-1", "username": "sensor-1", "out": str(out)}


def test_missing_ca_registers_nothing(run: Any, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"nowhere\.der cannot be copied .*--ca"):
        run("add", "sensor-1", "--out", str(tmp_path / "config.json"), "--ca", str(tmp_path / "nowhere.der"))
    assert run.stored() is None


@pytest.mark.parametrize("content", ["{", "[]", '"x"'])
def test_unreadable_config_file_is_kept_and_nothing_is_registered(run: Any, tmp_path: Path, content: str) -> None:
    out = tmp_path / "config.json"
    out.write_text(content)
    with pytest.raises(CommandError, match=r"config\.json: (not valid|must be) .*; fix it, or choose another file$"):
        run("add", "sensor-1", "--out", str(out))
    assert out.read_text() == content
    assert run.stored() is None


@pytest.fixture
def unwritable(tmp_path: Path) -> Any:
    """A path that reads as missing and cannot be written: its folder is a dangling link."""
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere" / "deep")
    return tmp_path / "gone" / "config.json"


def test_device_is_not_registered_if_its_password_cannot_be_written(run: Any, unwritable: Any) -> None:
    with pytest.raises(CommandError, match=r"/gone/"):
        run("add", "sensor-1", "--out", str(unwritable))
    assert run.stored() is None


def test_rotation_is_undone_if_the_password_cannot_be_written(run: Any, unwritable: Any) -> None:
    first = run.added_password("sensor-1")
    with pytest.raises(CommandError, match=r"/gone/"):
        run("rotate", "sensor-1", "--out", str(unwritable))
    assert run.fits(first) == 0
    assert len(run.stored().secrets) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a/b"], "client id contains '/'"),
        (["sensor-1", "--username", "a?b"], "user name contains"),
        (["sensor-1", "--password", ""], "password has 0 bytes"),
        (["sensor-1", "--publish", "a/#"], "topic contains"),
        (["sensor-1", "--endpoint", "localhost"], "--endpoint, --port and --ca go with --out"),
        (["sensor-1", "--port", "1"], "--endpoint, --port and --ca go with --out"),
        (["sensor-1", "--ca", "ca.pem"], "--endpoint, --port and --ca go with --out"),
    ],
)
def test_invalid_values_are_wrong_use(run: Any, arguments: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        run("add", *arguments)


def test_binary_password_on_stdin_is_wrong_use(run: Any) -> None:
    with pytest.raises(UsageError, match="not UTF-8"):
        run("add", "sensor-1", "--password", "-", input=b"\xff\n")


def test_registered_name_fails_with_the_next_step(run: Any) -> None:
    run("add", "sensor-1")
    with pytest.raises(CommandError, match=r"already registered: .*mqtt443 device rotate") as raised:
        run("add", "sensor-1")
    assert raised.value.exit_code == 1


def test_oversized_policy_fails(run: Any) -> None:
    topics = [argument for number in range(9) for argument in ("--publish", "t" * 250 + str(number))]
    with pytest.raises(CommandError, match="AWS allows at most 2048"):
        run("add", "sensor-1", *topics)


def test_own_template_is_checked(run: Any, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"mine\.json: No such file"):
        run("add", "sensor-1", env={"MQTT443_POLICY": str(tmp_path / "mine.json")})


def test_wrong_options_exit_with_2(run: Any) -> None:
    result = run.in_process("add", "--no-such-option")
    assert (result.returncode, result.stdout) == (2, "")


@pytest.mark.parametrize("way", ["stdin", "environment"])
def test_password_appears_nowhere_and_logs_in(run: Any, way: Any) -> None:
    secret = "correct horse battery"
    given = {"input": secret + "\n"} if way == "stdin" else {"env": {**os.environ, "MQTT443_PASSWORD": secret}}
    arguments = ["add", "sensor-1", *(["--password", "-"] if way == "stdin" else [])]
    added = run.in_process(*arguments, **given)
    assert (added.returncode, added.stderr) == (0, "")

    event = {
        "protocols": ["tls", "mqtt"],
        "protocolData": {
            "mqtt": {
                "username": "sensor-1",
                "password": base64.b64encode(secret.encode()).decode(),
                "clientId": "sensor-1",
            }
        },
    }
    program = (
        "import json, sys; from types import SimpleNamespace; from mqtt443_authorizer.handler import handler;"
        f"context = SimpleNamespace(invoked_function_arn={CONTEXT.invoked_function_arn!r});"
        "print(json.dumps(handler(json.load(sys.stdin), context)))"
    )
    decided = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        cwd=ROOT,
        input=json.dumps(event),
        env={**os.environ, "MQTT443_STORE": f"sqlite:{run.state}/devices.sqlite"},
        capture_output=True,
        text=True,
        timeout=30,
    )
    log, answer = map(json.loads, decided.stdout.splitlines())
    assert (answer["isAuthenticated"], log["decision"]) == (True, "allow")

    written = [path.read_bytes().decode("latin-1") for path in run.state.iterdir()]
    for text in (*added.args, added.stdout, decided.stdout, decided.stderr, *written):
        assert secret not in text
        assert base64.b64encode(secret.encode()).decode() not in text
