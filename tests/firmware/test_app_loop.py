"""The main loop: order, intervals, what follows each error, and how it ends."""

import pytest
from mqtt443 import errors
from mqtt443.app import Uptime
from mqtt443.outbox import Outbox

from tests.firmware.app_world import CLOSED, LOST, World
from tests.firmware.fakes import Ticks


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


def test_server_that_accepts_and_then_kicks_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 100)
    world.publishes = [CLOSED, CLOSED]
    assert world.run().when("connect") == [0, 30100, 90200]


def test_broken_link_soon_after_the_start_is_a_network_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 20)
    world.publishes = [LOST, LOST]
    assert world.run().when("connect") == [0, 5100, 15200]


# Reason code of DISCONNECT (MQTT 5) and whether it would most likely come again, as `mqtt5` finds it.
@pytest.mark.parametrize(("code", "is_refusal", "connects"), [(0x87, True, [0, 30100]), (0x8B, False, [0, 5100])])
def test_reason_of_a_disconnect_picks_the_ladder(
    monkeypatch: pytest.MonkeyPatch, code: int, is_refusal: bool, connects: list[int]
) -> None:
    world = World(monkeypatch, 40)
    world.publishes = [errors.ConnectionLost("the server disconnected", code=code, is_refusal=is_refusal)]
    assert world.run().when("connect") == connects


def test_close_after_a_stable_time_is_answered_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 300, interval_s=60)
    world.connects = [errors.ConnectFailed("x")] * 4
    world.publishes = [None, None, None, CLOSED]
    # Readings of 0 and 60 s are sent at 75 s, the one of 180 s meets the close: the ladder starts again.
    assert world.run().when("connect")[:6] == [0, 5100, 15200, 35300, 75400, 185_000]


def test_socket_is_closed_before_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 6, interval_s=60)
    world.publishes = [LOST]
    world.run()
    assert [what for _, what in world.events[:6]] == ["prepare", "connect", "reading", "publish", "close", "prepare"]


def test_clock_is_set_once_and_checked_daily(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 6, interval_s=60)
    world.waits = [LOST]
    world.run()
    assert world.clock_ok == [False, "not set"]
    world = World(monkeypatch, 86400 + 200, interval_s=86400)
    world.waits = [None] * 86401 + [LOST]
    world.run()
    assert world.clock_ok == [False, True]


@pytest.mark.parametrize("kind", ["ClockError", "CertificateExpired"])
def test_certificate_that_doubts_the_clock_is_passed_on(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    world = World(monkeypatch, 40)
    world.connects = [getattr(errors, kind)("not valid")]
    assert world.run().clock_ok == [False, None]


def test_no_network_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 16)
    world.prepares = [errors.WifiError("no Wi-Fi"), errors.DnsError("no address")]
    world.run()
    assert world.clock_ok == [False] * 3
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


def test_ctrl_c_inside_a_packet_ends_all_reading(
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
    assert world.events[-2:] == [(100, "discard"), (100, "disconnect")]


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


def test_goodbye_that_fails_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
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

    uptime = Uptime(print, Wrapping())
    now[0] = 5000
    assert uptime.ms() == 10000
    now[0] = 15000
    assert uptime.ms() == 20000
