"""Forwards what a Lambda function prints, line by line, bounded, and safe for a terminal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from mqtt443_tools.support.printable import printable

MAX_LINE_BYTES = 8192
"""A longer line is truncated here and marked with an ellipsis."""
_READ_BYTES = 4096


async def carry_log(stream: asyncio.StreamReader, on_log: Callable[[str], None]) -> None:
    """Pass each line of the stream to `on_log`, without its end and with control characters escaped, until the end."""
    line = bytearray()
    cut = False
    while chunk := await stream.read(_READ_BYTES):
        for number, piece in enumerate(chunk.split(b"\n")):
            if number > 0:
                on_log(_shown(line, cut))
                line.clear()
                cut = False
            room = MAX_LINE_BYTES - len(line)
            cut = cut or len(piece) > room
            line += piece[:room]
    if line:
        on_log(_shown(line, cut))


def _shown(line: bytearray, cut: bool) -> str:
    text = line.removesuffix(b"\r").decode("utf-8", "backslashreplace")
    shown = printable(text, 4 * MAX_LINE_BYTES, keep="\t")  # "\xff" is the longest escape of a byte
    return f"{shown}…" if cut else shown
