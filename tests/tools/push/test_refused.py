"""What `mqtt443 push` finds wrong before a byte is sent, and ports that cannot be had."""

import fcntl
import json
import os
import pty
import tty
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mqtt443_tools.flash.flash_errors import PortError
from mqtt443_tools.push import serial_repl
from mqtt443_tools.push.board_tree import own_files, read_settings
from mqtt443_tools.support.errors import CommandError
from mqtt443_tools.support.paths import ROOT

from tests.tools.push.conftest import Push


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ({"intervall_s": 5}, "unknown key 'intervall_s'; did you mean interval_s\\?; nothing was sent"),
        ({"client_id": ""}, "client_id is"),
        ({"ca": "../ca.der"}, "must be in the folder of the config file"),
        ({"ca": "/etc/ca.pem"}, "must be in the folder of the config file"),
        ({"endpoint": "localhost"}, "put the root certificate of .* there"),
        ({"ca": "config.json"}, "holds no certificate"),
    ],
)
def test_invalid_config_is_refused_before_it_is_sent(push: Push, config: Path, keys: dict[str, Any], line: str) -> None:
    config.write_text(json.dumps({**json.loads(config.read_text()), **keys}))
    with pytest.raises(CommandError, match=line):
        push(config.parent / "no-port")


@pytest.mark.parametrize(
    ("source", "line"),
    [
        (b"import time\n\ndef read(:\n    return {}\n", r"sensors\.py line 3: SyntaxError: .+; nothing was sent$"),
        (
            b"def read():\n    return {'t': '21\xb0'}\n",
            r"sensors\.py line 2: not UTF-8; save the file as UTF-8; ",
        ),
        ("def read(): return {}".encode("utf-16"), r"sensors\.py line 1: not UTF-8"),
    ],
    ids=["syntax", "Latin-1", "UTF-16"],
)
def test_broken_sensors_are_refused_before_they_are_sent(push: Push, config: Path, source: bytes, line: str) -> None:
    (config.parent / "sensors.py").write_bytes(source)
    with pytest.raises(CommandError, match=line):
        push(config.parent / "no-port")


def test_byte_order_marks_stay_here(config: Path) -> None:
    """MicroPython's compiler refuses the mark, and so does an older board's reader of config.json."""
    (config.parent / "sensors.py").write_bytes(b"\xef\xbb\xbfdef read():\n    return {}\n")
    plain = config.read_bytes()
    config.write_bytes(b"\xef\xbb\xbf" + plain)
    files = own_files(config, read_settings(config))
    assert files["sensors.py"] == b"def read():\n    return {}\n"
    assert files["config.json"] == plain


def test_missing_config_is_named(push: Push, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no-config"):
        push(None, path=tmp_path / "no-config.json")


def test_missing_port(push: Push, tmp_path: Path) -> None:
    with pytest.raises(PortError, match="there is no port"):
        push(tmp_path / "no-port")


@pytest.fixture
def terminal() -> Iterator[tuple[str, int]]:
    master, slave = pty.openpty()
    tty.setraw(slave)
    yield os.ttyname(slave), slave
    os.close(master)
    os.close(slave)


def test_busy_port(push: Push, terminal: tuple[str, int]) -> None:
    name, slave = terminal
    fcntl.flock(slave, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with pytest.raises(PortError, match="is busy: close the program that uses it"):
        push(name)


def test_silent_port(push: Push, terminal: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serial_repl, "PATIENCE_S", (0.05, 0.05))
    monkeypatch.setattr(serial_repl, "READ_S", 0.05)
    with pytest.raises(serial_repl.LinkError, match="mqtt443 flash"):
        push(terminal[0])


def test_mpremote_is_known_to_one_file() -> None:
    knowing = [
        path
        for path in (ROOT / "tools").rglob("*.py")
        if "import mpremote" in (text := path.read_text()) or "from mpremote" in text
    ]
    assert [path.relative_to(ROOT).as_posix() for path in knowing] == ["tools/mqtt443_tools/push/serial_repl.py"]
