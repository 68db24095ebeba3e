"""Types of `backoff`."""

from collections.abc import Callable
from typing import Final

LEAST_MS: Final[int]
NETWORK_FIRST_MS: Final[int]
NETWORK_LAST_MS: Final[int]
REFUSAL_FIRST_MS: Final[int]
REFUSAL_LAST_MS: Final[int]
STABLE_MS: Final[int]

class Backoff:
    random_below: Callable[[int], int]
    def __init__(self, random_below: Callable[[int], int]) -> None: ...
    def delay_ms(self, refused: bool, connected_ms: int = 0) -> int: ...
