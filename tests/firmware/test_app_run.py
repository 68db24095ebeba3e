"""`mqtt443.run`: from config.json to the loop."""

import inspect
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import mqtt443
import pytest
from mqtt443 import app, boot, command_context, network, power, reconnect, sender


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file in the working directory stands in for RTC memory."""
    (tmp_path / "world").mkdir()
    monkeypatch.chdir(tmp_path / "world")


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "does not exist"),
        ("{", "not valid JSON"),
        ('{"endpoint": "h", "client_id": "d", "qos": 7}', "qos is 7"),
        ('{"endpoint": "h", "client_id": "d", "ca": "none.der"}', "no file"),
    ],
)
def test_config_that_cannot_be_used_is_one_line_and_the_prompt(tmp_path: Path, text: str | None, words: str) -> None:
    if text is not None:
        (tmp_path / "config.json").write_text(text)
    lines: list[str] = []
    assert mqtt443.run(root=f"{tmp_path}/", write=lines.append) is False
    assert len(lines) == 1
    assert words in lines[0]
    assert lines[0].startswith("[    0.")


@pytest.mark.usefixtures("elsewhere")
def test_wifi_on_a_board_without_it_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "network", None)
    (tmp_path / "config.json").write_text('{"endpoint": "h", "client_id": "d", "wifi": {"ssid": "x"}}')
    lines: list[str] = []
    assert mqtt443.run(root=f"{tmp_path}/", write=lines.append) is False
    assert "no module network" in lines[0]


def test_runtime_keys_are_those_that_the_app_reads() -> None:
    read = {"port", "watchdog_s"}  # read by Config itself and by boot.finish
    for module in (app, command_context, network, power, reconnect, sender):
        read.update(re.findall(r"\bconfig\.(?!json)([a-z_]+)", inspect.getsource(module)))
    assert set(boot.RUNTIME_KEYS.split(" ")) == read
    assert not read & {"password", "token", "mqtt_username"}


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(
    ("error", "words"),
    [
        (KeyboardInterrupt(), "stopped by Ctrl-C"),
        (MemoryError("memory allocation failed"), "MemoryError: memory allocation failed"),
        (ImportError("no module named 'mqtt443.clock'"), "mqtt443.clock"),
        (TypeError("x"), "the start failed (TypeError: x); the board stays at its prompt"),
    ],
)
def test_start_that_fails_is_one_line_and_the_prompt(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, words: str
) -> None:
    def start(*_: object) -> None:
        raise error

    monkeypatch.setattr(boot, "start", start)
    lines: list[str] = []
    assert mqtt443.run(write=lines.append) is False
    assert len(lines) == 1
    assert words in lines[0]


def test_board_without_memory_for_an_ordered_end_resets(monkeypatch: pytest.MonkeyPatch) -> None:
    class Exhausted:
        config = SimpleNamespace(watchdog_s=0)

        def run(self) -> None:
            raise MemoryError

    resets: list[int] = []
    monkeypatch.setitem(sys.modules, "machine", SimpleNamespace(reset=lambda: resets.append(1)))
    monkeypatch.setattr(boot, "start", lambda *_: Exhausted())
    monkeypatch.setattr(power, "mark_boot_ok", lambda: None)
    assert mqtt443.run()
    assert resets == [1]
