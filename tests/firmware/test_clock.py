"""The clock: NTP first, else verified TLS over 443, never before the build date."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mqtt443 import clock, errors
from mqtt443._port import BUILD_DATE
from mqtt443.clock import http_date, set_clock

from tests.firmware.fakes import Wire

DAY = 86400
NOW = BUILD_DATE + 200 * DAY + 12345


class Board:
    """A board's clock, its NTP server, and an endpoint whose certificate is valid from a day on."""

    def __init__(self, ntp: int | Exception, valid_from: int = 0, valid_to: int = 1 << 40, answer: Any = None) -> None:
        self.time = 0
        self.sets: list[int] = []
        self.lines: list[str] = []
        self.asked: list[str] = []
        self.ntp = ntp
        self.valid = (valid_from, valid_to)
        self.answer = answer
        self.wires: list[Wire] = []

    def set(self, unix_s: int) -> None:
        assert unix_s >= BUILD_DATE, "never earlier than the build date"
        self.time = unix_s
        self.sets.append(unix_s)

    def ask(self, server: str) -> int:
        self.asked.append(server)
        if isinstance(self.ntp, Exception):
            raise self.ntp
        return self.ntp

    def connect(self) -> Wire:
        board = self

        class Tls(Wire):
            def write(self, data: bytes) -> None:
                if board.time < board.valid[0]:
                    raise errors.ClockError("not valid yet")
                if board.time > board.valid[1]:
                    raise errors.CertificateExpired("expired")
                super().write(data)

        wire = Tls([date_answer(NOW) if self.answer is None else self.answer])
        self.wires.append(wire)
        return wire

    def run(self, server: str = "ntp.example", **changes: Any) -> None:
        set_clock(
            server, "h.example", self.connect, self.lines.append,
            now=lambda: self.time, set_rtc=self.set, ntp=self.ask, **changes,
        )  # fmt: skip


def date_answer(unix_s: int) -> bytes:
    date = datetime.fromtimestamp(unix_s, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    return f"HTTP/1.1 403 Forbidden\r\nDate: {date}\r\n\r\n".encode()


def test_ntp_sets_the_clock() -> None:
    board = Board(NOW)
    board.run()
    assert board.sets == [NOW]
    assert board.asked == ["ntp.example"]
    assert board.wires == []


@pytest.mark.parametrize("answer", [0, BUILD_DATE - 1, BUILD_DATE + 631_152_000, 1 << 40])
def test_ntp_time_beyond_the_life_of_this_release_is_not_taken(answer: int) -> None:
    board = Board(answer)
    board.run()
    assert board.time == NOW
    assert "out of range" in board.lines[0]


def test_without_ntp_the_date_comes_from_a_verified_connection() -> None:
    board = Board(OSError("timeout"), valid_from=BUILD_DATE + 100 * DAY)
    board.run()
    assert board.sets == [BUILD_DATE + n * 30 * DAY for n in range(5)] + [NOW]
    assert all(wire.closed == 1 for wire in board.wires)
    assert board.wires[-1].writes == [b"GET / HTTP/1.1\r\nHost: h.example\r\nConnection: close\r\n\r\n"]


def test_ntp_answer_of_any_bytes_is_no_time() -> None:
    board = Board(ValueError("buffer too small"))
    board.run()
    assert board.time == NOW
    assert "buffer too small" in board.lines[0]


def test_no_ntp_server_asks_none() -> None:
    board = Board(NOW)
    board.run(server="")
    assert board.asked == []
    assert board.time == NOW


def test_known_time_survives_a_silent_ntp_server() -> None:
    board = Board(OSError("timeout"))
    board.time = NOW
    board.run(sure=True)
    assert (board.sets, board.wires) == ([], [])


def test_time_that_is_not_trusted_does_not() -> None:
    board = Board(OSError("timeout"))
    board.time = NOW + 999
    board.run()
    assert board.time == NOW


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nDate: yesterday\r\n\r\n",
        date_answer(BUILD_DATE - 1),
        b"\x20\x02\0\0" * 600,
        errors.ConnectionLost("closed", closed=True),
        errors.timeout_error(errors.Timeout, "x", 1),
    ],
)
def test_endpoint_without_a_date_is_a_clock_error(answer: Any) -> None:
    board = Board(OSError("timeout"), answer=answer)
    with pytest.raises(errors.ClockError, match=r"neither from NTP nor from h\.example"):
        board.run()
    assert board.time == BUILD_DATE


def test_search_ends_at_an_expired_certificate() -> None:
    board = Board(OSError("timeout"), valid_from=BUILD_DATE + 40 * DAY, valid_to=BUILD_DATE + 41 * DAY)
    with pytest.raises(errors.ClockError):
        board.run()
    assert len(board.wires) == 3


def test_search_is_bounded() -> None:
    board = Board(OSError("timeout"), valid_from=1 << 41)
    with pytest.raises(errors.ClockError):
        board.run()
    assert len(board.wires) == clock._STEPS


@pytest.mark.parametrize("kind", ["WrongCa", "HandshakeTimeout", "ConnectFailed"])
def test_other_errors_are_not_converted(kind: str) -> None:
    error = getattr(errors, kind)("x")

    def connect() -> Wire:
        raise error

    board = Board(OSError("timeout"))
    board.connect = connect  # type: ignore[method-assign]
    with pytest.raises(getattr(errors, kind)):
        board.run()
    assert board.time == BUILD_DATE


def test_host_s_clock_is_only_looked_at() -> None:
    lines: list[str] = []
    set_clock("ntp.example", "h", pytest.fail, lines.append, now=lambda: BUILD_DATE, set_rtc=None)
    with pytest.raises(errors.ClockError, match="host"):
        set_clock("ntp.example", "h", pytest.fail, lines.append, now=lambda: BUILD_DATE - 1, set_rtc=None)
    assert lines == []


def test_doubted_clock_believes_the_endpoint_before_ntp() -> None:
    board = Board(NOW + 9 * 365 * DAY)
    board.run(doubted=True)
    assert (board.time, board.asked) == (NOW, [])


def test_doubted_clock_is_set_from_ntp_if_the_endpoint_cannot_tell() -> None:
    board = Board(NOW, valid_to=BUILD_DATE - 1)
    board.run(doubted=True)
    assert (board.time, board.asked) == (NOW, ["ntp.example"])


@pytest.mark.parametrize("date", [BUILD_DATE - 1, BUILD_DATE + 20 * 366 * DAY])
def test_date_of_the_endpoint_beyond_the_life_of_this_release_is_not_taken(date: int) -> None:
    board = Board(OSError("timeout"), answer=date_answer(date))
    with pytest.raises(errors.ClockError):
        board.run()
    assert board.time == BUILD_DATE


def test_build_date_is_a_day_that_was() -> None:
    day = datetime.fromtimestamp(BUILD_DATE, UTC)
    assert (day.hour, day.minute, day.second) == (0, 0, 0)
    assert day.year >= 2026
    assert day < datetime.now(UTC)


@given(st.datetimes(datetime(1970, 1, 1), datetime(2099, 12, 31)))
def test_http_dates_are_unix_seconds(moment: datetime) -> None:
    moment = moment.replace(microsecond=0, tzinfo=UTC)
    assert http_date(moment.strftime("%a, %d %b %Y %H:%M:%S GMT")) == int(moment.timestamp())


@given(
    st.text(max_size=40)
    | st.from_regex(r"Sun, \d\d (anF|Nov|November) \d{2,4} \d\d:\d\d(:\d\d)? (GMT|CET)", fullmatch=True)
)
def test_any_other_date_is_a_protocol_error(text: str) -> None:
    try:
        http_date(text)
    except errors.ProtocolError:
        return
    assert text.endswith(" GMT")
