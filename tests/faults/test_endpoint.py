"""An endpoint that closes, refuses, or lets another client take over: the board returns, and not too often."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from mqtt443_authorizer.sqlitestore import SqliteStore
from mqtt443_tools.device.registration import set_enabled
from mqtt443_tools.localcore.auth.account import DEVICES_FILE

from tests.faults.boards import REFUSED, rig
from tests.faults.conftest import BOTH_VERSIONS
from tests.support.mqtt.client import RawClient
from tests.support.mqtt.endpoint import RunningCore
from tests.support.mqtt.relay import UNHARMED, Fault, Treatment


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[RunningCore]:
    with RunningCore(tmp_path / "state") as core:
        yield core


# Up: CONNECT, SUBSCRIBE, PUBLISH; down: CONNACK, SUBACK, PUBACK.
CLOSE_AFTER_CONNACK = Treatment(Fault("close", "down", 1, "data_records"))
RESET_AFTER_CONNACK = Treatment(Fault("reset", "down", 1, "data_records"))
CLOSE_AFTER_PUBLISH = Treatment(Fault("close", "up", 3, "data_records"))
CLOSE_AFTER_PUBACK = Treatment(Fault("close", "down", 3, "data_records"))
RESET_AT_ONCE = Treatment(Fault("reset"))


@BOTH_VERSIONS
def test_close_right_after_connack_is_asked_about_slowly(endpoint: RunningCore, tmp_path: Path, mqtt: str) -> None:
    with rig(endpoint, tmp_path / "kicked", lambda n: UNHARMED if n > 1 else CLOSE_AFTER_CONNACK, mqtt=mqtt) as running:
        running.wait_for_more()
    assert running.errors == ["ConnectionLost"] * 2
    assert len(running.relay.passages) == 3


@BOTH_VERSIONS
@pytest.mark.parametrize("close", [CLOSE_AFTER_PUBLISH, CLOSE_AFTER_PUBACK], ids=["publish", "puback"])
def test_readings_arrive_despite_a_close_after_each_publish(
    endpoint: RunningCore, tmp_path: Path, close: Treatment, mqtt: str
) -> None:
    with rig(endpoint, tmp_path / "cut", lambda n: UNHARMED if n > 1 else close, mqtt=mqtt) as running:
        running.wait_for_errors(2)
        running.wait_for_more(4)
    assert running.errors == ["ConnectionLost"] * 2


@BOTH_VERSIONS
def test_resets_at_subscribe_do_not_cost_the_commands(endpoint: RunningCore, tmp_path: Path, mqtt: str) -> None:
    # A server that refuses SUBSCRIBE closes; a reset is the network's.
    with rig(endpoint, tmp_path / "torn", lambda n: UNHARMED if n > 2 else RESET_AFTER_CONNACK, mqtt=mqtt) as running:
        running.wait_for_more()
    assert len(running.relay.passages) == 4
    assert not any("no commands" in line for line in running.board.lines)


@BOTH_VERSIONS
def test_endpoint_that_is_down_for_a_while_is_found_again(endpoint: RunningCore, tmp_path: Path, mqtt: str) -> None:
    with rig(endpoint, tmp_path / "down", lambda n: UNHARMED if n in (0, 5) else RESET_AT_ONCE, mqtt=mqtt) as running:
        running.wait_for_more(2)
        assert running.relay.strike("reset") == 1
        running.wait_for_more(2)
    assert len(running.relay.passages) == 6
    assert set(running.errors) <= {"ConnectionLost", "TlsError"}


@BOTH_VERSIONS
def test_takeover_ends_the_board_and_it_comes_back(endpoint: RunningCore, tmp_path: Path, mqtt: str) -> None:
    with rig(endpoint, tmp_path / "twin", lambda _: UNHARMED, mqtt=mqtt) as running:
        running.wait_for_more(2)
        with RawClient(endpoint) as twin:
            assert twin.connect("twin", running.password).code == 0
            running.board.wait_for("ConnectionLost")
            assert twin.receive() is None, "the board did not come back"
        running.wait_for_more(2)
    assert running.errors == ["ConnectionLost"]


@BOTH_VERSIONS
def test_refusing_authorizer_is_rarely_asked_until_it_accepts(endpoint: RunningCore, tmp_path: Path, mqtt: str) -> None:
    with rig(endpoint, tmp_path / "refused", lambda _: UNHARMED, mqtt=mqtt) as running:
        running.wait_for_more(2)
        store = SqliteStore(endpoint.state / DEVICES_FILE)
        set_enabled(store, "refused", False)
        running.relay.strike("reset")
        for _ in range(2):
            endpoint.next_event("refused", "NOT_AUTHENTICATED")
        set_enabled(store, "refused", True)
        running.wait_for_more(2)
    assert running.errors == ["ConnectionLost"] + [REFUSED[mqtt]] * (len(running.errors) - 1)
    # On the ladder of refusals two or three attempts take a minute or more of the board's time.
    assert 2 <= len(running.errors) - 1 <= 3
