"""Streams over scripted channels: deadlines, partial writes, and each socket error by its name."""

import errno
import socket
import ssl
from collections.abc import Callable
from typing import Any

import pytest
from mqtt443 import errors, tls_errors
from mqtt443.connection import connect_tcp
from mqtt443.stream import Stream

from tests.firmware.fakes import Line, Ticks
from tests.support.board import package as board  # noqa: F401 (its esp32)

READ, WRITE = 1, 4


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


def opened(line: Line, *, ticks: Callable[[], int], handshaking: bool = False, timeout_ms: int = 15000) -> Stream:
    made = Stream(line, "host.example", handshaking, ticks)
    made.deadline(timeout_ms, "PUBACK")
    return made


def test_write_sends_all_in_one_piece_if_it_fits(ticks: Ticks) -> None:
    line = Line()
    opened(line, ticks=ticks).send(b"0123456789", 2, 7)
    assert line.writes == [b"23456"]


def test_write_continues_after_a_partial_write_and_a_full_buffer(ticks: Ticks) -> None:
    line = Line(room=[3, None, 4])
    opened(line, ticks=ticks).write(b"0123456789")
    assert line.writes == [b"012", b"3456", b"789"]
    assert [event for event, _ in line.waits] == [WRITE]


def test_read_waits_for_exactly_n_bytes(ticks: Ticks) -> None:
    line = Line([b"ab", None, b"cde"])
    assert opened(line, ticks=ticks).read(4) == b"abcd"
    assert line.waits == [(READ, 15000)]


def test_stream_that_does_not_block_says_none(ticks: Ticks) -> None:
    made = opened(Line([None, b"x"]), ticks=ticks)
    made.setblocking(False)
    view = memoryview(bytearray(4))
    assert made.readinto(view) is None
    assert made.readinto(view) == 1


def test_silence_is_a_timeout_that_names_the_phase() -> None:
    clock = Ticks(step_ms=4000)
    with pytest.raises(errors.Timeout) as info:
        opened(Line([None] * 100), ticks=clock).read(1)
    assert info.value.phase == "PUBACK"
    assert "15 s: PUBACK" in str(info.value)


def test_one_byte_at_a_time_does_not_put_the_deadline_off() -> None:
    clock = Ticks(step_ms=1000)
    with pytest.raises(errors.Timeout):
        opened(Line([b"x"] * 100), ticks=clock).read(100)


def test_writer_that_is_never_let_in_times_out() -> None:
    clock = Ticks(step_ms=4000)
    with pytest.raises(errors.Timeout):
        opened(Line(room=[None] * 100), ticks=clock).write(b"x")


def test_silence_in_the_handshake_is_its_own_error() -> None:
    clock = Ticks(step_ms=4000)
    with pytest.raises(errors.HandshakeTimeout, match=r"host\.example"):
        opened(Line(room=[None] * 100), handshaking=True, ticks=clock).write(b"x")


def test_first_whole_write_ends_the_handshake(ticks: Ticks) -> None:
    made = opened(Line(), handshaking=True, ticks=ticks)
    with pytest.raises(errors.TlsError):
        made.tls_socket()
    made.write(b"x")
    assert made.tls_socket() is not None


def test_end_of_the_stream_is_an_orderly_close(ticks: Ticks) -> None:
    with pytest.raises(errors.ConnectionLost) as info:
        opened(Line([b""]), ticks=ticks).read(1)
    assert info.value.closed


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("name", ["ECONNRESET", "EPIPE", "ENOTCONN", "ETIMEDOUT"])
def test_broken_connection_is_named_whatever_the_sign(ticks: Ticks, name: str, sign: int) -> None:
    broken = OSError(sign * getattr(errno, name))
    for line in (Line([broken]), Line(room=[broken])):
        with pytest.raises(errors.ConnectionLost, match=name) as info:
            made = opened(line, ticks=ticks)
            made.write(b"x")
            made.read(1)
        assert not info.value.closed


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM),
        OSError(-0x7F00, "MBEDTLS_ERR_SSL_ALLOC_FAILED"),
        OSError(-17168),  # RSA public key operation, and no memory (peers.md 15)
        OSError(-0x2880),
        OSError(-0x10 - 0x4280),
    ],
)
def test_no_memory_for_tls_is_named_with_the_heap(ticks: Ticks, error: Exception) -> None:
    with pytest.raises(errors.OutOfMemory, match="IDF heap"):  # the esp32 of the virtual board answers
        opened(Line(room=[error]), handshaking=True, ticks=ticks).write(b"x")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        # MicroPython 1.26 (mbedTLS 2.28, 3.6)
        ("\nThe certificate is not correctly signed by the trusted CA\n", errors.WrongCa),
        ("\nThe certificate Common Name (CN) does not match with the expected CN\n", errors.WrongHost),
        ("\nThe certificate validity has expired\n", errors.CertificateExpired),
        ("\nThe certificate validity starts in the future\n", errors.ClockError),
        ("The certificate validity starts in the future\nThe certificate is not correctly signed", errors.ClockError),
        # CPython (OpenSSL 3)
        ("certificate verify failed: unable to get local issuer certificate (_ssl.c:1000)", errors.WrongCa),
        ("certificate verify failed: self-signed certificate in certificate chain", errors.WrongCa),
        ("certificate verify failed: Hostname mismatch, certificate is not valid for 'x'.", errors.WrongHost),
        ("certificate verify failed: IP address mismatch, certificate is not valid for '::1'.", errors.WrongHost),
        ("certificate verify failed: certificate has expired", errors.CertificateExpired),
        ("certificate verify failed: certificate is not yet valid", errors.ClockError),
        ("The certificate usage is wrong", errors.CertificateError),
    ],
)
def test_certificate_is_refused_by_name(ticks: Ticks, text: str, kind: type[Exception]) -> None:
    with pytest.raises(errors.Mqtt443Error) as info:
        opened(Line(room=[ValueError(text)]), handshaking=True, ticks=ticks).write(b"x")
    assert type(info.value) is kind
    assert "the clock says 20" in str(info.value)
    assert "\n" not in str(info.value)


def test_refused_alpn_is_named() -> None:
    error = ssl.SSLError(1, "[SSL: TLSV1_ALERT_NO_APPLICATION_PROTOCOL] tlsv1 alert no application protocol")
    assert isinstance(tls_errors.fault(error, "h", True), errors.NoAlpn)


def test_any_other_handshake_failure_is_a_tls_error() -> None:
    for error in (OSError(-0x7780, "MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE"), OSError(errno.ECONNRESET)):
        found = tls_errors.fault(error, "host.example", True)
        assert type(found) is errors.TlsError
        assert "host.example" in str(found)


@pytest.mark.parametrize(
    "error",
    [
        OSError(-0x7280, "MBEDTLS_ERR_SSL_CONN_EOF"),
        OSError(-0x7880),
        OSError(errno.ECONNRESET),
        OSError(-errno.EPIPE),
        ssl.SSLEOFError(8, "EOF occurred in violation of protocol"),
        None,
    ],
)
def test_peer_that_closes_in_the_handshake_is_said_first_with_the_heap(error: Exception | None) -> None:
    text = str(tls_errors.fault(error, "host.example", True))
    assert text.startswith("host.example closed the connection in the TLS handshake (")
    assert "too slow for it, it is overloaded, or its certificate is too large for the free memory (" in text
    assert text.index("IDF heap") < text.index("SNI")


class Net:
    """A `socket` module: addresses, and what connecting to each does."""

    SOCK_STREAM = socket.SOCK_STREAM

    def __init__(self, outcomes: dict[str, Exception | None]) -> None:
        self.outcomes = outcomes
        self.timeouts: list[float] = []
        self.closed: list[str] = []

    def getaddrinfo(self, _: str, port: int, family: int, kind: int) -> list[Any]:
        if not self.outcomes:
            raise OSError(-2, "Name or service not known")
        return [(family, kind, 6, "", (address, port)) for address in self.outcomes]

    def socket(self, *_: int) -> "Net.Sock":
        return Net.Sock(self)

    class Sock:
        def __init__(self, net: "Net") -> None:
            self.net = net
            self.address = ""

        def settimeout(self, seconds: float) -> None:
            self.net.timeouts.append(seconds)

        def connect(self, address: tuple[str, int]) -> None:
            self.address = address[0]
            outcome = self.net.outcomes[address[0]]
            if outcome:
                raise outcome

        def close(self) -> None:
            self.net.closed.append(self.address)


def test_each_address_is_tried_within_one_deadline() -> None:
    net = Net({"::1": OSError(errno.ECONNREFUSED), "127.0.0.1": None})
    sock = connect_tcp("h", 443, 10000, net, Ticks(step_ms=1000))
    assert sock.address == "127.0.0.1"
    assert net.timeouts == [4.5, 8.0], "half of what is left, then the rest"
    assert net.closed == ["::1"]


def test_no_connection_names_the_reason() -> None:
    net = Net({"127.0.0.1": OSError(errno.ECONNREFUSED)})
    with pytest.raises(errors.ConnectFailed, match=r"h:443 \(ECONNREFUSED\)"):
        connect_tcp("h", 443, 10000, net)
    assert net.closed == ["127.0.0.1"]


def test_no_address_is_a_dns_error() -> None:
    with pytest.raises(errors.DnsError, match=r"nowhere\.example"):
        connect_tcp("nowhere.example", 443, 10000, Net({}))
