"""Which interpreters a test runs on: CPython always, and the MicroPython builds that exist.

If MQTT443_REQUIRE_MICROPYTHON is set (in CI), a missing build is a failure, not a skip.
"""

import os

import pytest
from mqtt443_tools.virtualboard import interpreters
from mqtt443_tools.virtualboard.interpreters import Interpreter

MICROPYTHON = tuple(name for name in interpreters.names() if name != "cpython")
ALL = ("cpython", *MICROPYTHON)


def need(name: str) -> Interpreter:
    """Return the interpreter `name`; skips the test, or fails it in CI, where it is not built."""
    found = interpreters.find(name)
    if found is not None:
        return found
    reason = f"MicroPython {name} is not built (python -m mqtt443_tools.micropython build {name})"
    if os.environ.get("MQTT443_REQUIRE_MICROPYTHON"):
        pytest.fail(reason)
    pytest.skip(reason)
