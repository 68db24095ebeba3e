"""Power cuts while a whole board works: everything that was on flash arrives in the end, whole and in order.

At random moments (kill -9), and in the middle of a write to flash; while the board is offline and while it drains.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.conftest import Form
from tests.support.board.lives import PACE, WAIT_S, WINDOW, Living, living
from tests.support.mqtt.endpoint import RunningCore

# How readings come (interval_s and bytes more in each), how many may be in memory alone when the power goes (4,096
# bytes of them, or those of a minute; and the one that is just being taken), and how many there are when it goes.
RHYTHMS = {"fast": (1, 400, 10, (1, 100)), "slow": (10, 0, 8, (12, 18))}


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCore]:
    # The boards keep their pace by a clock of their own.
    with RunningCore(tmp_path_factory.mktemp("state"), publish_rate_per_s=0) as core:
        yield core


def ids(payloads: list[str]) -> list[str]:
    return [payload.partition('"id": "')[2][:12] for payload in payloads]


def flat(segments: list[list[str]]) -> list[str]:
    return [payload for segment in segments for payload in segment]


def check_what_was_kept(board: Living, before: list[str], in_memory: int) -> None:
    """After a power cut, everything reported as kept, except the last few, arrives once and in order."""
    kept = [name for _, name in board.logged]
    on_flash = flat(board.segments)
    assert on_flash[: len(before)] == before
    found = ids(on_flash[len(before) :])
    # What was just written may not have been called kept yet.
    assert found[: len(kept)] == kept[: len(found)]
    assert len(found) >= len(kept) - in_memory, (kept, found)
    board.forget()
    board.online()
    board.on()
    board.wait_until(lambda: len(board.readings) >= len(on_flash) + 2)
    board.off()
    assert board.once(board.payloads)[: len(on_flash)] == on_flash


@pytest.mark.parametrize("compiled", [False, True], ids=["py", "mpy"])
@pytest.mark.parametrize("rhythm", RHYTHMS)
def test_kill_while_offline_loses_nothing_that_was_on_flash(
    endpoint: RunningCore, tmp_path: Path, form: Form, rhythm: str, compiled: bool
) -> None:
    interval_s, pad, in_memory, counts = RHYTHMS[rhythm]
    name = f"killed-{rhythm}-{'mpy' if compiled else 'py'}"
    random = form.random(name)
    with living(endpoint, tmp_path / name, compiled=compiled, pad=pad, on=False, interval_s=interval_s) as board:
        for _ in range(form.pick(3, 50)):
            # Of the last life a segment may be there, its last PUBACK not yet followed by its removal.
            before = flat(board.segments)
            board.offline()
            board.on()
            board.board.wait_for(f'kept .*"seq": {random.randint(*counts)}, ')
            board.board.virtual.wait(random.random() * interval_s / PACE)
            board.off()
            check_what_was_kept(board, before, in_memory)


@pytest.mark.parametrize(("compiled", "mqtt"), [(False, "5"), (True, "5"), (False, "3.1.1")])
def test_power_cut_while_offline_loses_nothing_on_flash(
    endpoint: RunningCore, tmp_path: Path, form: Form, compiled: bool, mqtt: str
) -> None:
    name = f"torn-{'mpy' if compiled else 'py'}-{mqtt}"
    with living(endpoint, tmp_path / name, compiled=compiled, pad=400, on=False, mqtt=mqtt) as board:
        for cut in form.sample(name, range(1, 200), 4):
            before = flat(board.segments)
            board.offline()
            board.on(power_cut_at_write=cut, power_returns=False)
            assert board.board.virtual.wait(WAIT_S), f"no write number {cut}"
            check_what_was_kept(board, before, RHYTHMS["fast"][2])


@pytest.fixture(scope="module", params=["5", "3.1.1"])
def backlog(
    endpoint: RunningCore, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[tuple[Living, Path]]:
    """A board that is off, and the image of a flash that it has filled with a backlog; with each version of MQTT."""
    folder = tmp_path_factory.mktemp("backlog")
    name = f"drains-{request.param}"
    with living(endpoint, folder / name, pad=400, online=False, window=WINDOW, mqtt=request.param) as board:
        board.board.wait_for('kept .*"seq": 80, ')
        board.off()
        yield board, Path(shutil.copy(board.image, folder / "backlog.img"))


def check_drained(board: Living, before: list[str]) -> None:
    """The power went in the middle of draining `before`: all of it arrives, again only what QoS 1 allows."""
    first = board.once(board.payloads)
    segments = board.segments
    board.forget()
    board.on()
    board.wait_until(lambda: len(board.readings) >= len(flat(segments)) + 2)
    board.off()
    second = board.once(board.payloads)
    assert set(before) <= {*first, *second}
    assert [payload for payload in first if payload in before] == before[: len(first)]
    assert second[: len(flat(segments))] == flat(segments)
    again = set(first) & set(second)
    assert len(again - set(segments[0] if segments else ())) <= WINDOW


def test_kill_while_draining_loses_nothing_on_flash(backlog: tuple[Living, Path], form: Form) -> None:
    board, image = backlog
    random = form.random("kill-draining")
    for _ in range(form.pick(4, 100)):
        board.reload(image)
        before = flat(board.segments)
        board.forget()
        board.online()
        board.on()
        board.wait_for_more(random.randint(1, len(before)))
        board.board.virtual.wait(random.random() / PACE)
        board.off()
        check_drained(board, before)


def test_power_cut_while_draining_loses_nothing_on_flash(backlog: tuple[Living, Path], form: Form) -> None:
    board, image = backlog
    board.reload(image)
    # Draining writes once per segment, to delete it.
    for cut in form.sample("torn-draining", range(1, len(board.segments)), 4):
        board.reload(image)
        before = flat(board.segments)
        board.forget()
        board.online()
        board.on(power_cut_at_write=cut, power_returns=False)
        while not board.board.virtual.wait(0.1):
            assert len(board.payloads) < len(before) + 40, f"no write number {cut}"
        board.settle()
        check_drained(board, before)
