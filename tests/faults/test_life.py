"""Resets, watchdog, safe mode and deep sleep of whole boards: each start says why, and nothing is lost on the way."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from mqtt443_tools.virtualboard.supervisor import DEEPSLEEP_RESET, HARD_RESET, PWRON_RESET, WDT_RESET

from tests.support.board.lives import GONE, Living, living
from tests.support.mqtt.endpoint import RunningCore
from tests.support.mqtt.relay import UNHARMED, Fault, Treatment

BIT = "the watchdog bit"

# Hangs in the first reading of each start, until the board has the file `mended`.
HANGS = """
import os, time

def read():
    if "mended" not in os.listdir():
        time.sleep(100000)
    return {"id": 0}
"""
# The same, but only once: a file remembers it.
HANGS_ONCE = """
import os, time

def read():
    if "mended" not in os.listdir():
        open("mended", "w").close()
        time.sleep(100000)
    return {"id": 0}
"""
# Takes the deadlines of a connection away, in the first start.
NO_DEADLINES = """
import os

if "mended" not in os.listdir():
    open("mended", "w").close()
    from mqtt443.client import Client
    from mqtt443.sender import Sender

    def pump(self, pump=Sender.pump):
        self.timeout_ms = 1 << 28
        return pump(self)

    Sender.pump = pump
    Client.keep_alive = lambda self: 1000

def read():
    return {"id": 0}
"""
# CONNACK and SUBACK come, the PUBACK does not.
NO_PUBACK = Treatment(Fault("deafen", "down", 2, "data_records"))


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCore]:
    with RunningCore(tmp_path_factory.mktemp("state"), publish_rate_per_s=0) as core:
        yield core


def started(board: Living) -> list[str]:
    """The causes of its starts that the board reported, in order."""
    return [reading["link"]["started"] for reading in board.readings if "started" in reading.get("link", {})]


@pytest.mark.parametrize("compiled", [False, True], ids=["py", "mpy"])
def test_watchdog_ends_a_hanging_sensor_and_the_next_message_reports_it(
    endpoint: RunningCore, tmp_path: Path, compiled: bool
) -> None:
    folder = tmp_path / f"hangs-{compiled}"
    with living(endpoint, folder, compiled=compiled, sensors=HANGS_ONCE, watchdog_s=120) as board:
        board.wait_for_more(2)
        assert board.board.virtual.resets == [PWRON_RESET, WDT_RESET]
        assert board.readings[0]["link"] == {"started": "watchdog"}
        assert "link" not in board.readings[1]


def test_third_watchdog_reset_is_safe_mode_until_the_next_start(endpoint: RunningCore, tmp_path: Path) -> None:
    safe = "three crashes in a row; the last: watchdog"
    with living(endpoint, tmp_path / "stuck", sensors=HANGS, watchdog_s=60, timeout_s=30) as board:
        assert board.to_the_prompt().endswith(f"safe mode: {safe}. Press RESET to try again")
        assert board.board.virtual.resets == [PWRON_RESET, WDT_RESET, WDT_RESET, WDT_RESET]
        assert board.payloads == []
        board.put("mended", b"")
        board.on()
        board.wait_for_more(2)
        assert started(board) == [safe]


def test_silent_server_meets_the_deadline_before_the_watchdog(endpoint: RunningCore, tmp_path: Path) -> None:
    sensors = NO_DEADLINES.replace('"mended" not in os.listdir()', "False")
    with living(endpoint, tmp_path / "deadline", sensors=sensors, on=False, watchdog_s=240, interval_s=3600) as board:
        board.relay.plan = lambda n: UNHARMED if n else NO_PUBACK
        board.on()
        board.board.wait_for("PeerVanished: .*PUBACK")
        board.wait_until(lambda: len(board.payloads) >= 2)
        assert board.board.virtual.resets == [PWRON_RESET]


def test_watchdog_bites_where_a_deadline_fails(endpoint: RunningCore, tmp_path: Path) -> None:
    with living(
        endpoint, tmp_path / "broken", sensors=NO_DEADLINES, on=False, watchdog_s=60, timeout_s=30, interval_s=3600
    ) as board:
        board.relay.plan = lambda n: UNHARMED if n else NO_PUBACK
        board.on()
        board.board.wait_for(BIT)
        board.wait_until(lambda: len(board.payloads) >= 2)
        assert board.board.virtual.resets == [PWRON_RESET, WDT_RESET]
        assert started(board) == ["watchdog"]


@pytest.mark.parametrize("failures", [1, 3])
def test_board_without_progress_resets_with_its_cause_and_readings(
    endpoint: RunningCore, tmp_path: Path, failures: int
) -> None:
    with living(endpoint, tmp_path / f"resets-{failures}", on=False, reset_after=failures) as board:
        board.relay.plan = lambda n: UNHARMED if n >= failures else GONE
        board.on()
        board.board.wait_for(f"reset: {failures} failures; TlsError: ")
        kept = len(board.logged)
        board.wait_until(lambda: len(started(board)) == 1)
        board.wait_for_more(1)
        assert board.board.virtual.resets == [PWRON_RESET, HARD_RESET]
        assert started(board)[0].startswith(f"{failures} failures; TlsError: ")
        seqs = [reading["seq"] for reading in board.readings]
        assert seqs == list(range(1, len(seqs) + 1))
        assert seqs[-1] >= kept + 2


def test_refusals_do_not_reset_the_board(endpoint: RunningCore, tmp_path: Path) -> None:
    with living(endpoint, tmp_path / "refused", on=False, reset_after=2) as board:
        board.put("config.json", board.file("config.json").replace(b'"password": "', b'"password": "wrong'))
        board.on()
        for _ in range(3):
            endpoint.next_event("refused", "NOT_AUTHENTICATED")
        assert board.board.virtual.resets == [PWRON_RESET]


def test_board_with_the_file_safe_mode_stays_at_its_prompt(endpoint: RunningCore, tmp_path: Path) -> None:
    with living(endpoint, tmp_path / "by-file", on=False) as board:
        board.put("safe_mode", b"")
        board.on()
        assert "safe mode: delete the file safe_mode" in board.to_the_prompt()
        assert board.relay.passages == []
        board.remove("safe_mode")
        board.on()
        board.wait_for_more(1)


def test_board_whose_pin_is_held_stays_at_its_prompt(endpoint: RunningCore, tmp_path: Path) -> None:
    with living(endpoint, tmp_path / "by-pin", world={"pins": {"0": 0}}, safe_pin=0) as board:
        assert "safe mode: pin 0 is held" in board.to_the_prompt()
        assert board.relay.passages == []
        board.on(pins={"0": 1})
        board.wait_for_more(1)


@pytest.mark.parametrize("compiled", [False, True], ids=["py", "mpy"])
def test_each_wake_sends_one_reading_and_disconnects(endpoint: RunningCore, tmp_path: Path, compiled: bool) -> None:
    folder = tmp_path / f"sleeps-{compiled}"
    will = f"telemetry/{folder.name}/will"
    with living(endpoint, folder, compiled=compiled, deep_sleep=True, interval_s=60, will_topic=will) as board:
        board.wait_for_lines("asleep for", 4)
        board.off()  # while it sleeps
        assert [reading["seq"] for reading in board.readings] == [1, 2, 3, 4]
        assert not any("link" in reading for reading in board.readings)
        assert board.board.virtual.resets == [PWRON_RESET] + [DEEPSLEEP_RESET] * 3
        assert len(board.relay.passages) == 4
        assert not [message for message in endpoint.messages if message.topic == will]


def test_reading_of_an_offline_wake_is_sent_at_a_later_wake(endpoint: RunningCore, tmp_path: Path) -> None:
    with living(endpoint, tmp_path / "offline", on=False, deep_sleep=True, interval_s=20) as board:
        board.relay.plan = lambda n: GONE if n in (1, 2) else UNHARMED
        board.on()
        board.wait_for_more(5)
        seqs = [reading["seq"] for reading in board.readings]
        assert seqs == [1, 2, 3, 4, 5]
        assert [reading.get("link") for reading in board.readings[:4]] == [None, {"failures": 1}, {"failures": 2}, None]
        assert board.board.virtual.resets[:4] == [PWRON_RESET] + [DEEPSLEEP_RESET] * 3


def test_command_that_waited_arrives_at_a_wake_and_runs_once(endpoint: RunningCore, tmp_path: Path) -> None:
    # Slower: it has half a second of the board's time to come.
    with living(
        endpoint, tmp_path / "waits", pace=5, deep_sleep=True, interval_s=5, clean_session=False, on=False
    ) as board:
        board.on()
        board.board.wait_for("asleep for")
        assert "version" in board.report()
        board.wait_for_more(2)
        assert sum("report" in reading for reading in board.readings) == 1
        assert board.board.virtual.resets[1:3] == [DEEPSLEEP_RESET] * 2
