"""`mqtt443 config init` and `show`: what they ask, write and hide."""

import json
import os
import pty
import re
import select
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mqtt443 import config_schema as board
from mqtt443_tools.cli import app
from mqtt443_tools.config.config_command import ask
from mqtt443_tools.support.errors import CommandError, UsageError
from typer.testing import CliRunner

GOLDEN = Path(__file__).parent / "golden"
SECRET = "hunter2-hunter2"
WAIT_S = 20


def show(path: Path, *arguments: str) -> str:
    result = CliRunner().invoke(app, ["config", "show", str(path), *arguments])
    assert SECRET not in result.output
    if isinstance(result.exception, CommandError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def read_until(terminal: int, ending: bytes | None) -> bytes:
    """Read from a terminal up to an ending, or, with None, until its last writer has closed it."""
    data = b""
    while ending is None or not data.endswith(ending):
        ready, _, _ = select.select([terminal], [], [], WAIT_S)
        assert ready, f"it waits after {data!r}"
        try:
            data += os.read(terminal, 4096)
        except OSError:  # on Linux, the end of a pseudo terminal
            assert ending is None, f"it ended after {data!r}"
            break
    return data


@pytest.fixture
def typed(tmp_path: Path) -> Any:
    """Type answers at a real terminal; gives all that it showed, and the config."""

    def typed(*answers: Any, path: Path = tmp_path / "config.json") -> Any:
        master, slave = pty.openpty()
        command = [str(Path(sys.executable).with_name("mqtt443")), "config", "init", "--out", str(path)]
        process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
        os.close(slave)
        try:
            shown = b""
            for answer in answers:  # one by one, as a hidden prompt discards what was typed before it
                shown += read_until(master, b": ")
                os.write(master, f"{answer}\n".encode())
            shown += read_until(master, None)
            assert process.wait(WAIT_S) == 0, shown
        finally:
            process.kill()
            process.wait()
            os.close(master)
        return shown.decode(), json.loads(path.read_text())

    return typed


def test_answers_become_a_config_that_the_board_accepts(typed: Any, tmp_path: Path) -> None:
    shown, written = typed("home", SECRET, "x-ats.iot.eu-west-1.amazonaws.com", "", "b1", "u", SECRET, "10")
    assert written == {
        "wifi": {"ssid": "home", "password": SECRET},
        "endpoint": "x-ats.iot.eu-west-1.amazonaws.com",
        "port": 443,
        "client_id": "b1",
        "username": "u",
        "password": SECRET,
        "interval_s": 10,
    }
    assert board.load(str(tmp_path / "config.json")).interval_s == 10
    assert stat.S_IMODE((tmp_path / "config.json").stat().st_mode) == 0o600
    assert "wrote" in shown


def test_invalid_answer_is_asked_again(typed: Any) -> None:
    shown, written = typed("", "https://x", "x.example", "x", "70000", "8443", "b1", "", "", "")
    assert "endpoint is 'https://x'; it must be a host name alone" in shown
    assert "port is 70000; it must be a whole number from 1 to 65535" in shown
    assert (written["endpoint"], written["port"], written["wifi"]) == ("x.example", 8443, None)


def test_answer_that_the_network_or_device_add_would_refuse_is_asked_again(typed: Any) -> None:
    shown, written = typed("home", "short", "12345678", "x.example", "", "bad/id", "b1", "a?b", "user", "", "")
    assert "a Wi-Fi password has 8 to 63 bytes, this one has 5: correct it" in shown
    assert "the client id contains '/': none of * ? + # $ / is allowed" in shown
    assert "username must not hold ?" in shown
    assert written["wifi"] == {"ssid": "home", "password": "12345678"}
    assert (written["client_id"], written["username"]) == ("b1", "user")


def test_existing_values_are_offered_and_other_keys_kept(typed: Any, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"endpoint": "x.example", "client_id": "b1", "password": SECRET, "qos": 0}))
    shown, written = typed("", "", "", "", "", "", "")
    assert SECRET not in shown
    assert "[unchanged]" in shown
    assert written["password"] == SECRET
    assert (written["endpoint"], written["client_id"], written["qos"]) == ("x.example", "b1", 0)


def test_init_without_a_terminal_is_wrong_use(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["config", "init", "--out", str(tmp_path / "config.json")])
    assert isinstance(result.exception, UsageError)
    assert not (tmp_path / "config.json").exists()


def test_every_question_is_about_a_key_of_the_board(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(question: Any, *, default: Any, **_: Any) -> Any:
        return str(default) or ("12345678" if "password" in question else "1")

    monkeypatch.setattr("typer.prompt", answer)
    assert board.validate(ask({})).client_id == "1"


def test_show_hides_secrets(tmp_path: Path) -> None:
    keys = {
        "endpoint": "x.example",
        "client_id": "b1",
        "password": SECRET,
        "wifi": {"ssid": "home", "password": SECRET},
    }
    token = {"token": SECRET, "token_key": "k", "token_signature": "AA=="}
    (tmp_path / "config.json").write_text(json.dumps({**keys, **token, "will_topic": "status/{client_id}"}))
    shown = show(tmp_path / "config.json")
    expected = (GOLDEN / "show.txt").read_text()
    assert shown == expected, f"golden/show.txt should hold:\n{shown}"
    values = json.loads(show(tmp_path / "config.json", "--json"))
    assert (values["password"], values["token_signature"], values["topic"]) == ("(hidden)", "(hidden)", "telemetry/b1")


def test_show_reports_a_broken_config_as_the_board_does(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"endpoint": "x", "client_id": 5}')
    with pytest.raises(CommandError, match="client_id is 5; it must be text"):
        show(tmp_path / "config.json")


def set_keys(path: Path, *changes: str) -> str:
    result = CliRunner().invoke(app, ["config", "set", *changes, "--out", str(path)])
    if isinstance(result.exception, CommandError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_set_changes_keys_and_keeps_the_others(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    config = {"endpoint": "example.org", "client_id": "a", "wifi": {"ssid": "home", "password": SECRET}}
    path.write_text(json.dumps(config))
    assert set_keys(path, "updates=true", "interval_s=30", "wifi.ssid=away", "topic=a=b") == f"wrote {path}\n"
    assert json.loads(path.read_text()) == {
        **config,
        "wifi": {"ssid": "away", "password": SECRET},
        "updates": True,
        "interval_s": 30,
        "topic": "a=b",
    }
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert board.load(str(path)).updates is True


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("updates", "expected KEY=VALUE"),
        ("nonsense=1", "nonsense: docs/config.md lists the keys"),
        ("password:hunter2-hunter2", "an argument: expected KEY=VALUE"),
        ("passwrd=hunter2-hunter2", "passwrd: docs/config.md lists the keys"),
        ("updates=yes", "updates"),
        ("interval_s=0", "interval_s"),
        ("client_id=a/b", "client id contains '/'"),
        ("password=hunter2-hunter2", "write password=- and type the value"),
        ("wifi.password=-", "there is no terminal to ask at"),
    ],
)
def test_set_of_what_a_board_refuses_changes_nothing(tmp_path: Path, change: str, message: str) -> None:
    path = tmp_path / "config.json"
    with pytest.raises(UsageError, match=re.escape(message)) as raised:
        set_keys(path, "interval_s=5", change)
    assert SECRET not in str(raised.value)
    assert not path.exists()
