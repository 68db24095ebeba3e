"""Wi-Fi: joined once, bounded, with the driver's reason; restarted only when it is at fault."""

import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mqtt443 import errors
from mqtt443 import network as module

from tests.firmware.fakes import Ticks
from tests.firmware.micropython import run
from tests.support.board.interpreters import MICROPYTHON, need


class Network:
    """A `network` module whose station goes through statuses; an int is `isconnected()` False with that status.

    on: whether the radio is on before.
    """

    STA_IF = 0
    STAT_WRONG_PASSWORD = 202
    STAT_NO_AP_FOUND = 201
    STAT_BEACON_TIMEOUT = 200

    STAT_CONNECTING = 1001

    def __init__(self, *statuses: int | str, on: bool = False, error: OSError | None = None) -> None:
        self.on = on
        self.statuses = list(statuses)
        self.calls: list[Any] = []
        self.error = error

    def WLAN(self, interface: int) -> "Network":
        assert interface == Network.STA_IF
        return self

    def active(self, on: bool | None = None) -> bool:
        if on is not None:
            self.calls.append(on)
            self.on = on
        return self.on

    def connect(self, ssid: str, password: str) -> None:
        self.calls.append((ssid, password))
        if self.error:
            raise self.error

    def isconnected(self) -> bool:
        return bool(self.statuses) and self.statuses[0] == "up"

    def status(self) -> int | str:
        return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


def join(network: Network, ticks: Ticks, **changes: Any) -> None:
    def sleep_ms(ms: int) -> None:
        ticks.now_ms += ms

    module.join(network, "home", "secret77", sleep=sleep_ms, ticks=ticks, **changes)


def hears(wlan: Any) -> bool:
    return True


def deaf(wlan: Any) -> bool:
    return False


RESTARTED = [False, True, ("home", "secret77")]


def test_board_that_is_up_is_left_alone(ticks: Ticks) -> None:
    network = Network("up", on=True)
    join(network, ticks, hears=pytest.fail)
    assert network.calls == []


def test_radio_that_lies_is_restarted(ticks: Ticks) -> None:
    network = Network("up", on=True)
    join(network, ticks, distrust=True, hears=deaf)
    assert network.calls == RESTARTED


def test_radio_that_hears_is_not_restarted_for_faults_beyond_it(ticks: Ticks) -> None:
    network = Network("up", on=True)
    join(network, ticks, distrust=True, hears=hears)
    assert network.calls == []


def test_joining_begins_from_off_and_waits(ticks: Ticks) -> None:
    network = Network(1001, 1001, 1001, "up")
    join(network, ticks)
    assert network.calls == RESTARTED


@pytest.mark.parametrize("distrust", [False, True])
def test_driver_may_reconnect_to_its_network_by_itself(ticks: Ticks, distrust: bool) -> None:
    network = Network(*[200] * 49, "up", on=True)
    join(network, ticks, distrust=distrust, hears=pytest.fail)
    assert network.calls == []
    assert ticks.now_ms == 4900


def test_driver_that_does_not_is_restarted_once(ticks: Ticks) -> None:
    network = Network(*[200] * 60, "up", on=True)
    join(network, ticks)
    assert network.calls == RESTARTED
    network = Network(200, on=True)
    with pytest.raises(errors.WifiError, match="beacon timeout"):
        join(network, ticks)
    assert network.calls == RESTARTED


@pytest.mark.parametrize(
    ("status", "words"),
    [(202, r"\(wrong password\)"), (201, r"\(no ap found\)"), (999, "status 999"), (1001, "status 0")],
)
def test_deadline_names_the_driver_s_reason(ticks: Ticks, status: int, words: str) -> None:
    with pytest.raises(errors.WifiError, match=words) as info:
        join(Network(status), ticks)
    assert ticks.now_ms == 20000
    assert "home" in str(info.value)
    assert "secret77" not in str(info.value)


def test_first_wrong_word_of_the_driver_is_not_the_end(ticks: Ticks) -> None:
    join(Network(202, 1001, "up"), ticks)


def test_last_reason_is_reported_though_the_driver_tries_again(ticks: Ticks) -> None:
    with pytest.raises(errors.WifiError, match="wrong password"):
        join(Network(201, 202, 1001), ticks)


def test_driver_that_raises_is_a_wifi_error(ticks: Ticks) -> None:
    with pytest.raises(errors.WifiError, match="Internal Error"):
        join(Network(1001, error=OSError("Wifi Internal Error")), ticks)


class Wlan:
    def __init__(self, server: str) -> None:
        self.server = server

    def ifconfig(self) -> tuple[str, str, str, str]:
        return ("127.0.0.1", "255.0.0.0", "127.0.0.1", self.server)


@pytest.fixture
def dns(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A DNS server's socket on loopback, in the place of port 53."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(10)
        resolve = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", lambda host, _: resolve(host, server.getsockname()[1]))
        yield server


@pytest.mark.parametrize("answers", [True, False])
def test_dns_server_that_answers_is_heard(dns: socket.socket, answers: bool) -> None:
    asked = []

    def serve() -> None:
        query, client = dns.recvfrom(512)
        asked.append(query)
        if answers:
            dns.sendto(query[:2] + b"\x81\x80" + query[4:], client)

    thread = threading.Thread(target=serve)
    thread.start()
    assert module.hears(Wlan("127.0.0.1")) is answers
    thread.join()
    # RFC 1035: a header with one question, the root's NS records.
    assert asked[0][2:] == b"\1\0" + b"\0\1\0\0\0\0\0\0" + b"\0" + b"\0\2\0\1"


def test_network_without_a_dns_server_is_not_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(host: str, port: int) -> None:
        raise OSError(-2)

    monkeypatch.setattr(socket, "getaddrinfo", nothing)
    assert module.hears(Wlan("")) is False


HEARS = """
import socket
from mqtt443 import network

class Net:
    AF_INET = socket.AF_INET
    SOCK_DGRAM = socket.SOCK_DGRAM
    socket = socket.socket
    def getaddrinfo(host, port):
        return socket.getaddrinfo(host, PORT)

class Wlan:
    def ifconfig(self):
        return (None, None, None, "127.0.0.1")

network.socket = Net
print(network.hears(Wlan()))
"""


@pytest.mark.parametrize(("name", "answers"), [*((name, True) for name in MICROPYTHON), ("alpn32", False)])
def test_real_micropython_hears_a_dns_server(tmp_path: Path, name: str, answers: bool) -> None:
    interpreter = need(name)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(10)

        def serve() -> None:
            _, client = server.recvfrom(512)
            if answers:
                server.sendto(b"\0\1\x81\x80\0\1\0\0\0\0\0\0", client)

        thread = threading.Thread(target=serve)
        thread.start()
        said = run(interpreter, tmp_path, HEARS.replace("PORT", str(server.getsockname()[1])))
        thread.join()
    assert said == f"{answers}\n"


@pytest.mark.parametrize(("failures", "distrusted"), [(0, False), (2, False), (3, True), (9, True)])
def test_wifi_is_distrusted_after_three_failures_in_a_row(
    monkeypatch: pytest.MonkeyPatch, failures: int, distrusted: bool
) -> None:
    joins: list[bool] = []
    monkeypatch.setitem(sys.modules, "network", SimpleNamespace())
    monkeypatch.setattr(module, "join", lambda *_, distrust: joins.append(distrust))
    config = SimpleNamespace(wifi_ssid="home", wifi_password="secret77")
    module.up(SimpleNamespace(config=config, failures=failures, feed=int), False)
    assert joins == [distrusted]
