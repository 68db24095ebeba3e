"""Short form and long form of the faults, and the seed that makes a run repeatable.

`make test` runs the short form with a fixed seed; `make soak` runs the long one (MQTT443_SOAK=1) with its own seed,
which it prints; MQTT443_SEED=N repeats a run.
"""

import os
import random
from dataclasses import dataclass
from pathlib import Path

import pytest

BOTH_VERSIONS = pytest.mark.parametrize("mqtt", ["5", "3.1.1"])
"""For a test of MQTT itself: the default on every interpreter, the other version on one."""

SOAK = bool(os.environ.get("MQTT443_SOAK"))
SEED = int(os.environ.get("MQTT443_SEED", "443"))
LONGEST_S = 3600


@dataclass(frozen=True)
class Form:
    """How much a run does."""

    soak: bool
    seed: int

    def pick(self, short: int, long: int) -> int:
        return long if self.soak else short

    def random(self, name: str) -> random.Random:
        """A generator for one test: the same every time for the same seed and name."""
        return random.Random(f"{self.seed} {name}")

    def sample(self, name: str, whole: range, short: int) -> list[int]:
        """All of `whole` in the long form, else `short` of it; in a random order."""
        return self.random(name).sample(whole, len(whole) if self.soak else min(short, len(whole)))


@pytest.fixture
def form() -> Form:
    return Form(SOAK, SEED)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the long form its own time limit, whatever a test sets for the short one."""
    for item in items:
        if SOAK and Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(LONGEST_S), append=False)


def pytest_report_header() -> str:
    return f"faults: {'long' if SOAK else 'short'} form, MQTT443_SEED={SEED}"
