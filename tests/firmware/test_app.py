"""The main loop: order, intervals, what is done after each error, and an end that says goodbye."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support import board  # noqa: F401 (umqtt, before mqtt443.client)

from mqtt443 import app, config, errors  # isort: skip
from mqtt443.app import App, Uptime  # isort: skip
from mqtt443.backoff import Backoff  # isort: skip

from tests.firmware.fakes import Ticks  # isort: skip


class World:
    """A board in which time passes only where it waits: a client by script, and a record of everything."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: int, **changes: Any) -> None:
        self.ticks = Ticks()
        monkeypatch.setattr(app, "ticks_ms", self.ticks)
        self.end_ms = seconds * 1000
        self.events: list[tuple[int, str]] = []
        self.lines: list[str] = []
        self.connects: list[Exception | None] = []
        self.publishes: list[Exception | int | None] = []
        self.waits: list[Exception | None] = []
        self.clock_good: list[bool | None] = []
        self.prepares: list[Exception | None] = []
        self.config = config.validate({"endpoint": "h", "client_id": "d", "password": "hunter2", **changes})

    def note(self, what: str) -> None:
        self.events.append((self.ticks.now_ms, what))

    def when(self, what: str) -> list[int]:
        return [at for at, name in self.events if name == what]

    # a Client

    def connect(self) -> bool:
        self.note("connect")
        self.ticks.now_ms += 100
        if self.connects and (error := self.connects.pop(0)):
            raise error
        return False

    def publish(self, topic: str, payload: str, retain: bool, qos: int) -> None:
        assert (topic, retain, qos) == (self.config.topic, False, self.config.qos)
        json.loads(payload)
        self.note("publish")
        outcome = self.publishes.pop(0) if self.publishes else None
        if isinstance(outcome, Exception):
            raise outcome
        self.ticks.now_ms += outcome or 0

    def keep_alive(self) -> int:
        return 60000

    def wait(self, ms: int) -> None:
        assert 0 <= ms <= 1000
        if self.waits and (error := self.waits.pop(0)):
            raise error
        self.ticks.now_ms += ms

    def close(self) -> None:
        self.note("close")

    def disconnect(self) -> None:
        self.note("disconnect")

    # the rest

    def prepare(self, clock_good: bool | None) -> None:
        self.note("prepare")
        self.clock_good.append(clock_good)
        if self.prepares and (error := self.prepares.pop(0)):
            raise error

    def payload(self) -> str:
        return '{"seq": 1}'

    def sleep_ms(self, ms: int) -> None:
        assert 0 < ms <= 1000
        self.ticks.now_ms += ms

    def stop(self) -> bool:
        return self.ticks.now_ms >= self.end_ms

    def run(self) -> "World":
        App(
            self.config,
            self,
            prepare=self.prepare,
            readings=self,
            backoff=Backoff(lambda limit: limit - 1),
            log=self.lines.append,
            uptime=Uptime(self.ticks),
            stop=self.stop,
            sleep_ms=self.sleep_ms,
        ).run()
        return self


LOST = errors.ConnectionLost("connection lost (ECONNRESET)")
CLOSED = errors.ConnectionLost("the server closed the connection", closed=True)


def test_network_and_clock_come_before_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 1).run()
    assert [what for _, what in world.events[:3]] == ["prepare", "connect", "publish"]


def test_readings_do_not_drift(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 50, interval_s=10)
    world.publishes = [300, 200, 700, 100, 0]
    assert world.run().when("publish") == [100, 10100, 20100, 30100, 40100]


def test_readings_missed_are_not_made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 60, interval_s=10)
    world.publishes = [25000]
    assert world.run().when("publish") == [100, 25100, 35100, 45100, 55100]


def test_network_faults_wait_on_the_short_ladder(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 20)
    world.connects = [errors.ConnectFailed("no TCP connection")] * 3
    assert world.run().when("connect") == [0, 2100, 6200, 14300]


@pytest.mark.parametrize("kind", ["ClosedBeforeConnack", "ConnackTimeout", "NoAlpn", "WrongCa"])
def test_reconnect_waits_longer_after_refusal(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    world = World(monkeypatch, 100)
    world.connects = [getattr(errors, kind)("no")] * 2
    assert world.run().when("connect") == [0, 30100, 90200]


def test_a_server_that_accepts_and_then_kicks_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 100)
    world.publishes = [CLOSED, CLOSED]
    assert world.run().when("connect") == [0, 30100, 90200]


def test_a_broken_link_soon_after_the_start_is_a_network_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 10)
    world.publishes = [LOST, LOST]
    assert world.run().when("connect") == [0, 2100, 6200]


def test_a_close_after_a_stable_time_is_answered_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 300, interval_s=60)
    world.connects = [errors.ConnectFailed("x")] * 4
    world.publishes = [None, None, CLOSED]
    times = world.run().when("connect")
    assert times[:5] == [0, 2100, 6200, 14300, 30400]
    assert times[5] == 30500 + 120000 + 2000


def test_the_socket_is_closed_before_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 3)
    world.publishes = [LOST]
    world.run()
    assert [what for _, what in world.events[:5]] == ["prepare", "connect", "publish", "close", "prepare"]


def test_the_clock_is_known_after_the_first_time_and_asked_again_after_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 3, interval_s=60)
    world.waits = [LOST]
    world.run()
    assert world.clock_good == [False, None]
    world = World(monkeypatch, 86400 + 200, interval_s=86400)
    world.waits = [None] * 86401 + [LOST]
    world.run()
    assert world.clock_good == [False, True]


@pytest.mark.parametrize("kind", ["ClockError", "CertificateExpired"])
def test_a_certificate_that_doubts_the_clock_makes_it_unknown(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    world = World(monkeypatch, 40)
    world.connects = [getattr(errors, kind)("not valid")]
    assert world.run().clock_good == [False, False]


def test_no_network_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 8)
    world.prepares = [errors.WifiError("no Wi-Fi"), errors.DnsError("no address")]
    world.run()
    assert world.clock_good == [False] * 3
    assert world.when("connect") == [6000]


@pytest.mark.parametrize("error", [MemoryError("heap"), TypeError("a mistake"), OSError(5)])
def test_what_nobody_expected_is_logged_and_the_board_goes_on(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    world = World(monkeypatch, 40)
    world.publishes = [error]
    world.run()
    assert any(type(error).__name__ in line for line in world.lines)
    assert world.when("connect") == [0, 30100]


def test_ctrl_c_leaves_with_a_disconnect(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 100)
    world.publishes = [KeyboardInterrupt()]  # type: ignore[list-item]
    monkeypatch.setattr(world, "publish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    world.run()
    assert world.events[-1][1] == "disconnect"
    assert world.lines[-2:] == ["stopped by Ctrl-C", "disconnected"]


def test_a_goodbye_that_fails_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 1)

    def disconnect() -> None:
        raise LOST

    monkeypatch.setattr(world, "disconnect", disconnect)
    assert "ECONNRESET" in world.run().lines[-1]


def test_no_line_of_the_log_has_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 200)
    world.connects = [errors.ClosedBeforeConnack("closed"), errors.WrongCa("wrong")]
    world.publishes = [LOST, CLOSED]
    assert "hunter2" not in "\n".join(world.run().lines)


def test_uptime_goes_past_the_wrap_of_the_ticks() -> None:
    period = 1 << 30
    now = [period - 5000]

    class Wrapping(Ticks):
        def __call__(self) -> int:
            return now[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app, "ticks_diff", lambda a, b: (a - b + period // 2) % period - period // 2)
        uptime = Uptime(Wrapping())
        now[0] = 5000
        assert uptime.ms() == 10000
        now[0] = 15000
        assert uptime.ms() == 20000


# run(): from the file to the loop.


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "no such file"),
        ("{", "not valid JSON"),
        ('{"endpoint": "h", "client_id": "d", "qos": 7}', "qos is 7"),
        ('{"endpoint": "h", "client_id": "d", "ca": "none.der"}', "no file"),
    ],
)
def test_a_config_that_cannot_be_used_is_one_line_and_the_prompt(tmp_path: Path, text: str | None, words: str) -> None:
    if text is not None:
        (tmp_path / "config.json").write_text(text)
    lines: list[str] = []
    assert app.run(root=f"{tmp_path}/", write=lines.append) is False
    assert len(lines) == 1
    assert words in lines[0]
    assert lines[0].startswith("[    0.")


def test_wifi_on_a_board_without_it_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "network", None)
    (tmp_path / "config.json").write_text('{"endpoint": "h", "client_id": "d", "wifi": {"ssid": "x"}}')
    lines: list[str] = []
    assert app.run(root=f"{tmp_path}/", write=lines.append) is False
    assert "no module network" in lines[0]
