"""A connection that is reset, or ends, at any byte of a connect and a QoS 1 publish: named, and the next one works."""

import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.conftest import Form
from tests.faults.trials import Trials, run_trials
from tests.support.core import RunningCore
from tests.support.interpreters import need
from tests.support.relay import UNHARMED, Direction, Fault, Harm, Treatment

WAYS = [("alpn", "alpn"), ("alpn32", "alpn"), ("alpn", "wss"), ("alpn32", "tls")]


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCore]:
    with RunningCore(tmp_path_factory.mktemp("state"), domain_name="localhost") as core:
        yield core


def of_one_connection(endpoint: RunningCore, folder: Path, name: str, transport: str) -> dict[Direction, int]:
    """How many bytes a connection without a fault has in each direction, up to the PUBACK."""
    folder.mkdir()
    trials = attempt(endpoint, folder, name, transport, [UNHARMED])
    passage = trials.trials[0].passage
    return {"up": passage.up.bytes, "down": passage.down.bytes}


def attempt(endpoint: RunningCore, folder: Path, name: str, transport: str, treatments: list[Treatment]) -> Trials:
    return run_trials(
        endpoint,
        need(name),
        folder,
        treatments,
        transport=transport,
        port=endpoint.domain_port if transport == "tls" else endpoint.port,
        limit_s=50 + len(treatments) / 5,
    )


@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize(("name", "transport"), WAYS)
@pytest.mark.parametrize("harm", ["reset", "close"])
def test_an_end_at_any_byte_is_named_and_the_next_connection_works(
    endpoint: RunningCore, tmp_path: Path, form: Form, harm: Harm, name: str, transport: str, direction: Direction
) -> None:
    folder = functools.partial(tmp_path.joinpath)
    tag = f"{harm}-{name}-{transport}-{direction}"
    size = of_one_connection(endpoint, folder(f"measure-{tag}"), name, transport)[direction]
    offsets = form.sample(tag, range(size), 12)
    folder(tag).mkdir()
    trials = attempt(endpoint, folder(tag), name, transport, [Treatment(Fault(harm, direction, n)) for n in offsets])
    trials.check()
    # The last offsets lie in DISCONNECT, when the endpoint may be the first to leave.
    assert sum(trial.passage.harmed for trial in trials.trials) >= len(offsets) * 0.7
