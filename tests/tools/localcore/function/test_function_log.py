"""The log of a function: whole lines, bounded, safe to show."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st
from mqtt443_tools.localcore.function.function_log import MAX_LINE_BYTES, carry_log


def carry(*chunks: bytes) -> list[str]:
    async def run() -> list[str]:
        stream, lines = asyncio.StreamReader(), list[str]()
        task = asyncio.create_task(carry_log(stream, lines.append))
        for chunk in chunks:
            stream.feed_data(chunk)
            await asyncio.sleep(0)
        stream.feed_eof()
        await task
        return lines

    return asyncio.run(run())


def test_lines_come_whole_however_they_arrive() -> None:
    assert carry(b"one\ntw", b"o\r\n", b"\nlast") == ["one", "two", "", "last"]


def test_endless_line_is_cut_and_the_next_one_is_whole() -> None:
    lines = carry(b"x" * (MAX_LINE_BYTES * 3), b"y\nnext\n" + b"z" * MAX_LINE_BYTES + b"\n")
    assert lines == ["x" * MAX_LINE_BYTES + "…", "next", "z" * MAX_LINE_BYTES]


def test_control_characters_are_escaped() -> None:
    assert carry("a\tb \x1b[2J \r \u202e é \x80\n".encode() + b"\xfe\n") == [
        "a\tb \\x1b[2J \\r \\u202e é \\x80",
        "\\xfe",
    ]


@settings(deadline=None)
@given(st.lists(st.binary(max_size=20), max_size=6))
def test_any_bytes_give_printable_lines(chunks: list[bytes]) -> None:
    lines = carry(*chunks)
    assert all(line.replace("\t", "").isprintable() for line in lines)
    assert len(lines) <= b"".join(chunks).count(b"\n") + 1
