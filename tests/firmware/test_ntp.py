"""The NTP query, against a real server on loopback: a bad answer is refused, a forged one ignored."""

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from mqtt443._port import BUILD_DATE
from mqtt443_tools.virtualboard.ntp_server import UNIX_EPOCH, NtpServer, now

from tests.firmware.micropython import run
from tests.support.board import interpreters

NOW = BUILD_DATE + 100_000_000
PROGRAM = """
from mqtt443.clock import ntp
try:
    print(ntp("127.0.0.1", %d))
except OSError as e:
    print("silence")
except ValueError as e:
    print("refused:", e)
"""


def ask(name: str, folder: Path, answer: Callable[[bytes], bytes | None]) -> str:
    """Return what the board says of the server's answer."""
    with NtpServer(answer) as server:
        return run(interpreters.need(name), folder, PROGRAM % server.port).strip()


def good(query: bytes, unix_s: float = NOW) -> bytes:
    answer = now(query, unix_s)
    assert answer is not None
    return answer


def changed(at: int, data: bytes) -> Callable[[bytes], bytes]:
    """Return a server whose answer is right but for the bytes at `at`."""
    return lambda query: good(query)[:at] + data + good(query)[at + len(data) :]


REFUSED: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "mode client": (changed(0, b"\x23"), "mode 3"),
    "mode broadcast": (changed(0, b"\x25"), "mode 5"),
    "version 0": (changed(0, b"\x04"), "version 0"),
    "version 7": (changed(0, b"\x3c"), "version 7"),
    "not synchronized": (changed(0, b"\xe4"), "not set"),
    "stratum 16": (changed(1, b"\x10"), "not set"),
    "kiss-o'-death": (lambda query: b"\xe4\0\6\xec" + bytes(8) + b"RATE" + bytes(8) + query[40:] + bytes(16), "RATE"),
    "no time": (changed(40, bytes(8)), "without a time"),
    "before this release": (lambda query: good(query, BUILD_DATE - 1), "out of range"),
    "in 2099": (lambda query: good(query, 4_083_264_000), "out of range"),
    "20 years after this release": (lambda query: good(query, BUILD_DATE + 631_152_000), "out of range"),
}
IGNORED: dict[str, Callable[[bytes], bytes | None]] = {
    "nothing": lambda _: None,
    "empty": lambda _: b"\0",
    "zeros": lambda _: bytes(48),
    "short": lambda query: good(query)[:47],
    "another query's": changed(24, bytes(8)),
    "one bit off": lambda query: good(query[:47] + bytes((query[47] ^ 1,))),
}


def test_query_is_that_of_a_client_and_never_the_same() -> None:
    queries: list[bytes] = []

    def answer(query: bytes) -> bytes:
        queries.append(query)
        return good(query)

    from mqtt443 import clock

    with NtpServer(answer) as server:
        assert [clock.ntp("127.0.0.1", server.port) for _ in range(3)] == [NOW] * 3
    assert {query[:40] for query in queries} == {b"\x23" + bytes(39)}
    assert len({query[40:] for query in queries}) == 3


@pytest.mark.parametrize("name", interpreters.MICROPYTHON)
def test_good_answer_is_the_time(tmp_path: Path, name: str) -> None:
    assert ask(name, tmp_path, good) == str(NOW)


@pytest.mark.parametrize("name", ["alpn32", "stock"])
def test_time_after_2036_is_of_the_next_era(tmp_path: Path, name: str) -> None:
    later = 2_100_000_000
    assert later + UNIX_EPOCH > 1 << 32
    assert ask(name, tmp_path, lambda query: good(query, later)) == str(later)


@pytest.mark.parametrize("case", REFUSED)
def test_bad_answer_is_refused_at_once(tmp_path: Path, case: str) -> None:
    answer, words = REFUSED[case]
    asked: list[bytes] = []

    def once(query: bytes) -> bytes:
        asked.append(query)
        return answer(query)

    said = ask("alpn32", tmp_path, once)
    assert said.startswith("refused: ")
    assert words in said
    assert len(asked) == 1  # a server that says no is not asked again (RFC 5905 section 7.4)


@pytest.mark.parametrize("case", IGNORED)
def test_answer_to_something_else_is_silence(tmp_path: Path, case: str) -> None:
    asked: list[bytes] = []

    def answer(query: bytes) -> bytes | None:
        asked.append(query)
        return IGNORED[case](query)

    assert ask("alpn32", tmp_path, answer) == "silence"
    assert len(asked) == 3


def test_forged_answers_do_not_hide_the_right_one(tmp_path: Path) -> None:
    flood = struct.Struct("!48s")

    def answer(query: bytes) -> bytes:
        return good(query)

    class Forger(NtpServer):
        """Sends a forged answer before each right one."""

        def _serve(self) -> None:
            while True:
                query, sender = self._socket.recvfrom(1024)
                if not query:
                    return
                for _ in range(20):
                    self._socket.sendto(flood.pack(good(bytes(48), NOW + 5)), sender)
                self._socket.sendto(answer(query), sender)

    with Forger() as server:
        assert run(interpreters.need("alpn32"), tmp_path, PROGRAM % server.port).strip() == str(NOW)
