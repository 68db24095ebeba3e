"""Run a program on a virtual board, on each interpreter."""

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from mqtt443_tools.virtualboard.interpreters import Interpreter
from mqtt443_tools.virtualboard.supervisor import VirtualBoard

from tests.support.board import interpreters

DEADLINE_S = 20


@pytest.fixture(params=interpreters.ALL)
def interpreter(request: pytest.FixtureRequest) -> Interpreter:
    return interpreters.need(request.param)


@pytest.fixture
def run(interpreter: Interpreter, tmp_path: Path) -> Callable[..., tuple[list[str], VirtualBoard]]:
    """Run a main.py to its end; returns its lines and the board."""

    def run(main: str, boot: str = "", **world: object) -> tuple[list[str], VirtualBoard]:
        (tmp_path / "boot.py").write_text(boot)
        (tmp_path / "main.py").write_text(textwrap.dedent(main))
        lines: list[str] = []
        with VirtualBoard(interpreter, tmp_path, lines.append, world=world) as board:
            assert board.wait(DEADLINE_S), f"the board did not stop; it printed {lines}"
        return lines, board

    return run
