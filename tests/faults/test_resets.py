"""A connection that is reset, or ends, at any byte of a connect and of QoS 1 messages loses no reading."""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.faults.conftest import Form
from tests.faults.trials import Trials, run_trials
from tests.support.board.interpreters import need
from tests.support.mqtt.endpoint import RunningCore
from tests.support.mqtt.relay import UNHARMED, Direction, Fault, Harm, Treatment


class Way(NamedTuple):
    name: str
    """Of the interpreter."""
    mqtt: str
    transport: str
    messages: int
    """In flight at a time."""
    clean_session: bool

    def __str__(self) -> str:
        return f"{self.name}-{self.mqtt}-{self.transport}-{self.messages}"


WAYS = [
    Way("alpn", "5", "alpn", 1, True),
    Way("alpn", "5", "alpn", 5, False),
    Way("alpn32", "5", "alpn", 3, True),
    Way("alpn", "5", "wss", 3, False),
    Way("alpn32", "5", "tls", 1, False),
    Way("alpn", "3.1.1", "alpn", 5, False),
    Way("alpn", "3.1.1", "wss", 3, True),
]


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCore]:
    with RunningCore(tmp_path_factory.mktemp("state"), domain_name="localhost") as core:
        yield core


def attempt(
    endpoint: RunningCore,
    folder: Path,
    treatments: list[Treatment],
    *,
    way: Way,
) -> Trials:
    folder.mkdir()
    return run_trials(
        endpoint,
        need(way.name),
        folder,
        treatments,
        messages=way.messages,
        mqtt=way.mqtt,
        transport=way.transport,
        clean_session=way.clean_session,
        port=endpoint.domain_port if way.transport == "tls" else endpoint.port,
        limit_s=50 + len(treatments) / 5,
    )


@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("harm", ["reset", "close"])
def test_end_at_any_byte_is_named_and_loses_nothing(
    endpoint: RunningCore,
    tmp_path: Path,
    form: Form,
    harm: Harm,
    way: Way,
    direction: Direction,
) -> None:
    run = functools.partial(attempt, endpoint, way=way)
    tag = f"{harm}-{way}-{direction}"
    # A connection without a fault, up to DISCONNECT, tells how many bytes there are.
    whole = run(tmp_path / f"measure-{tag}", [UNHARMED]).trials[0].passage
    meter = whole.up if direction == "up" else whole.down
    handshake = meter.bytes - sum(meter.sizes)
    offsets = form.sample(tag, range(handshake), 4) + form.sample(tag, range(handshake, meter.bytes), 8)
    form.random(tag).shuffle(offsets)
    trials = run(tmp_path / tag, [Treatment(Fault(harm, direction, n)) for n in offsets])
    trials.check()
    # The last offsets may not be reached: PUBACKs can share a record, and at DISCONNECT the endpoint can leave first.
    assert sum(trial.passage.harmed for trial in trials.trials) >= len(offsets) / 2
    assert not (way.clean_session and any(trial.session for trial in trials.trials))
