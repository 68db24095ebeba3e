"""Fixtures for the tests of the cloud half."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from moto import mock_aws

from tests.support.aws import ENVIRONMENT
from tests.support.cloud import Cloud


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No credentials and no settings of the machine's own."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)


@pytest.fixture
def cloud(environment: None, tmp_path: Path) -> Iterator[Cloud]:
    """An empty AWS account."""
    with mock_aws():
        yield Cloud(tmp_path / "state")
