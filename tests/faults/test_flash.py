"""Full flash, and the limits of the outbox: readings wait where there is room; the oldest are dropped and counted."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.board import flash_image as flash
from tests.support.board.lives import Living, living
from tests.support.mqtt.endpoint import RunningCore


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCore]:
    with RunningCore(tmp_path_factory.mktemp("state"), publish_rate_per_s=0) as core:
        yield core


def check_the_oldest_are_counted(board: Living) -> list[int]:
    """Bring the board online; check that readings arrive in order and only the oldest are missing, and counted.

    Returns the missing ones.
    """
    board.online()
    board.wait_until(lambda: any("failures" not in reading.get("link", {}) for reading in board.readings))
    board.wait_for_more(2)  # which report what the earlier ones displaced
    arrived = [reading["seq"] for reading in board.readings]
    missing = sorted(set(range(1, arrived[-1] + 1)) - set(arrived))
    assert arrived == sorted(set(arrived))
    assert board.readings[-1]["link"] == {"dropped": len(missing)}
    # The older ones are those that flash accepted while it had a little room.
    assert missing == list(range(missing[0], missing[-1] + 1))
    return missing


def test_readings_wait_in_memory_if_flash_has_no_room(endpoint: RunningCore, tmp_path: Path) -> None:
    with living(endpoint, tmp_path / "full", pad=400, on=False, online=False) as board:
        flash.fill(board.board.interpreter, board.image)
        board.on()
        board.board.wait_for('kept .*"seq": 40, ')
        missing = check_the_oldest_are_counted(board)
        assert missing[0] <= 2
        assert len(missing) >= 40 - 10, "more than memory may hold has waited"
        assert len([line for line in board.board.lines if "outbox: flash is full" in line]) == 1
        # Everything else that writes works, whether or not there is room for its few bytes.
        board.send({"command": "interval", "interval_s": 2})
        board.board.wait_for("command interval")
        assert board.report()["interval_s"] == 2


def test_readings_go_to_flash_again_once_there_is_room(endpoint: RunningCore, tmp_path: Path) -> None:
    sensors = """
import os
count = 0

def read():
    global count
    count += 1
    if count == 30:
        os.remove("filler4096")
    return {"pad": "x" * 400}
"""
    with living(endpoint, tmp_path / "room", sensors=sensors, on=False, online=False) as board:
        flash.fill(board.board.interpreter, board.image)
        board.on()
        board.board.wait_for('kept .*"seq": 80, ')
        missing = check_the_oldest_are_counted(board)
        assert 30 - 10 <= len(missing) <= 30
        assert missing[0] <= 2


@pytest.mark.parametrize("outbox_bytes", [8192, 10000])
def test_outbox_stays_within_its_limit_on_flash(endpoint: RunningCore, tmp_path: Path, outbox_bytes: int) -> None:
    name = f"bound-{outbox_bytes}"
    with living(endpoint, tmp_path / name, pad=400, online=False, outbox_bytes=outbox_bytes) as board:
        board.board.wait_for('kept .*"seq": 60, ')
        missing = check_the_oldest_are_counted(board)
        assert missing[0] == 1
        board.offline()
        board.board.wait_for(f'kept .*"seq": {board.readings[-1]["seq"] + 60}, ')
        board.off()
        files = flash.read(board.board.interpreter, board.image, "outbox")
        size = sum(len(data) for data in files.values())
        assert outbox_bytes - 4096 - 600 < size <= outbox_bytes


def test_outbox_without_flash_keeps_readings_in_memory(endpoint: RunningCore, tmp_path: Path) -> None:
    with living(endpoint, tmp_path / "memory", pad=400, online=False, outbox_bytes=0) as board:
        board.board.wait_for('kept .*"seq": 40, ')
        missing = check_the_oldest_are_counted(board)
        assert missing[0] == 1
        assert len(missing) >= 40 - 10
        board.off()
        assert flash.read(board.board.interpreter, board.image, "outbox") == {}


def test_expired_readings_are_counted_and_not_sent(endpoint: RunningCore, tmp_path: Path) -> None:
    with living(endpoint, tmp_path / "expires", pad=100, online=False, ttl_s=30) as board:
        board.board.wait_for('kept .*"seq": 90, ')
        kept = board.logged
        board.online()
        board.wait_until(lambda: any("failures" not in reading.get("link", {}) for reading in board.readings))
        board.wait_for_more(2)
        connected_s = float(board.board.wait_for("connected to")[1:].partition("]")[0])
        arrived = [reading["seq"] for reading in board.readings]
        missing = set(range(1, arrived[-1] + 1)) - set(arrived)
        assert arrived == sorted(set(arrived))
        assert board.readings[-1]["link"] == {"expired": len(missing)}
        names = {reading["id"][:12] for reading in board.readings}
        # The clock has whole seconds, and sending took a few.
        assert not [name for at_s, name in kept if at_s < connected_s - 31 and name in names]
        assert not [name for at_s, name in kept if at_s > connected_s - 20 and name not in names]
