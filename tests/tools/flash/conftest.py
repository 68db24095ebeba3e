"""Boards for the tests of `flash`: fake ones on a pseudo terminal, with the real esptool on the other side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.support.rom import FakeRom
from tools.flash.board import Board, connect
from tools.flash.ports import open_port


@pytest.fixture
def plug() -> Iterator[Callable[..., FakeRom]]:
    """Plugs in a board: takes what FakeRom takes."""
    with ExitStack() as stack:
        yield lambda *args, **kwargs: stack.enter_context(FakeRom(*args, **kwargs))


@pytest.fixture
def connected(plug) -> Iterator[Callable[..., tuple[FakeRom, Board]]]:
    """Plugs in a board and connects to it."""
    with ExitStack() as stack:

        def connected(*args: object, **kwargs: object) -> tuple[FakeRom, Board]:
            rom = plug(*args, **kwargs)
            return rom, stack.enter_context(connect(open_port(rom.port), attempts=1))

        yield connected
