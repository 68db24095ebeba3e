"""A connection that is reset, or ends, at any byte of a connect and of QoS 1 messages: nothing is lost for it."""

import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.conftest import Form
from tests.faults.trials import Trials, run_trials
from tests.support.board.interpreters import need
from tests.support.mqtt.endpoint import RunningCore
from tests.support.mqtt.relay import UNHARMED, Direction, Fault, Harm, Treatment

# Interpreter, transport, messages in flight at a time, clean session.
WAYS = [
    ("alpn", "alpn", 1, True),
    ("alpn", "alpn", 5, False),
    ("alpn32", "alpn", 3, True),
    ("alpn", "wss", 3, False),
    ("alpn32", "tls", 1, False),
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
    name: str,
    transport: str,
    messages: int,
    clean_session: bool,
) -> Trials:
    folder.mkdir()
    return run_trials(
        endpoint,
        need(name),
        folder,
        treatments,
        messages=messages,
        transport=transport,
        clean_session=clean_session,
        port=endpoint.domain_port if transport == "tls" else endpoint.port,
        limit_s=50 + len(treatments) / 5,
    )


@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize(("name", "transport", "messages", "clean"), WAYS)
@pytest.mark.parametrize("harm", ["reset", "close"])
def test_end_at_any_byte_is_named_and_loses_nothing(
    endpoint: RunningCore,
    tmp_path: Path,
    form: Form,
    harm: Harm,
    name: str,
    transport: str,
    messages: int,
    clean: bool,
    direction: Direction,
) -> None:
    run = functools.partial(attempt, endpoint, name=name, transport=transport, messages=messages, clean_session=clean)
    tag = f"{harm}-{name}-{transport}-{messages}-{direction}"
    # A connection without a fault, up to DISCONNECT, tells how many bytes there are.
    whole = run(tmp_path / f"measure-{tag}", [UNHARMED]).trials[0].passage
    meter = whole.up if direction == "up" else whole.down
    handshake = meter.bytes - sum(meter.sizes)
    offsets = form.sample(tag, range(handshake), 4) + form.sample(tag, range(handshake, meter.bytes), 8)
    form.random(tag).shuffle(offsets)
    trials = run(tmp_path / tag, [Treatment(Fault(harm, direction, n)) for n in offsets])
    trials.check()
    # The last offsets lie in DISCONNECT, when the endpoint may be the first to leave.
    assert sum(trial.passage.harmed for trial in trials.trials) >= len(offsets) * 0.7
    assert not (clean and any(trial.session for trial in trials.trials))
