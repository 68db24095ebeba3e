"""Versions of the device package to send: the one of this checkout under another number, and some that cannot work."""

import functools
import tempfile
from collections.abc import Mapping
from pathlib import Path

from mqtt443_tools.support.compile_mpy import HOST_ONLY, compile_package
from mqtt443_tools.support.paths import FIRMWARE

NEW_VERSION = "0.5.0"
FOLDER = "lib/mqtt443/"

# What is wrong with a package: the module that is replaced, and its source.
BAD = {
    "hangs": "while True:\n    pass\n",
    "out of memory": "hog = []\nwhile True:\n    hog.append(bytearray(20000))\n",
    "raises": "def run(**_):\n    raise ValueError('no')\n",
    "ends": "def run(**_):\n    return False\n",
    "has no run": "",
    "waits for ever": """
import time

def run(stop, **_):
    from machine import WDT
    watchdog = WDT(timeout=100000)
    while not stop():
        watchdog.feed()
        time.sleep(1)
    return True
""",
}


@functools.cache
def package(compiled: bool, version: str = NEW_VERSION) -> Mapping[str, bytes]:
    """Return the files of a package by their path in a bundle. compiled: as .mpy. version: what it says of itself."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "mqtt443"
        source.mkdir()
        for path in FIRMWARE.glob("*.py"):
            lines = path.read_text().splitlines(keepends=True)
            changed = [f'VERSION = "{version}"\n' if line.startswith("VERSION = ") else line for line in lines]
            (source / path.name).write_text("".join(changed))
        target = source
        if compiled:
            target = Path(folder) / "compiled"
            compile_package(source, target)
        return {FOLDER + path.name: path.read_bytes() for path in target.iterdir()}


def for_boards(files: Mapping[str, bytes]) -> dict[str, bytes | None]:
    """Return the files of a package that go onto a board with MicroPython."""
    return {path: content for path, content in files.items() if Path(path).name not in HOST_ONLY}


def bad(source: str) -> dict[str, bytes | None]:
    """Return a package of one module."""
    return {FOLDER + "__init__.py": source.encode()}
