"""How the cloud commands talk to a person, as a seam: command.py gives the terminal's, tests give theirs."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Talk:
    """How a command talks to a person: `say` takes a line, `ask` gives the answer to a question of yes and no."""

    say: Callable[[str], object]
    ask: Callable[[str], bool]
