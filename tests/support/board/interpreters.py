"""Which interpreters a test runs on: CPython always, and the MicroPython builds that exist.

If MQTT443_REQUIRE_MICROPYTHON is set (in CI), a missing build is a failure, not a skip.
"""

import os
from dataclasses import replace

import pytest
from mqtt443_tools.virtualboard import interpreters
from mqtt443_tools.virtualboard.interpreters import Interpreter

MICROPYTHON = tuple(name for name in interpreters.names() if name != "cpython")
ALL = ("cpython", *MICROPYTHON)


def need_roomy(name: str) -> Interpreter:
    """Like `need`, but with twice a plain ESP32's heap, for a test whose program takes much of it."""
    found = need(name)
    if name not in interpreters.HEAP_BYTES:
        return found
    return replace(found, command=(found.command[0], "-X", f"heapsize={2 * interpreters.HEAP_BYTES[name]}"))


def need(name: str) -> Interpreter:
    """Return the interpreter `name`; if it is not built, skip the test, or fail it in CI."""
    found = interpreters.find(name)
    if found is not None:
        return found
    reason = f"MicroPython {name} is not built (python -m mqtt443_tools.micropython build {name})"
    if os.environ.get("MQTT443_REQUIRE_MICROPYTHON"):
        pytest.fail(reason)
    pytest.skip(reason)
