"""`mqtt443 load --stack`: it names the cost, asks, and logs in as the stack requires."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from mqtt443_tools.cli import app
from mqtt443_tools.cloud.cost import load_cost
from mqtt443_tools.load import load_command
from mqtt443_tools.load.tally import Tally
from mqtt443_tools.load.target import Login, Target
from mqtt443_tools.support.errors import UsageError
from typer.testing import CliRunner

from tests.support.aws.account import Cloud

pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse:UserWarning")


@pytest.fixture
def runs(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Target, Sequence[Login]]]:
    """A deployed stack, and the loads that were started: there is no AWS IoT to connect to."""
    cloud.deploy(mode="named")
    begun: list[tuple[Target, Sequence[Login]]] = []

    async def run(target: Target, logins: Sequence[Login], *_: object) -> dict[str, Tally]:
        begun.append((target, logins))
        return {"connect": Tally()}

    monkeypatch.setattr("mqtt443_tools.cloud.aws.open_aws", lambda *_: cloud.aws)
    monkeypatch.setattr(load_command, "_resolve", lambda _: "192.0.2.1")
    monkeypatch.setattr(load_command, "run", run)
    return begun


ARGUMENTS = ["load", "--stack", "mqtt443", "--devices", "2"]


def test_load_of_a_stack_asks_first(runs: list[tuple[Target, Sequence[Login]]]) -> None:
    result = CliRunner().invoke(app, ARGUMENTS)
    assert isinstance(result.exception, UsageError)
    assert "add --yes" in str(result.exception)
    assert runs == []


def test_devices_name_the_stacks_authorizer_and_go_again(runs: list[tuple[Target, Sequence[Login]]]) -> None:
    result = CliRunner().invoke(app, [*ARGUMENTS, "--yes"], catch_exceptions=False)
    assert result.exit_code == 0
    ((target, logins),) = runs
    assert (target.address, target.port, target.alpn) == ("192.0.2.1", 443, "mqtt")
    assert target.ca.count("BEGIN CERTIFICATE") == 2
    assert [login.username for login in logins] == [
        f"{login.client_id}?x-amz-customauthorizer-name=mqtt443" for login in logins
    ]
    listed = CliRunner().invoke(app, ["device", "list", "--stack", "mqtt443", "--json"], catch_exceptions=False)
    assert listed.stdout.strip() == "[]"


def test_cost_is_that_of_connections_messages_calls_and_the_table() -> None:
    cost = load_cost(1000, storms=2, seconds=60, messages=60_000, commands=1000, payload_bytes=200)
    a_call = 0.3415e-6 + 0.025 * 0.0000133334 + 700 / 1e9 * 0.57
    minutes = 1000 * (1 + 2)
    assert cost == pytest.approx(minutes * 0.08e-6 + (62_000 + 2000) * 1e-6 + 2000 * a_call + 8000 * 0.705e-6)
