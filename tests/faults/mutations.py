"""Corrupts valid input, for the fuzzers."""

from __future__ import annotations

import itertools
import random

LEFT_ALONE = 14  # of 18 packets, so that most lives get past their first packets


def mutated(source: random.Random, packet: bytes, left_alone: int = LEFT_ALONE) -> bytes:
    """A packet with up to three bytes flipped, inserted, removed or repeated; `left_alone` in 4 more are left alone."""
    data = bytearray(packet)
    for _ in range(source.choice((0,) * left_alone + (1, 1, 2, 3))):
        at = source.randrange(len(data) + 1)
        kind = source.randrange(5)
        if kind == 0 and data:
            data[min(at, len(data) - 1)] ^= 1 << source.randrange(8)
        elif kind == 1:
            data[at:at] = source.randbytes(source.randrange(1, 4))
        elif kind == 2:
            del data[at : at + source.randrange(1, 4)]
        elif kind == 3:
            data[at:at] = data[at : at + source.randrange(1, 20)]
        elif data:
            data[min(at, len(data) - 1)] = source.choice((0, 1, 0x7F, 0x80, 0xFF))
    return bytes(data)


def pieces(source: random.Random, data: bytes) -> list[bytes | None]:
    """Data as a network delivers it: cut at up to four places; None: nothing has come yet."""
    cuts = sorted(source.randrange(len(data) + 1) for _ in range(source.randrange(5)))
    edges = [0, *cuts, len(data)]
    arrived: list[bytes | None] = []
    for begin, end in itertools.pairwise(edges):
        arrived.append(data[begin:end] or None)
        if source.random() < 0.3:
            arrived.append(None)
    return arrived
