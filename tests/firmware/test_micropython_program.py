"""main.py on real MicroPython: telemetry and a goodbye, or one line and the prompt."""

import json
from pathlib import Path

import pytest
import trustme
from mqtt443_tools.support.paths import ROOT
from mqtt443_tools.virtualboard.interpreters import Interpreter

from tests.firmware.micropython import prepare, run
from tests.firmware.servers import answer_mqtt, context, serve_tls
from tests.support.board.interpreters import MICROPYTHON, need
from tests.support.mqtt import answers

CA = trustme.CA()


@pytest.fixture(params=MICROPYTHON)
def micropython(request: pytest.FixtureRequest) -> Interpreter:
    return need(request.param)


def test_main_program_publishes_and_says_goodbye(micropython: Interpreter, tmp_path: Path) -> None:
    seen: list[bytes] = []
    (tmp_path / "sensors.py").write_text("def read():\n    return {'t': 21.5, 'bad': lambda: 1 / 0}\n")
    source = """
from mqtt443 import run
turns = [0]
def stop():
    turns[0] += 1
    return turns[0] > 3
print(run(stop=stop))
"""
    with serve_tls(CA, context(CA), lambda c: seen.extend(answer_mqtt(c))) as server:
        prepare(tmp_path, server, transport="tls", interval_s=1)
        lines = run(micropython, tmp_path, source).splitlines()
    assert lines[-1] == "True", lines
    assert "transport tls: as config.json says" in lines[0]
    assert seen[-1] == b"\xe0\x00"
    published = answers.published(answers.level(seen[0]), next(packet for packet in seen if packet[0] & 0xF0 == 0x30))
    assert published.topic == b"telemetry/dev1"
    message = json.loads(published.payload)
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
def test_wrong_config_is_one_line_and_the_prompt(
    micropython: Interpreter, tmp_path: Path, text: str | None, words: str
) -> None:
    if text is not None:
        (tmp_path / "config.json").write_text(text)
    lines = run(micropython, tmp_path, (ROOT / "main.py").read_text()).splitlines()
    assert len(lines) == 1
    assert words in lines[0]


def test_board_without_the_package_says_what_to_copy(micropython: Interpreter, tmp_path: Path) -> None:
    (tmp_path / "mqtt443.py").write_text("raise ImportError('no module named mqtt443')\n")
    lines = run(micropython, tmp_path, (ROOT / "main.py").read_text()).splitlines()
    assert len(lines) == 1
    assert "firmware/mqtt443" in lines[0]
