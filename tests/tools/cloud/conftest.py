"""Fixtures for the tests of the cloud half."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from moto import mock_aws
from moto.cloudformation.utils import yaml_tag_constructor

from tests.support.aws.account import Cloud
from tests.support.aws.stubs import ENVIRONMENT


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No credentials and no settings of the machine's own."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)


yaml.CLoader.add_multi_constructor("", yaml_tag_constructor)


@pytest.fixture(autouse=True)
def quick_yaml(monkeypatch: pytest.MonkeyPatch) -> None:
    """Moto reads each template many times over: in C that takes a tenth."""
    monkeypatch.setattr(yaml, "Loader", yaml.CLoader)


@pytest.fixture
def cloud(environment: None, tmp_path: Path) -> Iterator[Cloud]:
    """An empty AWS account."""
    with mock_aws():
        yield Cloud(tmp_path / "state")
