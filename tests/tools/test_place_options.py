"""Where a command works: on the local endpoint, or on a stack in AWS."""

from __future__ import annotations

from pathlib import Path

import pytest
from mqtt443_tools.cli import app
from mqtt443_tools.support.errors import UsageError
from typer.testing import CliRunner

COMMANDS = (
    "device list",
    "device add dev-1",
    "device rotate dev-1",
    "device disable dev-1",
    "device enable dev-1",
    "device remove dev-1",
    "send dev-1 restart",
    "load --devices 1",
    "update dev-1 --restart",
    "update --status job-1",
    "watch",
    "export",
    "push --config CONFIG",
    "push --config CONFIG --bundle BUNDLE",
    "console",
)


@pytest.mark.parametrize("option", ["--region", "--profile"])
@pytest.mark.parametrize("command", COMMANDS)
def test_option_of_a_stack_is_refused_without_one(command: str, option: str, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    config = tmp_path / "config.json"
    config.write_text('{"endpoint": "localhost", "client_id": "a", "username": "a", "password": "b", "ca": null}')
    paths = {"CONFIG": str(config), "BUNDLE": str(tmp_path / "bundle.img")}
    arguments = [paths.get(word, word) for word in command.split()]
    result = CliRunner().invoke(app, [*arguments, "--state", str(state), option, "eu-west-1"])
    assert isinstance(result.exception, UsageError)
    said = f"{option} eu-west-1: without --stack, this is about the local endpoint; add --stack NAME"
    assert str(result.exception) == said
    assert list(state.iterdir()) == []
