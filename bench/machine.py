"""How much of the machine other programs take while something is measured."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

BUSY = 0.1
"""Share of the processors that other programs may take; above it a missed time says nothing about us."""

PROC = Path("/proc")


@dataclass(frozen=True)
class Usage:
    """Processor time used since the start of the machine, in seconds.

    Attributes:
        at: when, in monotonic seconds.
        whole: of all programs.
        own: of this process and its descendants, including those that have ended.
    """

    at: float
    whole: float
    own: float

    @classmethod
    def now(cls) -> Usage:
        """Return the usage until now; without /proc, which only Linux has, nothing counts as used."""
        if not (PROC / "stat").exists():
            return cls(time.monotonic(), 0.0, 0.0)
        tick_s = 1 / os.sysconf("SC_CLK_TCK")
        user, nice, system, _, _, irq, soft_irq = map(int, (PROC / "stat").read_text().split()[1:8])
        own = sum(ticks for ticks, _ in _descendants(os.getpid()).values())
        return cls(time.monotonic(), (user + nice + system + irq + soft_irq) * tick_s, own * tick_s)

    def others_since(self, earlier: Usage) -> float:
        """Return the share of all processors, 0 to 1, that other programs have taken since then."""
        passed_s = (self.at - earlier.at) * (os.cpu_count() or 1)
        others_s = (self.whole - earlier.whole) - (self.own - earlier.own)
        return min(1.0, max(0.0, others_s / passed_s)) if passed_s else 0.0


def _descendants(pid: int) -> dict[int, tuple[int, int]]:
    """Return the ticks and the parent of a process and of all its descendants, by process id."""
    found = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it has ended meanwhile
                continue
            # proc(5): fields 14 to 17 are its own ticks and those of its children that have ended
            found[int(entry.name)] = sum(map(int, fields[11:15])), int(fields[1])
    ours, new = {pid}, {pid}
    while new:
        new = {each for each, (_, parent) in found.items() if parent in new} - ours
        ours |= new
    return {each: found[each] for each in ours if each in found}
