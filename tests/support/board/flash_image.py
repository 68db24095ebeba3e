"""Reads and changes a board's flash from outside while the board is off: a littlefs in a file of the host.

MicroPython itself mounts it, by the virtual board's own block device.
"""

import binascii
import json
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mqtt443_tools.virtualboard.interpreters import Interpreter

from tests.support.board.package import SHIMS

DEADLINE_S = 120
_HEADER = struct.Struct(">III")

_MOUNT = """
import _flash, binascii, json, os
with open(ORDER) as file:
    order = json.load(file)
_flash.mount(order["image"])
"""
_READ = """
found = {}
for folder in order["folders"]:
    try:
        names = [entry[0] for entry in os.ilistdir(folder or ".") if entry[1] == 0x8000]
    except OSError:
        names = []
    for name in names:
        path = folder + "/" + name if folder else name
        with open(path, "rb") as file:
            found[path] = binascii.hexlify(file.read()).decode()
print(json.dumps(found))
"""
_WRITE = """
for name, data in order["files"].items():
    if data is None:
        os.remove(name)
    else:
        with open(name, "wb") as file:
            file.write(binascii.unhexlify(data))
"""
_FILL = """
for piece in (_flash.BLOCK_BYTES, 64):
    try:
        with open("filler%d" % piece, "wb") as file:
            while True:
                file.write(bytes(piece))
                file.flush()
    except OSError:
        pass
"""


def _run(interpreter: Interpreter, image: Path, program: str, **order: Any) -> Any:
    with tempfile.TemporaryDirectory(prefix="mqtt443-flash-") as folder:
        orders = Path(folder) / "order.json"
        orders.write_text(json.dumps({"image": str(image.resolve()), **order}))
        root = Path(folder) / "root"
        root.mkdir()
        done = subprocess.run(
            [*interpreter.command, "-c", f"ORDER = {str(orders)!r}\n{_MOUNT}{program}"],
            cwd=order.get("root", root),
            env={"MICROPYPATH": f".frozen:{SHIMS}", "MQTT443_WORLD": folder},
            check=False,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout) if done.stdout else None


def make(interpreter: Interpreter, image: Path, root: Path) -> None:
    """Create the flash of a board at its first start, with the files in `root`."""
    _run(interpreter, image, "", root=str(root.resolve()))


def read(interpreter: Interpreter, image: Path, *folders: str) -> dict[str, bytes]:
    """Return the files in these folders ("" is the root) by path. Nothing on the flash changes."""
    with tempfile.TemporaryDirectory(prefix="mqtt443-flash-") as folder:
        copy = Path(shutil.copy(image, folder))
        found = _run(interpreter, copy, _READ, folders=folders)
    return {path: bytes.fromhex(data) for path, data in found.items()}


def write(interpreter: Interpreter, image: Path, files: Mapping[str, bytes | None]) -> None:
    """Write these files as they are, even torn ones. None removes a file."""
    _run(interpreter, image, _WRITE, files={name: None if data is None else data.hex() for name, data in files.items()})


def fill(interpreter: Interpreter, image: Path) -> None:
    """Fill the flash completely; the names of the files begin with `filler`."""
    _run(interpreter, image, _FILL)


def segments(interpreter: Interpreter, image: Path) -> list[list[str]]:
    """Return the content of the outbox: the payloads of each segment, oldest first, each up to a torn record.

    Written independently of the board's code, from the format that `firmware/mqtt443/flash_log.py` describes.
    """
    found = read(interpreter, image, "outbox")
    return [list(_payloads(found[path])) for path in sorted(found)]


def _payloads(data: bytes) -> list[str]:
    payloads = []
    while len(data) >= _HEADER.size:
        length, check, expires = _HEADER.unpack_from(data)
        payload = data[_HEADER.size : _HEADER.size + length]
        if len(payload) < length or binascii.crc32(expires.to_bytes(4, "big") + payload) != check:
            break
        payloads.append(payload.decode())
        data = data[_HEADER.size + length :]
    return payloads
