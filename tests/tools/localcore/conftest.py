"""Fixtures for the tests of the local endpoint."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mqtt443_tools.localcore.auth.authorizer import Authorizer

from tests.support.mqtt.endpoint import RunningCore
from tests.support.mqtt.engine import Engine, InProcessFunction, MakeEngine


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


@pytest.fixture
def function() -> InProcessFunction:
    return InProcessFunction()


@pytest.fixture
def scripted(tmp_path: Path, function: InProcessFunction) -> Iterator[RunningCore]:
    """An endpoint whose authorizer answers what the test says."""
    lambda_function: Any = function
    with RunningCore(tmp_path / "state", authorizers=[Authorizer("scripted", lambda_function)]) as core:
        yield core
