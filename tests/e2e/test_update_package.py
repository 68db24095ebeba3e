"""`mqtt443 update --package` moves a whole board to another version and back, its power cut in the middle."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from mqtt443 import __version__
from mqtt443_tools.cli import app
from mqtt443_tools.localcore.jobs.iot_services import IotServices
from mqtt443_tools.localcore.jobs.streams import Streams
from mqtt443_tools.support.paths import FIRMWARE
from mqtt443_tools.update import boards
from typer.testing import CliRunner, Result

from tests.support.board.lives import Living, living
from tests.support.mqtt.endpoint import RunningCore
from tests.updates.packages import NEW_VERSION

WAIT_S = 60.0
MIDDLE = 40
"""The block at which the power goes; there are over a hundred."""
FLEET_WAIT_S, FEW = 120.0, 10
"""For a fleet, whose blocks are larger: there are about thirty."""


def other_version(folder: Path) -> Path:
    """Make a package that is this one under another number."""
    folder.mkdir()
    for path in FIRMWARE.glob("*.py"):
        (folder / path.name).write_text(
            path.read_text().replace(f'VERSION = "{__version__}"', f'VERSION = "{NEW_VERSION}"')
        )
    return folder


def update(board: Living, blocks: list[int] | None = None) -> Result:
    """Run the command; return its result.

    Args:
        blocks: the numbers of the blocks that are asked for. If given, the power is cut in the middle of the download.
    """
    results: list[Result] = []
    arguments = ["update", board.client_id, "--package", "--state", str(board.core.state)]
    command = threading.Thread(target=lambda: results.append(CliRunner().invoke(app, arguments)))
    command.start()
    if blocks is not None:
        deadline = time.monotonic() + WAIT_S
        while len(blocks) < MIDDLE:
            assert time.monotonic() < deadline, board.board.lines
            time.sleep(0.01)
        board.off()
        asked = len(blocks)
        board.on()
    command.join(WAIT_S)
    assert results, board.board.lines
    if blocks is not None:
        assert blocks[asked] >= MIDDLE - 1, "the download began anew"
    return results[0]


def told(board: Living, version: str, slot: str) -> None:
    """Wait until the board has reported its last job."""

    def is_told() -> bool:
        found = [message["link"] for message in board.readings if "job" in message.get("link", {})]
        return bool(found) and (found[-1]["version"], found[-1]["slot"]) == (version, slot)

    board.wait_until(is_told)


def test_board_is_moved_to_the_next_version_and_back_with_a_power_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        RunningCore(tmp_path / "state", publish_rate_per_s=0) as core,
        living(core, tmp_path / "board-1", updates=True, max_message_bytes=1024, interval_s=5) as board,
    ):
        board.wait_for_next()
        asked: list[int] = []
        serve = Streams.blocks

        def blocks(streams: Streams, stream_id: str, request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
            asked.append(request["o"])
            return serve(streams, stream_id, request)

        with monkeypatch.context() as patch:
            patch.setattr(Streams, "blocks", blocks)
            patch.setattr(boards, "FIRMWARE", other_version(tmp_path / "mqtt443"))
            result = update(board, asked)
        assert result.exit_code == 0, result.output + "\n".join(board.board.lines)
        told(board, NEW_VERSION, "b")
        result = update(board)
        assert result.exit_code == 0, result.output + "\n".join(board.board.lines)
        told(board, __version__, "a")


FLEET = 4


@pytest.mark.timeout(300)
def test_fleet_is_moved_to_the_next_version_and_back_with_a_power_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: Counter[str] = Counter()
    request = IotServices.request

    def counted(services: IotServices, topic: str, payload: bytes) -> list[tuple[str, bytes]]:
        if topic.endswith("/get/json"):
            asked[topic.split("/")[2]] += 1
        return request(services, topic, payload)

    monkeypatch.setattr(IotServices, "request", counted)
    with ExitStack() as stack:
        core = stack.enter_context(RunningCore(tmp_path / "state", publish_rate_per_s=0, job_minute_s=1))
        options: dict[str, Any] = {"updates": True, "max_message_bytes": 4096, "interval_s": 20}
        fleet = [stack.enter_context(living(core, tmp_path / f"board-{n}", **options)) for n in range(1, FLEET + 1)]
        for board in fleet:
            board.wait_for_next()
        with monkeypatch.context() as patch:
            patch.setattr(boards, "FIRMWARE", other_version(tmp_path / "mqtt443"))
            with updating(core, fleet) as results:
                victim = fleet[1]
                deadline = time.monotonic() + FLEET_WAIT_S
                while asked[victim.client_id] < FEW:
                    assert time.monotonic() < deadline, victim.board.lines
                    time.sleep(0.01)
                victim.board.virtual.cut_power()
                assert victim.board.virtual.wait(WAIT_S)
                victim.on()
        assert json.loads(results[0].stdout)["counts"] == {"done": FLEET}
        for board in fleet:
            told(board, NEW_VERSION, "b")
        with updating(core, fleet) as results:
            pass
        assert json.loads(results[0].stdout)["counts"] == {"done": FLEET}
        for board in fleet:
            told(board, __version__, "a")


@contextmanager
def updating(core: RunningCore, fleet: list[Living]) -> Iterator[list[Result]]:
    """Run the command for a fleet while the block runs, and wait for its end; yield a list that then has the result."""
    results: list[Result] = []
    names = [board.client_id for board in fleet]
    arguments = ["update", *names, "--package", "--yes", "--json", "--state", str(core.state)]
    command = threading.Thread(target=lambda: results.append(CliRunner().invoke(app, arguments)))
    command.start()
    yield results
    command.join(FLEET_WAIT_S)
    assert results, "\n".join(line for board in fleet for line in board.board.lines[-5:])
    assert results[0].exit_code == 0, results[0].output
