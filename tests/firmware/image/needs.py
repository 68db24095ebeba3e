"""What a test needs of the machine beside the interpreters."""

import os

import pytest


def absent(reason: str) -> None:
    """Skip the test, or fail it in CI, where nothing may be absent."""
    if os.environ.get("MQTT443_REQUIRE_MICROPYTHON"):
        pytest.fail(reason)
    pytest.skip(reason)
