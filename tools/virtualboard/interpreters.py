"""Which interpreter can play the board on this machine: real MicroPython where it was built, else CPython."""

import sys
from dataclasses import dataclass

from tools import micropython


@dataclass(frozen=True)
class Interpreter:
    """A program that runs the board's Python.

    Attributes:
        name: `alpn`, `alpn32`, `stock`, `stock-1.25` or `cpython`.
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
    "alpn": "MicroPython 1.26.1 with the ALPN module, as in our image",
    "alpn32": "MicroPython 1.26.1, 32-bit, with the ALPN module",
    "stock": "MicroPython 1.26.1 without ALPN, as in stock firmware",
    "stock-1.25": "MicroPython 1.25.0 without ALPN, as in stock firmware",
}
HEAP_BYTES = {"alpn32": 115_000}  # what a plain ESP32 has free at its prompt


def find(name: str) -> Interpreter | None:
    """Return the interpreter called `name`, or None where it is not built; raises KeyError for an unknown name."""
    if name == CPYTHON.name:
        return CPYTHON
    description = DESCRIPTIONS[name]
    program = micropython.find(name)
    if program is None:
        return None
    heap = HEAP_BYTES.get(name)
    options = ("-X", f"heapsize={heap}") if heap else ()
    return Interpreter(name, (str(program), *options), description)


def names() -> list[str]:
    """Return every name that `find` knows, the one to prefer first."""
    return [*DESCRIPTIONS, CPYTHON.name]


def best() -> Interpreter:
    """Return the closest thing to a board with our image that this machine has."""
    return find("alpn") or CPYTHON
