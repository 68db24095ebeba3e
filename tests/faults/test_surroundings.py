"""Wi-Fi that fails, returns or reports a false state, and a clock that jumps: the board recovers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.boards import rig
from tests.support.board.fake_time import board_clock
from tests.support.mqtt.endpoint import RunningCore
from tests.support.mqtt.relay import UNHARMED, Fault, Treatment

WIFI = {"ssid": "a network", "password": "its password"}
LOST = Treatment(Fault("silence"))


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCore]:
    with RunningCore(tmp_path_factory.mktemp("state")) as core:
        yield core


def test_wifi_that_goes_away_is_named_and_joined_again(endpoint: RunningCore, tmp_path: Path) -> None:
    with rig(endpoint, tmp_path / "gone", lambda _: UNHARMED, wifi=WIFI) as running:
        running.wait_for_more(2)
        running.board.virtual.set_world(wifi_up=False)
        running.relay.strike("silence")
        running.board.wait_for("WifiError")
        running.board.virtual.set_world(wifi_up=True)
        running.wait_for_more(2)
    assert running.errors[0] == "PeerVanished"
    assert set(running.errors[1:]) == {"WifiError"}


def test_wifi_that_only_claims_to_be_up_is_survived(endpoint: RunningCore, tmp_path: Path) -> None:
    with rig(endpoint, tmp_path / "lies", lambda _: UNHARMED, wifi=WIFI) as running:
        running.wait_for_more(2)
        running.board.virtual.set_world(wifi_connected=True, wifi_status=1010)
        running.relay.plan = lambda _: LOST
        running.relay.strike("silence")
        running.board.wait_for("HandshakeTimeout")
        running.relay.plan = lambda _: UNHARMED
        running.wait_for_more(2)
    assert running.errors[:2] == ["PeerVanished", "HandshakeTimeout"]


def test_wifi_that_wrongly_reports_down_does_not_end_a_connection(endpoint: RunningCore, tmp_path: Path) -> None:
    with rig(endpoint, tmp_path / "denies", lambda _: UNHARMED, wifi=WIFI) as running:
        running.wait_for_more(2)
        running.board.virtual.set_world(wifi_connected=False, wifi_status=201)
        running.wait_for_more(4)
    assert running.errors == []


@pytest.mark.parametrize("jump_s", [400 * 86400, -300 * 86400])
def test_clock_that_jumps_does_not_move_the_readings(endpoint: RunningCore, tmp_path: Path, jump_s: int) -> None:
    # Ticks are not the clock and continue on a chip, so the monotonic clock and the pace are left alone here.
    clock = {**board_clock(tmp_path, 2026), "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    with rig(endpoint, tmp_path / f"jumps{jump_s}", lambda _: UNHARMED, environment=clock) as running:
        running.wait_for_more(2)
        (tmp_path / "clock-offset").write_text(f"{int((tmp_path / 'clock-offset').read_text()) + jump_s:+d}")
        running.wait_for_more(3)
    assert running.errors == []
    assert running.arrived == list(range(1, len(running.arrived) + 1))
    assert len(running.arrived) <= 7, "the board tried to make up for a year"
