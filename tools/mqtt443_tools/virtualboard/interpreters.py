"""Chooses the interpreter that runs the board's code on this machine: real MicroPython if it is built, else CPython."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from mqtt443_tools.micropython.recipes import find as find_built


@dataclass(frozen=True)
class Interpreter:
    """A program that runs the board's Python.

    Attributes:
        name: `alpn`, `alpn32`, `stock`, `stock-1.25`, `cpython`, or `frozen32`, which measures the heap of our image.
        command: the program and its options.
        description: one phrase for a person.
    """

    name: str
    command: tuple[str, ...]
    description: str


CPYTHON = Interpreter(
    "cpython",
    (sys.executable, "-u", "-I", "-S", "-X", "utf8"),
    f"CPython {sys.version_info.major}.{sys.version_info.minor} (a stand-in: real MicroPython is not built here)",
)
DESCRIPTIONS = {
    "alpn": "with the ALPN module, as in our image",
    "alpn32": "with the ALPN module, 32-bit as on a chip",
    "stock": "without ALPN, as in stock firmware",
    "stock-1.25": "without ALPN, as in older stock firmware",
}
FROZEN = "frozen32"  # has one build of the package inside, so it runs no other
VERSION_S = 10.0
HEAP_BYTES = {"alpn32": 115_000, FROZEN: 115_000}  # what a plain ESP32 has free at its prompt


def find(name: str) -> Interpreter | None:
    """Return the interpreter called `name`; None if it is not built. Raises KeyError for an unknown name."""
    if name == CPYTHON.name:
        return CPYTHON
    description = "with this package frozen, 32-bit" if name == FROZEN else DESCRIPTIONS[name]
    program = find_built(name)
    if program is None:
        return None
    heap = HEAP_BYTES.get(name)
    options = ("-X", f"heapsize={heap}") if heap else ()
    return Interpreter(name, (str(program), *options), f"MicroPython {_version(program)} {description}")


def _version(program: Path) -> str:
    ask = "import sys; print('.'.join(str(number) for number in sys.implementation.version[:3]))"
    answer = subprocess.run([program, "-c", ask], check=True, capture_output=True, text=True, timeout=VERSION_S)
    return answer.stdout.strip()


def names() -> list[str]:
    """Return every name that runs the package from a board's flash, the preferred one first."""
    return [*DESCRIPTIONS, CPYTHON.name]


def best() -> Interpreter:
    """Return what comes closest to a board with our image on this machine."""
    return find("alpn") or CPYTHON
