"""A CA file that is too large for the board's heap is named; on real MicroPython."""

from pathlib import Path

from tests.firmware.micropython import run
from tests.support.board import interpreters

PROGRAM = """
from mqtt443.errors import ConfigError
from mqtt443.connection import new_context
try:
    new_context("roots.der")
except ConfigError as e:
    print(e)
"""


def test_ca_file_that_does_not_fit_into_memory_is_named(tmp_path: Path) -> None:
    root = b"\x30\x82" + (1700).to_bytes(2, "big") + bytes(1700)
    (tmp_path / "roots.der").write_bytes(root * 40)
    out = run(interpreters.need("alpn32"), tmp_path, PROGRAM)
    assert out == "ca: roots.der does not fit into memory; keep only the roots of your endpoint\n"
