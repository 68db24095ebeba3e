"""A cable pulled, or power lost, in the middle of a push: every file left is whole, and the next push mends all.

The cable is cut at a byte, and that ends the interpreter; what is left is the littlefs in its flash file.
"""

import json

import pytest
from mqtt443_tools.push.board_programs import NEW
from mqtt443_tools.push.serial_repl import LinkError
from mqtt443_tools.support.errors import CommandError

from tests.tools.push.conftest import OLD_MAIN, WORLD, PlugBoard, Push

OLD = {"main.py": OLD_MAIN, "lib/mqtt443/app.py": b"# of an earlier version\n", "config.json": b"{}"}


def assert_whole(left: dict[str, bytes], wanted: dict[str, bytes]) -> None:
    """Every file under its own name is the old one or the new one, byte by byte."""
    for name, content in left.items():
        if not name.endswith(NEW):
            assert content in (OLD.get(name), wanted.get(name)), f"{name} is a mixture"


@pytest.fixture
def wanted(board: PlugBoard, push: Push) -> dict[str, bytes]:
    """What a push that is not cut leaves on the flash."""
    plugged = board(files=OLD)
    push(plugged, "--yes")
    plugged.unplug()
    return plugged.files()


@pytest.mark.parametrize("count", [10, 700, 5_000, 40_000, 70_000])
def test_cable_cut_while_files_are_sent_leaves_the_old_program(
    board: PlugBoard, push: Push, wanted: dict[str, bytes], count: int
) -> None:
    plugged = board(files=OLD)
    plugged.cut_after(count)
    with pytest.raises(LinkError, match="push again"):
        push(plugged, "--yes")
    plugged.unplug()
    left = plugged.files()
    assert {name: content for name, content in left.items() if not name.endswith(NEW)} == OLD
    plugged.plug()
    plugged.wait_for("(?s)old main.*old main")
    push(plugged, "--yes")
    plugged.unplug()
    assert plugged.files() == wanted


@pytest.mark.parametrize("write", [1, 30, 150, 250, 300, 330])
def test_power_cut_while_writing_flash_leaves_complete_files(
    board: PlugBoard, push: Push, wanted: dict[str, bytes], write: int
) -> None:
    plugged = board(files=OLD)
    world = plugged.flash.with_name("world.json")
    world.write_text(json.dumps({**WORLD, "power_cut_at_write": write}))
    with pytest.raises(CommandError):
        push(plugged, "--yes")
    plugged.unplug()
    world.write_text(json.dumps(WORLD))
    assert_whole(plugged.files(), wanted)
    plugged.plug()
    push(plugged, "--yes")
    plugged.unplug()
    assert plugged.files() == wanted
    plugged.plug()
    plugged.wait_for("transport alpn")
