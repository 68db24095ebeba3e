"""Fixtures for the tests of the cloud half."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
import yaml
from moto import mock_aws
from moto.cloudformation.utils import yaml_tag_constructor
from moto.server import ThreadedMotoServer
from mqtt443_tools.cloud import cloud_command
from mqtt443_tools.device.registration import add_device

from tests.support.aws.account import Cloud
from tests.support.aws.stubs import ENVIRONMENT
from tests.tools.cloud.test_watch import serving
from tests.tools.cloud.watched import Watched, log_lines
from tests.tools.console.conftest import browser

__all__ = ("browser",)
"""A fixture that tests of the page take from the tests of the console."""


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


@pytest.fixture
def shared_cloud(environment: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Cloud]:
    """An empty account that also other processes can reach."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    address = f"http://127.0.0.1:{port}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    try:
        with urlopen(Request(f"{address}/moto-api/reset", method="POST"), timeout=20):
            pass  # moto keeps the account of an earlier server of this process
        made = Cloud(tmp_path / "state")
        monkeypatch.setattr(cloud_command, "open_aws", lambda *_: made.aws)
        monkeypatch.setattr("mqtt443_tools.cloud.aws.open_aws", lambda *_: made.aws)
        made.answers.on("logs", "filter_log_events", {"events": []})
        yield made
    finally:
        server.stop()


@pytest.fixture
def watched(cloud: Cloud, tmp_path: Path) -> Iterator[Watched]:
    """A stack with the devices `kitchen` and `garden`, the latter with a topic of its own, and its data plane."""
    cloud.deploy(mode="named")
    log_lines(cloud)
    with serving(tmp_path, ["arn:aws:iot:*"]) as core:
        made = Watched(cloud, core)
        add_device(made.backend.store, "kitchen", now=time.time())
        add_device(made.backend.store, "garden", publish=["own/topic"], now=time.time())
        yield made
        made.end()
