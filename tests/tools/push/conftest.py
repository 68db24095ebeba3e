"""A board on a cable with a program that runs, and the command that pushes to it."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from mqtt443_tools.cli import app
from mqtt443_tools.push import board_tree
from mqtt443_tools.support import compile_mpy
from mqtt443_tools.support.errors import CommandError
from typer.testing import CliRunner

from tests.support.board import interpreters
from tests.support.chip.repl import SerialBoard

Push = Callable[..., str]
PlugBoard = Callable[..., SerialBoard]

OLD_MAIN = b"import time\nprint('old main')\nwhile True:\n    time.sleep(0.05)\n"
RECORD = json.dumps({"programs": {"main.py": hashlib.sha256(OLD_MAIN).hexdigest()}}).encode()
"""An earlier push sent OLD_MAIN."""
WORLD = {"wifi_up": False}
SECRET = "hunter2-hunter2"


@pytest.fixture(scope="session", autouse=True)
def compiled_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Compile the package once for all pushes of this run: its files do not change, and 21 compilers take a while."""
    compiled: dict[str | None, Path] = {}

    def compile_package(package: Path, target: Path, arch: str | None = None) -> None:
        if arch not in compiled:
            compile_mpy.compile_package(package, folder := tmp_path_factory.mktemp("mpy"), arch)
            compiled[arch] = folder
        shutil.copytree(compiled[arch], target, dirs_exist_ok=True)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(board_tree, "compile_package", compile_package)
        yield


@pytest.fixture
def board(tmp_path: Path) -> Iterator[PlugBoard]:
    """Plug a board in; its old main.py runs."""
    with ExitStack() as stack:

        def plug(name: str = "alpn", **options: Any) -> SerialBoard:
            folder = tmp_path / f"board{len(list(tmp_path.iterdir()))}"
            folder.mkdir()
            (folder / "world.json").write_text(json.dumps(WORLD))
            options = {"files": {"main.py": OLD_MAIN, "push.json": RECORD}, **options}
            board = stack.enter_context(SerialBoard(folder, interpreters.need(name), **options))
            if "image" not in options and options["files"].get("main.py") == OLD_MAIN:
                board.wait_for("old main")
            return board

        yield plug


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A config for a fictitious AWS endpoint and a Wi-Fi that is out of reach, so no name is looked up."""
    folder = tmp_path / "device"
    folder.mkdir()
    keys: dict[str, Any] = {
        "endpoint": "x-ats.iot.eu-west-1.amazonaws.com",
        "client_id": "b1",
        "username": "u",
        "password": SECRET,
    }
    keys["wifi"] = {"ssid": "home"}
    (folder / "config.json").write_text(json.dumps(keys))
    return folder / "config.json"


@pytest.fixture
def push(config: Path) -> Push:
    """Run `mqtt443 push`; give what it printed, or raise the CommandError that the command line reports."""

    def push(board: SerialBoard | Path | None, *arguments: str, path: Path = config, **options: Any) -> str:
        port = [] if board is None else ["--port", str(board.port if isinstance(board, SerialBoard) else board)]
        result = CliRunner().invoke(app, ["push", "--config", str(path), *port, *arguments], **options)
        assert SECRET not in result.output
        if isinstance(result.exception, CommandError):
            result.exception.add_note(result.output)
            raise result.exception
        assert result.exit_code == 0, (result.output, result.exception)
        return result.stdout

    return push
