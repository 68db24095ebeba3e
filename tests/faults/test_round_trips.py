"""Connecting takes only the round trips that the protocols require; they are counted, not timed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.trials import run_trials
from tests.support.board.interpreters import need
from tests.support.mqtt.endpoint import RunningCore
from tests.support.mqtt.relay import UNHARMED


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCore]:
    with RunningCore(tmp_path_factory.mktemp("state"), domain_name="localhost") as core:
        yield core


# The relay sees what follows TCP's own round trip: how often the endpoint answers.
TLS = 2  # RFC 5246 section 7.3, a full handshake
CONNECT = 1
UPGRADE = 1
PUBLISH = 1


@pytest.mark.parametrize(("name", "mqtt"), [("alpn", "5"), ("alpn32", "5"), ("alpn", "3.1.1")])
@pytest.mark.parametrize("messages", [0, 1, 8])
@pytest.mark.parametrize(
    ("transport", "turns"), [("alpn", TLS + CONNECT), ("tls", TLS + CONNECT), ("wss", TLS + UPGRADE + CONNECT)]
)
def test_connect_takes_the_fewest_round_trips_and_a_window_one_more(
    endpoint: RunningCore, tmp_path: Path, name: str, mqtt: str, messages: int, transport: str, turns: int
) -> None:
    folder = tmp_path / f"{name}-{mqtt}-{transport}-{messages}"
    folder.mkdir()
    trials = run_trials(
        endpoint,
        need(name),
        folder,
        [UNHARMED],
        messages=messages,
        goodbye=False,
        mqtt=mqtt,
        transport=transport,
        port=endpoint.domain_port if transport == "tls" else endpoint.port,
    )
    trials.check()
    first, second = (trial.passage.turns for trial in trials.trials)
    assert first == second == turns + (PUBLISH if messages else 0)
