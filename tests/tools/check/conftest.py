"""A config for a local endpoint, broken as a test wants it, and the walk with it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mqtt443_tools.check.step import Step
from mqtt443_tools.check.walk import Options, walk

from tests.support.mqtt.endpoint import RunningCore

Walk = Callable[..., str | None]
Serve = Callable[..., RunningCore]
PASSWORD = "a password of my own"


class Way:
    """A device's config in a folder, and the steps that a check takes with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "config.json"
        self.steps: list[Step] = []

    def to(self, core: RunningCore, **keys: Any) -> "Way":
        """Write a config that leads to an endpoint; the device b1 is registered there."""
        core.add_device("b1", username="user", password=PASSWORD)
        shutil.copy(core.ca, self.folder / "ca.pem")
        self.state = core.state
        return self.write(**{"port": core.port, **keys})

    def write(self, **keys: Any) -> "Way":
        config = {"endpoint": "localhost", "ca": "ca.pem", "client_id": "b1", "username": "user", "password": PASSWORD}
        self.path.write_text(json.dumps(config | keys))
        return self

    def walk(self, **options: Any) -> str | None:
        """Take all steps; gives the code of the first broken link."""
        options = {"state": getattr(self, "state", self.folder), "aws": lambda _: None, **options}
        self.steps = list(walk(self.path, Options(**options)))
        assert not any(PASSWORD in step.detail for step in self.steps)
        return next((step.cause.code for step in self.steps if step.cause), None)

    def step(self, name: str) -> Step:
        return next(step for step in self.steps if step.name == name)

    def first_failed(self) -> str:
        return next(step.name for step in self.steps if step.status == "failed")


@pytest.fixture
def way(tmp_path: Path) -> Way:
    folder = tmp_path / "device"
    folder.mkdir()
    return Way(folder)


@pytest.fixture
def endpoint(tmp_path: Path) -> Serve:
    """Make a RunningCore, to be used as a context manager."""
    return lambda **options: RunningCore(tmp_path / "state", **options)
