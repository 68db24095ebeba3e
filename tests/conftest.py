"""Fixtures for all tests."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.support.mqtt.endpoint import RunningCore

# No time limit per example: a loaded machine is not a fault.
hypothesis.settings.register_profile("suite", deadline=None)
hypothesis.settings.load_profile("suite")

# Commands that tests start inherit ignored signals: nohup ignores SIGHUP, a shell's background job SIGINT.
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def core(tmp_path: Path) -> Iterator[RunningCore]:
    """A running local endpoint with no devices."""
    with RunningCore(tmp_path / "state") as running:
        yield running
