"""Wi-Fi: joined once, bounded, with the driver's reason."""

from typing import Any

import pytest
from mqtt443 import errors, wifi

from tests.firmware.fakes import Ticks


class Network:
    """A `network` module whose station goes through statuses; an int is `isconnected()` False with that status."""

    STA_IF = 0
    STAT_WRONG_PASSWORD = 202
    STAT_NO_AP_FOUND = 201

    def __init__(self, *statuses: int | str, error: OSError | None = None) -> None:
        self.statuses = list(statuses)
        self.calls: list[Any] = []
        self.error = error

    def WLAN(self, interface: int) -> "Network":
        assert interface == Network.STA_IF
        return self

    def active(self, on: bool) -> None:
        self.calls.append(on)

    def connect(self, ssid: str, password: str) -> None:
        self.calls.append((ssid, password))
        if self.error:
            raise self.error

    def isconnected(self) -> bool:
        return bool(self.statuses) and self.statuses[0] == "up"

    def status(self) -> int | str:
        return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch) -> Ticks:
    clock = Ticks()
    monkeypatch.setattr(wifi, "ticks_ms", clock)
    return clock


def join(network: Network, ticks: Ticks, **changes: Any) -> None:
    def sleep_ms(ms: int) -> None:
        ticks.now_ms += ms

    wifi.join(network, "home", "secret77", sleep_ms=sleep_ms, **changes)


def test_a_board_that_is_up_is_left_alone(ticks: Ticks) -> None:
    network = Network("up")
    join(network, ticks)
    assert network.calls == []


def test_a_radio_that_lies_is_restarted(ticks: Ticks) -> None:
    network = Network("up")
    join(network, ticks, distrust=True)
    assert network.calls == [False, True, ("home", "secret77")]


def test_joining_begins_from_off_and_waits(ticks: Ticks) -> None:
    network = Network(1001, 1001, 1001, "up")
    join(network, ticks)
    assert network.calls == [False, True, ("home", "secret77")]


@pytest.mark.parametrize(
    ("status", "words"), [(202, "wrong password"), (201, "no network of that name"), (999, "no reason given")]
)
def test_the_deadline_names_the_driver_s_reason(ticks: Ticks, status: int, words: str) -> None:
    with pytest.raises(errors.WifiError, match=words) as info:
        join(Network(status), ticks)
    assert ticks.now_ms == 20000
    assert "home" in str(info.value)
    assert "secret77" not in str(info.value)


def test_a_first_wrong_word_of_the_driver_is_not_the_end(ticks: Ticks) -> None:
    join(Network(202, 1001, "up"), ticks)


def test_a_driver_that_raises_is_a_wifi_error(ticks: Ticks) -> None:
    with pytest.raises(errors.WifiError, match="Internal Error"):
        join(Network(1001, error=OSError("Wifi Internal Error")), ticks)
