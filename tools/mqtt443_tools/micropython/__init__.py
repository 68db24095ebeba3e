"""Real MicroPython for the tests: builds four interpreters from Debian's source packages, and finds them.

`find` and `missing` are for whoever runs them; `build` is behind `python -m mqtt443_tools.micropython build`.
"""

from mqtt443_tools.micropython.builder import build
from mqtt443_tools.micropython.recipes import RECIPES, find, missing
from mqtt443_tools.micropython.sources import BuildError

__all__ = ["RECIPES", "BuildError", "build", "find", "missing"]
