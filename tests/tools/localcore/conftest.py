"""Fixtures for the tests of the local endpoint."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.engine import Engine, MakeEngine


@pytest.fixture
def make_engine() -> Iterator[MakeEngine]:
    """Makes MQTT engines without sockets."""
    engines: list[Engine] = []

    def make(**settings: Any) -> Engine:
        engines.append(Engine(**settings))
        return engines[-1]

    yield make
    for engine in engines:
        engine.close()


@pytest.fixture
def engine(make_engine: MakeEngine) -> Engine:
    """The MQTT engine without sockets, with default settings."""
    return make_engine()
