"""config.json and the state file, torn: a whole board reports it and continues with the previous version."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.support.board.lives import Living, living
from tests.support.mqtt.endpoint import RunningCore


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCore]:
    with RunningCore(tmp_path_factory.mktemp("state"), publish_rate_per_s=0) as core:
        yield core


@pytest.fixture(scope="module")
def started(endpoint: RunningCore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    """A board that is off and has been online."""
    with living(endpoint, tmp_path_factory.mktemp("settings") / "started") as board:
        board.wait_for_more(1)
        board.off()
        yield board


def test_torn_config_falls_back_to_the_last_good_one(started: Living) -> None:
    whole = started.file("config.json")
    for size in (0, 1, len(whole) // 2, len(whole) - 1):
        started.put("config.json", whole[:size])
        started.forget()
        started.on()
        started.wait_for_more(2)
        started.off()
        told = [reading["link"]["config"] for reading in started.readings if "config" in reading.get("link", {})]
        assert len(told) == 1, "telemetry says once that the board runs with another config"
        assert told[0].endswith("Using the last good one")
        assert any(
            "config.json: not valid JSON at line 1" in line and line.endswith("Using the last good one")
            for line in started.board.lines
        ), started.board.lines
    started.remove("config.json")
    started.on()
    started.wait_for_more(2)
    started.off()
    started.put("config.json", whole)


def test_torn_copy_of_the_config_is_replaced(started: Living) -> None:
    copy = started.file("config.json.good")
    started.put("config.json.good", copy[: len(copy) // 2])
    started.on()
    started.wait_for_more(1)
    started.off()
    assert started.file("config.json.good") == copy


def test_board_without_a_valid_config_stays_at_its_prompt_and_says_why(started: Living) -> None:
    names = ("config.json", "config.json.good", "config.json.good.old", "config.json.good.new")
    whole = {name: started.file(name) for name in names if started.has(name)}
    for name, data in whole.items():
        started.put(name, data[:-1])
    connections = len(started.relay.passages)
    started.on()
    assert "config.json: not valid JSON at line 1" in started.to_the_prompt()
    assert len(started.relay.passages) == connections
    for name, data in whole.items():
        started.put(name, data)


def _interval_is(board: Living, seconds: int) -> bool:
    return bool(board.report()["interval_s"] == seconds)


def test_torn_state_file_falls_back_to_the_previous_state(endpoint: RunningCore, tmp_path: Path) -> None:
    with living(endpoint, tmp_path / "state-torn") as board:
        board.wait_for_more(1)
        for seconds in (5, 7):
            board.send({"command": "interval", "interval_s": seconds})
            board.wait_until(partial(_interval_is, board, seconds))
        board.off()
        whole = board.file("state")
        board.put("state", whole[: len(whole) // 2])
        board.on()
        board.wait_for_more(1)
        assert board.report()["interval_s"] == 5
        board.off()
        assert any(line.endswith("state is missing or torn; taken from state.old") for line in board.board.lines)
        board.put("state.old", b"")
        board.on()
        board.wait_for_more(1)
        assert board.report()["interval_s"] == 1, "what config.json says"
        board.off()
        assert any(line.endswith("state is torn, and so is every other version") for line in board.board.lines)
