"""What the tests of `flash` share: fake boards with the real esptool on the other side, and a server with images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from mqtt443_tools.flash.loader import Board, connect
from mqtt443_tools.flash.ports import open_port
from mqtt443_tools.support.download import Downloads, https_opener

from tests.support.chip.file_server import Server, serving
from tests.support.chip.rom import FakeRom

Plug = Callable[..., FakeRom]
Connect = Callable[..., tuple[FakeRom, Board]]


@pytest.fixture
def plug() -> Iterator[Plug]:
    """Plugs in a board: takes what FakeRom takes."""
    with ExitStack() as stack:
        yield lambda *args, **kwargs: stack.enter_context(FakeRom(*args, **kwargs))


@pytest.fixture
def connected(plug: Plug) -> Iterator[Connect]:
    """Plugs in a board and connects to it."""
    with ExitStack() as stack:

        def connected(*args: object, **kwargs: object) -> tuple[FakeRom, Board]:
            rom = plug(*args, **kwargs)
            return rom, stack.enter_context(connect(open_port(rom.port), attempts=1))

        yield connected


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def server(running: Server) -> Server:
    """A server with no files yet."""
    running.pages.clear()
    running.asked.clear()
    return running


@pytest.fixture
def said() -> list[str]:
    """What `downloads` said."""
    return []


@pytest.fixture
def downloads(tmp_path: Path, server: Server, said: list[str]) -> Downloads:
    """Downloads that trust the server, with an empty cache."""
    return Downloads(tmp_path / "cache", https_opener(server.context), said.append)
