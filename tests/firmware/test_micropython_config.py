"""config.json on real MicroPython: hostile ones end in one line, a torn one is replaced by the last good one."""

from pathlib import Path

import pytest
from mqtt443_tools.virtualboard.interpreters import Interpreter

from tests.firmware.micropython import run
from tests.support.board.interpreters import MICROPYTHON, need

# One line for each file: what `load` made of it.
LOAD_ALL = """
import os
from mqtt443 import config_schema, errors

os.chdir("configs")
for name in sorted(os.listdir()):
    try:
        print(name, config_schema.load(name).client_id)
    except errors.ConfigError as e:
        print(name, e)
"""

STARTS = """
from mqtt443 import config_schema, errors

def start(data):
    with open("config.json", "wb") as file:
        file.write(data)
    try:
        got = config_schema.load(keep=True)
        print(got.interval_s, got.notice)
    except errors.ConfigError as e:
        print(e)

GOOD = b'{"endpoint": "h", "client_id": "d", "interval_s": %d}'
start(GOOD[:20])
start(GOOD % 7)
start(GOOD % 8)
start(b"")
start((GOOD % 9)[:-1])
start(GOOD[:34])
start(GOOD % 0)
"""


@pytest.fixture(params=MICROPYTHON)
def micropython(request: pytest.FixtureRequest) -> Interpreter:
    return need(request.param)


def test_hostile_files_end_in_one_line(micropython: Interpreter, tmp_path: Path) -> None:
    folder = tmp_path / "configs"
    folder.mkdir()
    files = {
        "deep": (b"[" * 2_000, "nested too deep at line 1"),
        "empty": (b"", "not valid JSON at line 1"),
        "key": (b'{"endpoint": "h", "\\ud800": "d"}', "\\ud800 at line 1 is half a character"),
        "lone": (b'{"endpoint": "h", "client_id": "\\ud800"}', "\\ud800 at line 1 is half a character"),
        "nul": (b'{"endpoint": "h", "client_id": "\\u0000"}', "client_id is '\\x00'"),
        "raw": (b'{"endpoint": "h", "client_id": "\xed\xa0\x80"}', "not UTF-8"),
        "utf-8": (b'{"endpoint": "h", "client_id": "\xff"}', "not UTF-8"),
        "whole": (b'{"endpoint": "h", "client_id": "\xf0\x9f\x98\x80"}', "\U0001f600"),
    }
    for name, (data, _) in files.items():
        (folder / name).write_bytes(data)
    lines = run(micropython, tmp_path, LOAD_ALL).splitlines()
    assert len(lines) == len(files), lines
    for (name, (_, words)), line in zip(files.items(), lines, strict=True):
        assert line.startswith(name)
        assert words in line


def test_torn_file_is_replaced_by_the_last_good_one(micropython: Interpreter, tmp_path: Path) -> None:
    lines = run(micropython, tmp_path, STARTS).splitlines()
    said = "config.json: not valid JSON at line 1; check commas, quotes, brackets"
    assert lines[0] == said
    assert lines[1:3] == ["7 None", "8 None"]
    assert lines[3:6] == [f"8 {said}. Using the last good one"] * 3
    assert lines[6] == "config.json: interval_s is 0; it must be a whole number from 1 to 86400"
