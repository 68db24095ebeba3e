"""What the device package costs a board: bytes of .mpy on its flash, bytes of its Python heap.

The heap is measured on the 32-bit MicroPython, where objects are as large as on an ESP32. What an image has built in or
frozen (umqtt, `machine`, `network` …) is loaded before the measurement; buffers count.
"""

import contextlib
import re
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from mqtt443_tools.support.compile_mpy import compile_package
from mqtt443_tools.support.errors import CommandError
from mqtt443_tools.support.paths import FIRMWARE, ROOT
from mqtt443_tools.virtualboard.interpreters import FROZEN, Interpreter
from mqtt443_tools.virtualboard.supervisor import VirtualBoard, lay_out

BUDGET = ROOT / "firmware" / "budget.json"
TIMEOUT_S = 60.0

# Instead of main.py. `stop` is asked between two readings; by its fourth time the board has published twice.
PROGRAM = """
import gc
import esp32, machine, micropython, network, ntptime, umqtt.simple
gc.collect()
before = gc.mem_alloc()
from mqtt443 import run
gc.collect()
print("after_import", gc.mem_alloc() - before)
most = asked = 0
def stop():
    global asked, most
    gc.collect()
    most = max(most, gc.mem_alloc() - before)
    asked += 1
    return asked > 4
run(stop=stop)
print("connected", most)
micropython.qstr_info()
"""
NAMES = re.compile(r"n_qstr=(\d+)")

# The board as a user runs it, until it has published twice; the heap that its built-in modules take is printed first.
LEAST = """
import gc
import esp32, machine, network, ntptime, umqtt.simple
gc.collect()
print("built_in", gc.mem_alloc())
published = 0
def write(line):
    global published
    print(line)
    published += " published " in line
from mqtt443 import run
run(stop=lambda: published > 1, write=write)
"""
# The board as a user runs it; from the third message on, nothing collects the garbage.
GARBAGE = """
import gc
import esp32, machine, network, ntptime, umqtt.simple
published = began = ended = 0
def write(line):
    global published
    print(line)
    published += " published " in line
def stop():
    global began, ended
    if not began and published == 3:
        gc.collect()
        gc.disable()
        began = gc.mem_alloc()
    ended = gc.mem_alloc()
    return published > 6
from mqtt443 import run
run(stop=stop, write=write)
print("garbage", (ended - began) // 4)
"""
SENSORS = """
VALUES = {"temperature_c": 21.5, "humidity_percent": 48, "door_open": False}
def read():
    return VALUES
"""
LEAST_KB, MOST_KB = 40, 96  # where `least_heap` searches


@dataclass(frozen=True)
class Heap:
    """What the package holds.

    `after_import`, `connected`: bytes of Python heap, after the import of `run` and at most while connected.
    `names`: how many names MicroPython keeps on the heap. Their table doubles at 20, 60, 140, 300 and 620.
    """

    after_import: int
    connected: int
    names: int


def mpy_bytes() -> dict[str, int]:
    """Return the size of each module as .mpy, in bytes."""
    with tempfile.TemporaryDirectory() as folder:
        compile_package(FIRMWARE, Path(folder))
        return {path.stem: path.stat().st_size for path in sorted(Path(folder).iterdir())}


def heap(interpreter: Interpreter, config: Path) -> Heap:
    """Run the package as a board does, with `config`, until it has published; return what it held.

    On the interpreter `frozen32` it is the package inside the interpreter, else the .mpy files.

    Raises:
        CommandError: it did not publish; the text has the board's output.
    """
    lines = _run(interpreter, config, {"main.py": PROGRAM})
    figures = dict(line.split(" ") for line in lines if line.startswith(("after_import ", "connected ")))
    names = NAMES.search("\n".join(lines))
    if len(figures) != 2 or not names or not any(" published " in line for line in lines):
        raise CommandError(
            "the board did not publish, so its heap cannot be measured; its output:\n" + "\n".join(lines)
        )
    return Heap(int(figures["after_import"]), int(figures["connected"]), int(names[1]))


def garbage(interpreter: Interpreter, config: Path) -> int:
    """Return the bytes that one message leaves behind for the garbage collector, with all that the board does for it.

    That is everything from the call of a `read()` that allocates nothing itself, over payload, outbox, PUBLISH and
    PUBACK, to the line in the log; the average of four messages.

    Raises:
        CommandError: it did not publish; the text has the board's output.
    """
    lines = _run(interpreter, config, {"main.py": GARBAGE, "sensors.py": SENSORS})
    found = [int(line.split(" ")[1]) for line in lines if line.startswith("garbage ")]
    if not found:
        raise CommandError("the board did not publish, so it left no garbage; its output:\n" + "\n".join(lines))
    return found[0]


def least_heap(interpreter: Interpreter, config: Path) -> int:
    """Find the smallest heap with which the package boots, connects with `config` and publishes.

    Returns:
        Bytes, to 1 KB, without those of the modules that an image has built in.

    Raises:
        CommandError: the largest heap was not enough either; the text has the board's output.
    """
    too_small, enough, built_in = LEAST_KB - 1, MOST_KB, 0
    tried = MOST_KB
    program = interpreter.command[0]
    while True:
        small = replace(interpreter, command=(program, "-X", f"heapsize={tried * 1024}"))
        lines = _run(small, config, {"main.py": LEAST})
        if sum(" published " in line for line in lines) > 1:
            enough = tried
            built_in = next(int(line.split(" ")[1]) for line in lines if line.startswith("built_in "))
        elif tried == MOST_KB:
            raise CommandError(f"the board did not publish in {MOST_KB} KB of heap; its output:\n" + "\n".join(lines))
        else:
            too_small = tried
        if enough - too_small <= 1:
            return enough * 1024 - built_in
        tried = (too_small + enough) // 2


class _OutOfMemoryError(Exception):
    """The board reported that it has too little memory."""


def _run(interpreter: Interpreter, config: Path, files: dict[str, str]) -> list[str]:
    """Run a board with `config` and `files`, by name, until it ends or reports a lack of memory; return its lines."""
    lines: list[str] = []

    def on_line(line: str) -> None:
        lines.append(line)
        if "MemoryError" in line or "OutOfMemory" in line:
            raise _OutOfMemoryError

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        lay_out(root, config, compiled=True)
        if interpreter.name == FROZEN:
            shutil.rmtree(root / "lib" / "mqtt443")
        for name, text in files.items():
            (root / name).write_text(text)
        with VirtualBoard(interpreter, root, on_line) as board, contextlib.suppress(_OutOfMemoryError):
            board.wait(TIMEOUT_S)
    return lines
