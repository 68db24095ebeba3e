"""Small programs that run on a board, and their answers, which are untrusted until parsed.

Paths are relative to the board's root, which is its working directory after a reset. Works over anything with `run`.
"""

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Any, Protocol

from mqtt443_tools.push.board_tree import PACKAGE
from mqtt443_tools.support.errors import CommandError
from mqtt443_tools.support.printable import printable

NEW = ".new"
"""Suffix of a file that is incomplete, or not in its place yet."""

LEAST_VERSION = (1, 24)
HIDING = ("mqtt443", "mqtt443.py", "mqtt443.mpy")
"""Names that MicroPython would import instead of our package, because it looks in the root first."""

# By number, in the flags of sys.implementation._mpy (MicroPython documentation, "MicroPython .mpy files").
ARCHITECTURES = (
    None, "x86", "x64", "armv6", "armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp", "xtensa", "xtensawin",
    "rv32imc", "rv64imc",
)  # fmt: skip

# boot.py may have loaded the package from a slot of its own (docs/updates.md); asked for is the one in the image.
_ABOUT = """
import os, sys
i = sys.implementation
s = os.statvfs(os.getcwd())
for m in list(sys.modules):
    if m.split(".")[0] == "mqtt443":
        del sys.modules[m]
p = sys.path[:]
sys.path[:] = [x for x in p if x and not x.lstrip("/").startswith("lib")]
try:
    import mqtt443
    f = mqtt443.__version__
except ImportError:
    f = None
sys.path[:] = p
try:
    import umqtt.simple
    u = True
except ImportError:
    u = False
v = i.version
print((i.name, v[0], v[1], v[2], i._machine, getattr(i, "_mpy", 0), s[0] * s[3], f, u))
"""
_HASHES = """
import hashlib, os
b = bytearray(1024)
m = memoryview(b)
def h(p):
    try:
        f = open(p, "rb")
    except OSError:
        return
    s = hashlib.sha256()
    while True:
        n = f.readinto(b)
        if not n:
            break
        s.update(m[:n])
    f.close()
    print((p, s.digest()))
for p in {names!r}:
    h(p)
for d in {folders!r}:
    try:
        e = [x[0] for x in os.ilistdir(d) if x[1] == 0x8000]
    except OSError:
        continue
    for x in e:
        if d == {package!r} or x.endswith({new!r}):
            h(d + "/" + x if d else x)
"""
# Kinds as in os.stat: 0x4000 is a folder.
_KINDS = """
import os
for p in {names!r}:
    try:
        print((p, os.stat(p)[0] == 0x4000))
    except OSError:
        pass
"""
_FOLDERS = """
import os
for d in {folders!r}:
    try:
        os.mkdir(d)
    except OSError as e:
        if e.errno != 17:
            raise
"""
# One program, completely on the board before it starts: it finishes even without the cable.
_SETTLE = """
import os
for p in {renamed!r}:
    os.rename(p + {new!r}, p)
for p in {removed!r}:
    os.remove(p)
if hasattr(os, "sync"):
    os.sync()
"""


class Runs(Protocol):
    """Runs a program on a board and returns its output."""

    def run(self, source: str) -> str:
        """Run it."""


@dataclass(frozen=True)
class About:
    """The software and the free space of a board.

    Attributes:
        version: of MicroPython.
        machine: its description of itself.
        mpy_version: of the .mpy files it loads; 0 for none.
        arch: as mpy-cross calls it; None if it loads no machine code.
        free_bytes: on its flash.
        frozen: version of mqtt443 in its image; None without.
        umqtt: whether it has umqtt.simple.
    """

    version: tuple[int, ...]
    machine: str
    mpy_version: int
    arch: str | None
    free_bytes: int
    frozen: str | None
    umqtt: bool


def about(board: Runs) -> About:
    """Identify a board. Raises LinkError; CommandError for a board that cannot run our program."""
    name, major, minor, patch, machine, mpy, free_bytes, frozen, umqtt = values(
        board.run(_ABOUT), str, int, int, int, str, int, int, str | None, bool
    )
    arch = mpy >> 10 & 0xF
    found = About(
        version=(major, minor, patch),
        machine=printable(machine),
        mpy_version=mpy & 0xFF,
        arch=ARCHITECTURES[arch] if arch < len(ARCHITECTURES) else None,
        free_bytes=free_bytes,
        frozen=None if frozen is None else printable(frozen),
        umqtt=umqtt,
    )
    if name != "micropython" or found.version < LEAST_VERSION:
        shown = ".".join(map(str, found.version))
        raise CommandError(
            f"the board runs {printable(name)} {shown}; it must be MicroPython 1.24 or later: run `mqtt443 flash`"
        )
    if not found.umqtt:
        raise CommandError("the board's image has no umqtt.simple: run `mpremote mip install umqtt.simple`, then push")
    return found


def hashes(board: Runs, names: Iterable[str], folders: Iterable[str]) -> dict[str, bytes]:
    """Return the SHA-256 of these files, of everything in the package's folder, and of an earlier push's leftovers.

    Files that do not exist are left out. Raises LinkError, CommandError.
    """
    program = _HASHES.format(names=sorted(names), folders=["", *folders], package=PACKAGE, new=NEW)
    return dict(values(line, str, bytes) for line in board.run(program).splitlines())


def refuse_obstacles(board: Runs, files: Iterable[str], folders: Iterable[str]) -> None:
    """Check that nothing on the board is in the way of these files and folders.

    Raises:
        LinkError: the board does not answer.
        CommandError: something is in the way; the text says what, and how to remove it.
    """
    kinds = dict.fromkeys(files, False) | dict.fromkeys(folders, True)
    names = [*kinds, *HIDING]
    there = dict(values(line, str, bool) for line in board.run(_KINDS.format(names=names)).splitlines())
    for name in names:
        if name in HIDING and name in there:
            problem = f"{name} at the board's root hides the package in /lib"
        elif name in there and there[name] != kinds[name]:
            have, need = ("file", "folder") if kinds[name] else ("folder", "file")
            problem = f"the board has a {have} {name} where a {need} must be"
        else:
            continue
        option = "-r " if there[name] else ""
        raise CommandError(f"{problem}: rename it, or delete it with `mpremote rm {option}:{name}`, then push again")


def read(board: Runs, name: str) -> bytes:
    """Return a small file. Raises LinkError, CommandError."""
    return bytes(values(board.run(f"print((open({name!r}, 'rb').read(4096),))"), bytes)[0])


def make_folders(board: Runs, folders: Sequence[str]) -> None:
    """Create the missing folders, parents first. Raises LinkError."""
    board.run(_FOLDERS.format(folders=list(folders)))


def settle(board: Runs, renamed: Sequence[str], removed: Sequence[str]) -> None:
    """Move the new files into place, in this order, and remove others, once every byte is on the board.

    Raises LinkError.
    """
    board.run(_SETTLE.format(renamed=list(renamed), removed=list(removed), new=NEW))


def values(text: str, *types: type | UnionType) -> tuple[Any, ...]:
    """Return a printed tuple whose members have these types; raises CommandError for anything else."""
    try:
        values = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        values = None
    fits = isinstance(values, tuple) and len(values) == len(types)
    if not fits or not all(isinstance(value, kind) for value, kind in zip(values, types, strict=True)):
        raise CommandError("the board sent an answer that cannot be read: press its RESET button and push again")
    return tuple(values)
