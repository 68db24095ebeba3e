"""The path to a flashed image: the build script with its tools emulated; page, script and workflow agree."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from mqtt443_tools.micropython.recipes import OUTPUT, RECIPES, USER_MODULES
from mqtt443_tools.micropython.unpack import source_tree
from mqtt443_tools.support.paths import ROOT

from tests.firmware.image.conftest import Run, Serve
from tests.support.board import interpreters

PAGE = (ROOT / "docs" / "image.md").read_text()
SCRIPT = (USER_MODULES / "build.sh").read_text()
WORKFLOW = (ROOT / ".github" / "workflows" / "image.yml").read_text()
BOARDS = sorted(path.parent.name for path in (USER_MODULES / "boards").glob("*/mpconfigboard.cmake"))

FAKE_TOOL = """#!/bin/sh
echo "$(basename "$0") $*" >> "{log}"
case "$0" in
*git) for last do :; done; mkdir -p "$last";;
*make)
    for word in "$@"; do case "$word" in BUILD=*) folder=${{word#BUILD=}};; esac; done
    mkdir -p "$folder"; echo "$folder" > "$folder/firmware.bin";;
esac
"""


class Script:
    """build.sh in its own folder."""

    def __init__(self, folder: Path) -> None:
        self.image = folder / "build" / "image"
        self._script = folder / "firmware" / "image" / "build.sh"
        self._log = folder / "calls"
        for board in BOARDS:
            (self._script.parent / "boards" / board).mkdir(parents=True)
            (self._script.parent / "boards" / board / "mpconfigboard.cmake").touch()
        self._script.write_text(SCRIPT)
        self._tools = folder / "bin"
        self._tools.mkdir()
        for tool in ("git", "make"):
            (self._tools / tool).write_text(FAKE_TOOL.format(log=self._log))
            (self._tools / tool).chmod(0o755)

    def run(self, *boards: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": f"{self._tools}:{os.defpath}"}
        command = ["sh", str(self._script), *boards]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20, check=False)

    @property
    def calls(self) -> list[str]:
        return self._log.read_text().splitlines() if self._log.exists() else []


@pytest.fixture
def script(tmp_path: Path) -> Script:
    return Script(tmp_path)


def test_script_builds_every_board_and_its_sums_hold(script: Script) -> None:
    assert script.run().returncode == 0
    assert sorted(path.stem for path in script.image.glob("*.bin")) == BOARDS
    block = next(text for mark, text in shell_blocks() if mark == "image")
    checked = subprocess.run(
        ["sh", "-ec", block], cwd=script.image.parents[1], capture_output=True, text=True, timeout=20, check=False
    )
    assert checked.stdout.count(": OK") == len(BOARDS), checked.stderr


def test_script_fetches_the_pinned_tag_once_with_its_submodules(script: Script) -> None:
    for _ in range(2):
        assert script.run("MQTT443_ESP32_C3").returncode == 0
    clone, *makes = script.calls
    assert f"git clone --depth 1 --branch v{RECIPES['alpn'].micropython[0].version} " in clone
    steps = [(line.split()[-1], f"boards/MQTT443_ESP32_C3 BUILD={script.image}" in line) for line in makes]
    assert steps == [("submodules", True), ("all", True)] * 2
    assert [path.name for path in script.image.glob("*.bin")] == ["MQTT443_ESP32_C3.bin"]


def test_script_resumes_an_interrupted_clone(script: Script) -> None:
    partial = script.image / f"micropython-v{RECIPES['alpn'].micropython[0].version}.part"
    (partial / "rest").mkdir(parents=True)
    assert script.run("MQTT443_ESP32").returncode == 0
    assert not partial.exists()


def test_script_refuses_an_unknown_board_before_fetching(script: Script) -> None:
    ended = script.run("MQTT443_ESP32", "MQTT443_ESP8266")
    assert ended.returncode == 2
    assert ended.stderr == "no board is called MQTT443_ESP8266; see firmware/image/boards\n"
    assert script.calls == []


def test_script_workflow_and_page_name_the_same_boards() -> None:
    assert len(BOARDS) == 4
    default = re.search(r"set -- (.*)", SCRIPT)
    matrix = re.search(r"board: \[(.*)\]", WORKFLOW)
    assert default is not None and sorted(default[1].split()) == BOARDS
    assert matrix is not None and sorted(matrix[1].split(", ")) == BOARDS
    assert sorted(set(re.findall(r"`(MQTT443_\w+)\.bin`", PAGE))) == BOARDS


def test_container_has_the_esp_idf_of_this_micropython() -> None:
    interpreters.need("alpn")
    tree, built = source_tree(RECIPES["alpn"], OUTPUT)
    if f"micropython=v{built}\n" not in SCRIPT:
        pytest.skip(f"the sources here are of {built}, which Debian has instead of the image's version")
    locked = (tree / "ports" / "esp32" / "lockfiles" / "dependencies.lock.esp32").read_text()
    version = re.search(r"  idf:\n    source:\n      type: idf\n    version: (\S+)\n", locked)
    assert version is not None
    for text in (PAGE, WORKFLOW):
        assert re.findall(r"espressif/idf:(\S+)", text) == [f"v{version[1]}"]


def test_page_has_the_offsets_of_the_stock_boards() -> None:
    interpreters.need("alpn")
    tree, _ = source_tree(RECIPES["alpn"], OUTPUT)
    offsets = dict(re.findall(r"`MQTT443_(\w+)\.bin` \| `(\w+)` \|", PAGE))
    for board in BOARDS:
        chip = board.removeprefix("MQTT443_")
        stock = tree / "ports" / "esp32" / "boards" / f"ESP32_GENERIC{chip.removeprefix('ESP32')}" / "board.json"
        assert f'"flash_offset": "{offsets[chip]}"' in stock.read_text()


def shell_blocks() -> list[tuple[str, str]]:
    """The page's shell blocks: what each needs beside this machine, and its text."""
    return re.findall(r"^```sh ?(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_every_documented_command_is_run_or_names_its_requirement(tmp_path: Path) -> None:
    for name in RECIPES:
        interpreters.need(name)
    marks = [mark for mark, _ in shell_blocks()]
    assert marks == ["container", "image", "board", "board", ""]
    block = next(text for mark, text in shell_blocks() if not mark)
    ended = subprocess.run(["sh", "-ec", block], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert ended.stdout.endswith("[5/5] frozen32: up to date\n<module 'alpn'>\n"), ended.stderr


def test_python_of_the_page_runs_on_the_interpreter(run: Run, serve: Serve) -> None:
    server = serve("mqtt")
    block = re.search(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert block is not None
    text = block[1].replace("context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)", "context = make_context()")
    text = text.replace("alpn.selected(tls_socket)", "print(alpn.selected(tls_socket))")
    before = 'host = "localhost"\nraw_socket = socket.socket()\n'
    before += 'raw_socket.connect(socket.getaddrinfo("127.0.0.1", PORT)[0][-1])\n'
    assert run(before + text, server) == "mqtt\n"
