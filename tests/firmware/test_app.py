"""The main loop: order, intervals, what is done after each error, and an end that says goodbye."""

import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.board import package as board  # noqa: F401 (umqtt, before mqtt443.client)

from mqtt443 import app, config, ending, errors, orders, prepare, recovery, sender, setup, start, state  # isort: skip
from mqtt443.app import App, Uptime  # isort: skip
from mqtt443.outbox import Outbox  # isort: skip

from tests.firmware.fakes import Ticks  # isort: skip


class World:
    """A board in which time passes only where it waits: a client by script, and a record of everything."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: int, **changes: Any) -> None:
        self.ticks = Ticks()
        monkeypatch.setattr(app, "ticks_ms", self.ticks)
        monkeypatch.setattr(sender, "ticks_ms", self.ticks)
        monkeypatch.setattr(orders, "ticks_ms", self.ticks)
        monkeypatch.setattr(recovery, "ticks_ms", self.ticks)
        monkeypatch.setattr(setup, "ticks_ms", self.ticks)
        monkeypatch.setattr(recovery, "random_below", lambda limit: limit - 1)
        monkeypatch.setattr(recovery, "sleep_ms", self.sleep_ms)
        monkeypatch.setattr(prepare, "prepare", self.prepare)
        self.end_ms = seconds * 1000
        self.events: list[tuple[int, str]] = []
        self.lines: list[str] = []
        self.connects: list[Exception | None] = []
        self.publishes: list[BaseException | int | None] = []
        self.waits: list[BaseException | None] = []
        self.clock_good: list[bool | None] = []
        self.distrust: list[bool] = []
        self.prepares: list[Exception | None] = []
        self.subscribes: list[Exception | None] = []
        self.incoming: list[tuple[int, bytes]] = []
        self.session = False
        self.deaf = False
        self.seq = 0
        self.dropped = 0
        self.pid = 0
        self.pids: list[int] = []
        self.published: list[str] = []
        self.links: list[dict[str, Any]] = []
        self.fed: list[int] = []
        self.pinged = False
        self.retained = False
        self.kept: dict[str, int] = {}
        self.cause: str | None = None
        self.root = ""
        self.transport = SimpleNamespace(name="alpn")
        self.endings: list[tuple[Any, ...]] = []
        monkeypatch.setattr(ending, "reset", lambda *args: self.endings.append(("reset", *args)))
        monkeypatch.setattr(ending, "deep_sleep", lambda *args: self.endings.append(("sleep", *args)))
        self.healthy = 0
        monkeypatch.setattr(start, "healthy", self.note_health)
        changes = {"commands": False, **changes}
        self.config = config.validate({"endpoint": "h", "client_id": "d", "password": "hunter2", **changes})

    def note_health(self) -> None:
        self.healthy += 1

    def note(self, what: str) -> None:
        self.events.append((self.ticks.now_ms, what))

    def when(self, what: str) -> list[int]:
        return [at for at, name in self.events if name == what]

    # a Client

    def set_callback(self, callback: Callable[[bytes, bytes], None]) -> None:
        self.callback = callback

    def connect(self) -> bool:
        self.note("connect")
        self.ticks.now_ms += 100
        if self.connects and (error := self.connects.pop(0)):
            raise error
        self.pids.clear()
        return self.session

    def subscribe(self, topic: str, qos: int) -> None:
        assert (topic, qos) == ("commands/d", 1)
        self.note("subscribe")
        if self.subscribes and (error := self.subscribes.pop(0)):
            raise error

    def next_pid(self) -> int:
        self.pid += 1
        return self.pid

    def take(self, topic: bytes, payload: bytes, pid: int, flags: int) -> None:
        assert topic.decode() == self.config.topic
        assert flags in (0, 8 if self.session else 0)
        json.loads(payload)
        self.published.append(payload.decode())
        self.pids.append(pid)
        self.note("publish")
        outcome = self.publishes.pop(0) if self.publishes else None
        if isinstance(outcome, BaseException):
            raise outcome
        self.ticks.now_ms += outcome or 0

    def flush(self) -> None:
        pass

    def keep_alive(self) -> int:
        return 60000

    def wait(self, ms: int) -> bool:
        assert 0 <= ms <= 1000
        if self.waits and (error := self.waits.pop(0)):
            raise error
        if self.incoming and self.incoming[0][0] <= self.ticks.now_ms:
            self.callback(b"commands/d", self.incoming.pop(0)[1])
            return True
        if self.pids and not self.deaf:
            self.on_puback(self.pids.pop(0))
            return True
        self.ticks.now_ms += ms
        return False

    def close(self) -> None:
        self.note("close")

    @property
    def packets(self) -> "World":
        return self

    def drop(self) -> None:
        self.note("drop")

    def disconnect(self) -> None:
        self.note("disconnect")

    # the rest

    def prepare(self, _: Any, sync: bool, sure: bool, distrust: bool) -> None:
        self.note("prepare")
        clock_good = sure if sync else None
        self.distrust.append(distrust)
        self.clock_good.append(clock_good)
        if self.prepares and (error := self.prepares.pop(0)):
            raise error

    def payload(self) -> str:
        self.seq += 1
        self.note("reading")
        self.links.append(self.link())
        return json.dumps({"seq": self.seq})

    def sleep_ms(self, ms: int) -> None:
        assert 0 < ms <= 1000
        self.ticks.now_ms += ms

    def stop(self) -> bool:
        return self.ticks.now_ms >= self.end_ms

    def run(self) -> "World":
        self.app = App(
            self.kept,
            config=self.config,
            client=self,
            outbox=Outbox("", 0, self.lines.append),
            readings=self,
            uptime=Uptime(lambda line: self.lines.append(line[12:]), self.ticks),
            stop=self.stop,
            feed=lambda: self.fed.append(self.ticks.now_ms),
            root=self.root,
            cause=self.cause,
        )
        self.app.run()
        return self


LOST = errors.ConnectionLost("connection lost (ECONNRESET)")
CLOSED = errors.ConnectionLost("the server closed the connection", closed=True)


def test_network_and_clock_come_before_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 1).run()
    assert [what for _, what in world.events[:4]] == ["prepare", "connect", "reading", "publish"]


def test_readings_do_not_drift(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 50, interval_s=10)
    world.publishes = [300, 200, 700, 100, 0]
    assert world.run().when("publish") == [100, 10000, 20000, 30000, 40000]


def test_readings_missed_are_not_made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 60, interval_s=10)
    world.publishes = [25000]
    assert world.run().when("publish") == [100, 25100, 35100, 45100, 55100]


def test_network_faults_wait_on_the_short_ladder(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 40)
    world.connects = [errors.ConnectFailed("no TCP connection")] * 3
    assert world.run().when("connect") == [0, 5100, 15200, 35300]


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
    world = World(monkeypatch, 20)
    world.publishes = [LOST, LOST]
    assert world.run().when("connect") == [0, 5100, 15200]


def test_a_close_after_a_stable_time_is_answered_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 300, interval_s=60)
    world.connects = [errors.ConnectFailed("x")] * 4
    world.publishes = [None, None, None, CLOSED]
    # Readings of 0 and 60 s are sent at 75 s, the one of 180 s meets the close: the ladder starts again.
    assert world.run().when("connect")[:6] == [0, 5100, 15200, 35300, 75400, 185_000]


def test_the_socket_is_closed_before_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 6, interval_s=60)
    world.publishes = [LOST]
    world.run()
    assert [what for _, what in world.events[:6]] == ["prepare", "connect", "reading", "publish", "close", "prepare"]


def test_the_clock_is_known_after_the_first_time_and_asked_again_after_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 6, interval_s=60)
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
    world = World(monkeypatch, 16)
    world.prepares = [errors.WifiError("no Wi-Fi"), errors.DnsError("no address")]
    world.run()
    assert world.clock_good == [False] * 3
    assert world.when("connect") == [15000]


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
    world.waits = [KeyboardInterrupt()]
    world.run()
    assert world.events[-1][1] == "disconnect"
    assert "stopped by Ctrl-C" in world.lines
    assert world.lines[-1] == "disconnected"
    assert len(world.when("publish")) == 1


def test_nothing_is_read_after_ctrl_c_which_may_have_come_between_the_bytes_of_a_packet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(monkeypatch, 100)
    world.waits = [KeyboardInterrupt(), errors.MalformedPacket("packet type 0x02")]
    world.run()
    assert world.lines[-2:] == ["stopped by Ctrl-C", "disconnected"]


def test_what_ctrl_c_left_half_done_does_not_spoil_the_goodbye(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 100)
    world.publishes = [KeyboardInterrupt()]
    world.run()
    assert world.events[-2:] == [(100, "drop"), (100, "disconnect")]


def test_readings_are_saved_whatever_fails_at_the_goodbye(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 1)
    saved: list[bool] = []
    monkeypatch.setattr(Outbox, "save", lambda _: saved.append(True))
    monkeypatch.setattr(world, "disconnect", lambda: 1 / 0)
    world.run()
    assert saved == [True]


def test_what_is_in_flight_at_an_ordered_end_has_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 1, interval_s=60)
    world.publishes = [1000]
    world.run()
    assert world.lines[-2].startswith("published")
    assert world.lines[-1] == "disconnected"


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
        uptime = Uptime(print, Wrapping())
        now[0] = 5000
        assert uptime.ms() == 10000
        now[0] = 15000
        assert uptime.ms() == 20000


# What is lost, and what is told of it.


def test_readings_go_on_while_the_link_is_down_and_are_sent_after(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 60, interval_s=10)
    world.connects = [errors.ConnectFailed("x")] * 3
    world.run()
    assert world.when("reading") == [100, 10000, 20000, 30000, 40000, 50000]
    assert world.published == [json.dumps({"seq": seq}) for seq in range(1, 7)]
    assert len([line for line in world.lines if line.startswith("kept")]) == 4


def test_a_reading_in_flight_when_the_link_breaks_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 20, interval_s=60)
    world.publishes = [LOST, LOST]
    world.run()
    assert world.published == ['{"seq": 1}'] * 3


def test_a_backlog_is_told_of_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 60, interval_s=10)
    world.connects = [errors.ConnectFailed("x")] * 3
    world.run()
    assert 'published {"seq": 4} and 3 older' in world.lines


def test_what_was_lost_and_why_the_board_started_is_in_the_next_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 20, interval_s=10, qos=1)
    world.cause = "watchdog"
    world.kept = {"dropped": 3, "expired": 2, "seq": 7, "refused": 1}
    world.dropped = 4
    world.run()
    counts = {"dropped": 3, "expired": 2, "refused": 1, "too_large": 4}
    assert world.links == [{**counts, "started": "watchdog"}, counts]
    assert world.published[0] == '{"seq": 8}'


# The watchdog.


def test_the_watchdog_is_fed_by_idle_seconds_readings_and_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 30, interval_s=20)
    world.connects = [errors.ConnectFailed("x")]
    world.run()
    assert max(b - a for a, b in itertools.pairwise([0, *world.fed, 30_000])) <= 1100


def test_the_watchdog_is_not_fed_while_an_answer_is_owed(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 14, interval_s=60)
    world.deaf = True
    world.run()
    assert world.fed[-1] == 100, "a PUBACK that does not come is no progress"
    world = World(monkeypatch, 14, interval_s=60)
    world.pinged = True
    world.run()
    assert world.fed[-1] == 100, "nor is a PINGRESP"


def test_a_puback_that_does_not_come_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 30, interval_s=60, timeout_s=10)
    world.deaf = True
    world.run()
    assert any(line.startswith("PeerVanished: no answer within 10 s: PUBACK") for line in world.lines)
    assert world.when("close")[0] == 10_100


@pytest.mark.parametrize(("connects", "seconds"), [([], 1), ([errors.ConnectFailed("x")] * 9, 7)])
def test_a_board_is_healthy_once_it_is_connected_or_waits(
    monkeypatch: pytest.MonkeyPatch, connects: list[Exception], seconds: int
) -> None:
    world = World(monkeypatch, seconds)
    world.connects = list(connects)
    assert world.run().healthy == 1


# Resets and deep sleep.


def test_a_chain_that_failed_so_often_resets_the_board(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 1000, reset_after=3)
    world.connects = [errors.ConnectFailed("no TCP connection")] * 9
    world.run()
    ((what, _, cause, counters, _),) = world.endings
    assert (what, counters["failures"], len(world.when("connect"))) == ("reset", 0, 3)
    assert cause.startswith("3 failures; ConnectFailed: no TCP connection")


@pytest.mark.parametrize(
    ("changes", "error"),
    [({"reset_after": 0}, errors.ConnectFailed("x")), ({"reset_after": 3}, errors.ClosedBeforeConnack("x"))],
)
def test_no_reset_where_it_is_off_or_the_server_refuses(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, int], error: Exception
) -> None:
    world = World(monkeypatch, 3000, **changes)
    world.connects = [error] * 9
    world.run()
    assert world.endings == []
    assert len(world.when("connect")) > 5


def test_a_success_begins_the_count_of_failures_again(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 200, reset_after=3, interval_s=60)
    failed = errors.ConnectFailed("x")
    world.connects = [failed, failed, None, failed]
    world.publishes = [LOST]
    assert world.run().endings == []


def test_wifi_is_distrusted_after_three_failures_in_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 200)
    world.connects = [errors.ConnectFailed("x")] * 4
    world.waits = []
    world.run()
    assert world.distrust == [False, False, False, True, True]


def test_deep_sleep_comes_when_all_is_acknowledged_and_lasts_to_the_next_reading(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(monkeypatch, 100, deep_sleep=True, interval_s=60)
    world.publishes = [700]
    world.run()
    ((what, ms, counters),) = world.endings
    # 100 ms to connect, 700 to publish, half a second for commands.
    assert (what, ms, counters["seq"]) == ("sleep", 60_000 - 1300, 1)
    assert world.events[-1][1] == "disconnect"


def test_a_command_that_waited_at_the_server_is_run_before_deep_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 100, deep_sleep=True, commands=True)
    world.incoming = [(0, b'{"command": "send_now"}')]
    world.run()
    assert world.published == ['{"seq": 1}', '{"seq": 2}']
    assert "command send_now" in world.lines


def test_deep_sleep_after_a_failure_keeps_the_reading_and_waits_as_long_as_the_error_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(monkeypatch, 500, deep_sleep=True, interval_s=10)
    world.connects = [errors.ClosedBeforeConnack("no")]
    world.kept = {"failures": 1}
    world.run()
    ((what, ms, counters),) = world.endings
    assert (what, counters["failures"], world.when("reading")) == ("sleep", 2, [100])
    assert ms == 60_000, "the second step of the ladder of refusals"


def test_a_restart_comes_after_the_puback_of_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 100, commands=True)
    world.incoming = [(0, b'{"command": "restart"}')]
    world.run()
    assert world.endings[0][:3] == ("reset", "", "command restart")
    assert world.events[-1][1] == "disconnect"


# Commands.


def test_commands_are_subscribed_to_once_a_session(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 100, commands=True, interval_s=60)
    world.publishes = [LOST, LOST, None]
    world.run()
    assert len(world.when("subscribe")) == len(world.when("connect")) == 3
    world = World(monkeypatch, 100, commands=True, interval_s=60)
    world.publishes = [LOST, LOST, None]
    world.session = True
    world.run()
    assert (len(world.when("subscribe")), len(world.when("connect"))) == (1, 3)


@pytest.mark.parametrize("error", [CLOSED, errors.SubscribeRefused("SUBACK refused the filter")])
def test_a_server_that_refuses_the_subscription_twice_is_asked_no_more(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    world = World(monkeypatch, 400, commands=True, interval_s=60)
    world.subscribes = [error, error]
    world.run()
    assert len(world.when("subscribe")) == 2
    assert any("no commands" in line for line in world.lines)
    assert world.published


def test_a_network_that_fails_at_the_subscription_twice_does_not_cost_the_commands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(monkeypatch, 400, commands=True, interval_s=60)
    world.subscribes = [LOST, LOST]
    world.run()
    assert len(world.when("subscribe")) == 3
    assert not any("no commands" in line for line in world.lines)


@pytest.mark.parametrize("message", [b"", b"\xff", b"[]", b'{"command": "no such"}', b"[" * 5000])
def test_a_command_that_is_refused_is_counted_and_the_board_goes_on(
    monkeypatch: pytest.MonkeyPatch, message: bytes
) -> None:
    world = World(monkeypatch, 25, commands=True, interval_s=10)
    world.incoming = [(0, message)]
    world.run()
    assert world.links[-1] == {"refused": 1}
    assert len(world.published) == 3


def test_a_retained_command_is_refused_since_it_would_come_at_each_start(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 25, commands=True, interval_s=10)
    world.incoming = [(0, b'{"command": "restart"}')]
    world.retained = True
    world.run()
    assert world.endings == []
    assert world.links[-1] == {"refused": 1}


def test_a_new_interval_counts_from_now_and_outlives_a_restart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    world = World(monkeypatch, 25, commands=True, interval_s=60)
    world.root = f"{tmp_path}/"
    world.incoming = [(0, b'{"command": "interval", "interval_s": 5}')]
    world.run()
    assert world.when("reading") == [100, 5100, 10100, 15100, 20100]
    assert state.load(f"{tmp_path}/state", pytest.fail) == {"interval_s": 5}


def test_a_report_is_a_message_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 5, commands=True)
    world.incoming = [(0, b'{"command": "report"}')]
    world.run()
    report = json.loads(world.published[-1])["report"]
    assert (report["transport"], report["interval_s"], report["seq"]) == ("alpn", 60, 1)
    assert "hunter2" not in world.published[-1]


# run(): from the file to the loop.


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands for RTC memory is a file in the working directory."""
    (tmp_path / "world").mkdir()
    monkeypatch.chdir(tmp_path / "world")


@pytest.mark.usefixtures("elsewhere")
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


@pytest.mark.usefixtures("elsewhere")
def test_wifi_on_a_board_without_it_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "network", None)
    (tmp_path / "config.json").write_text('{"endpoint": "h", "client_id": "d", "wifi": {"ssid": "x"}}')
    lines: list[str] = []
    assert app.run(root=f"{tmp_path}/", write=lines.append) is False
    assert "no module network" in lines[0]


def test_all_of_the_config_that_the_loop_reads_is_kept() -> None:
    read = {"port", "watchdog_s"}  # by Config itself, and by setup.finish
    for module in (app, orders, prepare, recovery):
        read.update(re.findall(r"\bconfig\.(?!json)(\w+)", Path(module.__file__ or "").read_text()))
    assert set(setup.KEPT.split(" ")) == read
    assert read & {"password", "token", "mqtt_username"} == set()
