"""Power cuts during writes to flash: at every block write of everything a board keeps, on a real littlefs.

A board appends numbered records to its segments, releases the oldest, saves its state, and reports each step. The power
fails at one of the writes; the board starts again, reports what it finds, and continues. A cut at any other moment
leaves what the previous write left.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mqtt443_tools.virtualboard.interpreters import Interpreter
from mqtt443_tools.virtualboard.supervisor import VirtualBoard

from tests.faults.conftest import Form
from tests.support.board.interpreters import need_roomy
from tests.support.board.package import FIRMWARE

DEADLINE_S = 30
BLOCK_BYTES = 4096
MAX_BYTES = 32768
MAX_SEGMENTS = 8
BETWEEN_TWO_RENAMES = "state is missing or torn; taken from state.new"

# Numbers of the second life begin at 1000. `found` is what another start would find at that moment.
PROGRAM = """
import json, os, vfs
import _flash
from mqtt443 import storage
from mqtt443.flash_log import Segments

class Flash(_flash.Flash):
    read = 0

    def readblocks(self, number, buffer, offset=0):
        self.read += len(buffer)
        super().readblocks(number, buffer, offset)

def say(word, **values):
    print(json.dumps([word, values]))

def record(n):
    length = 5000 if n % 40 == 30 else 100 + n % 7 * 15
    return (b"%0" + b"%dd" % length) % n, n

host = os.getcwd()
new = "flash.img" not in os.listdir()
if new:
    with open("flash.img", "wb") as file:
        for _ in range(_flash.BLOCKS):
            file.write(b"\\xff" * _flash.BLOCK_BYTES)
flash = Flash(host + "/flash.img")
if new:
    vfs.VfsLfs2.mkfs(flash)
    vfs.mount(vfs.VfsLfs2(flash), "/flash")
    os.chdir("/flash")
    storage.save_state("state", {"version": 0})
    raise SystemExit
vfs.mount(vfs.VfsLfs2(flash), "/flash")
os.chdir("/flash")

def found():
    before = flash.read
    segments = Segments("outbox", MAX_BYTES)
    opened = flash.read - before
    records = []
    while True:
        next = segments.next()
        if next is None:
            break
        payload, expires, number = next
        assert (payload, expires) == record(expires), payload
        records.append((expires, number))
    said = []
    version = storage.load_state("state", said.append).get("version")
    say("found", records=records, version=version, opened=opened, dropped=segments.dropped, corrupt=segments.corrupt,
        said=said)

found()
n = version = 1000 if "again" in os.listdir(host) else 0
with open(host + "/again", "w"):
    pass
segments = Segments("outbox", MAX_BYTES)
for step in range(9):
    batch = [n + i + 1 for i in range(1 + step * 5 % 14)]
    n += len(batch)
    say("append", records=batch)
    numbers = segments.append([record(i) for i in batch])
    say("kept", records=list(zip(batch, numbers)))
    if step % 2:
        version += 1
        say("save", version=version)
        storage.save_state("state", {"version": version, "cause": "x" * (version % 3 * 100)})
        say("saved", version=version)
    for _ in range(step):
        next = segments.next()
        if next:
            say("done", record=next[1])
            segments.release([])
found()
say("end", writes=flash._writes)
"""

Report = tuple[str, dict[str, Any]]


@dataclass
class Life:
    """The output of a board from one start to the next, or to its end."""

    reports: list[Report]

    def of(self, word: str) -> list[dict[str, Any]]:
        return [values for said, values in self.reports if said == word]

    def numbers(self, word: str) -> list[int]:
        """The records of all reports of that word."""
        return [entry if isinstance(entry, int) else entry[0] for said in self.of(word) for entry in said["records"]]

    @property
    def done(self) -> set[int]:
        return {said["record"] for said in self.of("done")}


def check_found(found: dict[str, Any], kept: list[int], tried: list[int], done: set[int]) -> None:
    """Kept and unfinished records are there, complete, once and in order; finished ones only in the oldest segment.

    tried: the records being appended when the power failed; all of them, or the first few, may be there.
    """
    numbers = [number for number, _ in found["records"]]
    wanted = [number for number in kept if number not in done]
    assert numbers == sorted(set(numbers)), "out of order, or twice"
    assert [number for number in numbers if number not in done][: len(wanted)] == wanted
    extra = [number for number in numbers if number not in kept]
    assert extra == tried[: len(extra)]
    again = {segment for number, segment in found["records"] if number in done}
    assert again <= {min((segment for _, segment in found["records"]), default=None)}
    assert (found["corrupt"], found["dropped"]) == (0, 0)
    assert found["said"] in ([], [BETWEEN_TWO_RENAMES])


def live(interpreter: Interpreter, root: Path, cut: int = 0) -> list[Life]:
    """Run PROGRAM; cut the power at that write (0: never), and switch it on again."""
    lives: list[Life] = []
    other: list[str] = []

    def hear(line: str) -> None:
        if not line.startswith("["):
            other.append(line)
        elif len(lives) < len(board.resets):
            lives.append(Life([tuple(json.loads(line))]))
        else:
            lives[-1].reports.append(tuple(json.loads(line)))

    (root / "main.py").write_text(f"MAX_BYTES = {MAX_BYTES}\n{PROGRAM}")
    environment = {"MICROPYPATH": f".frozen:{FIRMWARE}"}
    world = {"power_cut_at_write": cut}
    board = VirtualBoard(interpreter, root, hear, world=world, environment=environment)
    with board:
        assert board.wait(DEADLINE_S)
    assert (other, board.exit_code) == ([], 0)
    return lives


class Rig:
    """A board with a flash that is formatted and holds the first state."""

    def __init__(self, interpreter: Interpreter, folder: Path) -> None:
        self.interpreter = interpreter
        self.folder = folder
        (folder / "new").mkdir()
        assert live(interpreter, folder / "new") == []

    def live(self, cut: int = 0) -> list[Life]:
        root = self.folder / f"cut-{cut}"
        shutil.copytree(self.folder / "new", root)
        lives = live(self.interpreter, root, cut)
        shutil.rmtree(root)
        return lives


@pytest.fixture(scope="module", params=["alpn", "alpn32"])
def rig(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    yield Rig(need_roomy(request.param), tmp_path_factory.mktemp("power"))


def test_power_cut_at_any_write_loses_nothing_and_tears_nothing(rig: Rig, form: Form) -> None:
    (whole,) = rig.live()
    assert len({segment for _, segment in whole.of("found")[1]["records"]}) > 1, "the plan fills too little"
    writes = range(1, whole.of("end")[0]["writes"] + 1)
    for cut in form.sample(f"power-{rig.interpreter.name}", writes, 25):
        first, second = rig.live(cut)
        try:
            assert first.of("end") == []
            after, end = second.of("found")
            check_found(after, first.numbers("kept"), first.numbers("append")[len(first.numbers("kept")) :], first.done)
            saved = [0, *(said["version"] for said in first.of("saved"))][-1]
            trying = [0, *(said["version"] for said in first.of("save"))][-1]
            assert saved <= after["version"] <= trying
            # The names, and a look for the size of each: two folders, each a pair of blocks.
            assert after["opened"] <= (1 + MAX_SEGMENTS) * 4 * BLOCK_BYTES
            before = [number for number, _ in after["records"]]
            check_found(end, before + second.numbers("kept"), [], first.done | second.done)
            assert end["said"] == []
            assert end["version"] == second.of("saved")[-1]["version"]
        except AssertionError as error:
            raise AssertionError(f"power cut at write {cut}: {error}\n{first}\n{second}") from error
