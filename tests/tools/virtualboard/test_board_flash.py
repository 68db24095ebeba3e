"""The files of the virtual board: what is laid out on its flash, who may read them, and what a power cut leaves."""

import stat
import textwrap
from pathlib import Path
from typing import Any

import pytest
from mqtt443_tools.support.errors import CommandError
from mqtt443_tools.virtualboard.interpreters import Interpreter
from mqtt443_tools.virtualboard.supervisor import PWRON_RESET, VirtualBoard, lay_out

from tests.support.board import interpreters
from tests.tools.virtualboard.conftest import DEADLINE_S

WRITER = """
    import machine, os
    known = os.listdir()
    print("whole" if "data" not in known or open("data", "rb").read() in (b"old" * 400, b"new" * 400) else "torn")
    for text in (b"old", b"new"):
        with open("data.new", "wb") as file:
            file.write(text * 400)
        os.rename("data.new", "data")
    print("end")
"""


@pytest.fixture(params=interpreters.MICROPYTHON)
def micropython(request: pytest.FixtureRequest) -> Interpreter:
    return interpreters.need(request.param)


def test_flash_gets_what_a_push_would_send(tmp_path: Path) -> None:
    root = tmp_path / "flash"
    root.mkdir()
    (tmp_path / "config.json").write_text('{"ca": "own.pem", "password": "secret"}')
    (tmp_path / "own.pem").write_text("certificate")
    (tmp_path / "sensors.py").write_text("def read(): return {}")
    lay_out(root, tmp_path / "config.json")
    assert sorted(path.name for path in root.iterdir()) == [
        "boot.py", "config.json", "lib", "main.py", "own.pem", "sensors.py",
    ]  # fmt: skip
    assert (root / "config.json").stat().st_mode & 0o777 == 0o600
    assert (root / "lib" / "mqtt443" / "__init__.py").exists()


def test_missing_config_is_one_line_with_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"config\.json: No such file.*mqtt443 device add"):
        lay_out(tmp_path, tmp_path / "config.json")


def test_files_of_the_board_are_private(run: Any, tmp_path: Path) -> None:
    run("open('secret', 'wb').close()")
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600


def test_flash_keeps_its_files_over_power_cycles(micropython: Any, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "main.py").write_text(
        textwrap.dedent(
            """
            import os
            print(os.getcwd(), "seen" in os.listdir())
            open("seen", "w").close()
            """
        )
    )
    lines: list[str] = []
    for _ in range(2):
        with VirtualBoard(micropython, root, lines.append, flash=tmp_path / "flash.img") as board:
            assert board.wait(DEADLINE_S)
    assert lines == ["/flash False", "/flash True"]
    assert sorted(path.name for path in root.iterdir()) == ["main.py"]


def test_power_cut_tears_the_write_it_hits_and_nothing_else(micropython: Any, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "main.py").write_text(textwrap.dedent(WRITER))
    flash = tmp_path / "flash.img"
    lines: list[str] = []
    with VirtualBoard(micropython, tmp_path / "root", lines.append, flash=flash) as board:
        assert board.wait(DEADLINE_S)
    for write in range(1, 12, 3):
        lines.clear()
        world = {"power_cut_at_write": write}
        with VirtualBoard(micropython, tmp_path / "root", lines.append, world=world, flash=flash) as board:
            assert board.wait(DEADLINE_S)
        assert board.resets == [PWRON_RESET, PWRON_RESET]
        assert lines == ["whole", "whole", "end"], f"after a cut at write {write}"
