"""The relay injects the requested fault at the requested byte or record, and nothing else."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.mqtt.relay import Fault, Relay, Treatment
from tests.support.mqtt.tls_records import Meter

WAIT_S = 10.0


class Echo:
    """An endpoint that echoes its input; `got` is all of it, `ends` how each connection ended."""

    def __init__(self) -> None:
        self.got = b""
        self.ends: list[str] = []
        self.ended = threading.Condition()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection:
                if not self._serve(connection):
                    return

    def _serve(self, connection: socket.socket) -> bool:
        """Returns False once told to stop."""
        connection.settimeout(WAIT_S)
        end = "FIN"
        try:
            while data := connection.recv(65536):
                if data == b"stop":
                    return False
                self.got += data
                connection.sendall(data)
        except OSError as error:
            end = type(error).__name__
        with self.ended:
            self.ends.append(end)
            self.ended.notify_all()
        return True

    def next_end(self) -> str:
        with self.ended:
            assert self.ended.wait_for(lambda: self.ends, WAIT_S), "the endpoint's connection did not end"
            return self.ends.pop(0)

    def stop(self) -> None:
        with socket.create_connection(("127.0.0.1", self.port)) as last:
            last.sendall(b"stop")
            self._thread.join(WAIT_S)
        self._listener.close()


@pytest.fixture
def echo() -> Iterator[Echo]:
    endpoint = Echo()
    yield endpoint
    endpoint.stop()


@contextlib.contextmanager
def through(echo: Echo, fault: Fault | None = None, **more: object) -> Iterator[tuple[Relay, socket.socket]]:
    """A connection through a relay with this treatment."""
    with Relay(echo.port, lambda _: Treatment(fault, **more)) as relay:  # type: ignore[arg-type]
        client = socket.create_connection(("127.0.0.1", relay.port))
        client.settimeout(WAIT_S)
        with client:
            yield relay, client


def read_all(client: socket.socket) -> tuple[bytes, str]:
    """All input, and how it ends."""
    got = b""
    try:
        while data := client.recv(65536):
            got += data
    except OSError as error:
        return got, type(error).__name__
    return got, "FIN"


def read_exactly(client: socket.socket, count: int) -> bytes:
    got = b""
    while len(got) < count:
        got += client.recv(count - len(got))
    return got


def test_without_a_fault_every_byte_passes_and_the_end_too(echo: Echo) -> None:
    data = bytes(range(256)) * 1000
    with through(echo) as (relay, client):

        def send() -> None:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        assert read_all(client) == (data, "FIN")
        sender.join(WAIT_S)
        assert echo.next_end() == "FIN"
        passage = relay.passages[0]
    assert (passage.up.bytes, passage.down.bytes, relay.harmed) == (len(data), len(data), 0)


@pytest.mark.parametrize("count", [0, 1, 57, 100])
def test_reset_upwards_lets_exactly_n_bytes_through(echo: Echo, count: int) -> None:
    with through(echo, Fault("reset", "up", count)) as (relay, client):
        try:
            client.sendall(b"x" * 100)
            got, end = read_all(client)
        except ConnectionResetError as error:  # it came before the first byte went
            got, end = b"", type(error).__name__
        assert end == "ConnectionResetError"
        assert echo.next_end() in {"FIN", "ConnectionResetError"}
        assert relay.passages[0].up.bytes == count
    assert len(echo.got) <= count
    assert len(got) <= count


@pytest.mark.parametrize("count", [1, 57, 100])
def test_reset_downwards_comes_after_everything_went_up(echo: Echo, count: int) -> None:
    with through(echo, Fault("reset", "down", count)) as (relay, client):
        client.sendall(b"x" * 100)
        assert read_all(client)[1] == "ConnectionResetError"
        assert (relay.passages[0].up.bytes, relay.passages[0].down.bytes) == (100, count)
    assert len(echo.got) == 100


def test_close_is_an_orderly_end_for_both(echo: Echo) -> None:
    with through(echo, Fault("close", "down", 4)) as (_, client):
        client.sendall(b"12345678")
        assert read_all(client) == (b"1234", "FIN")
        echo.next_end()


def test_black_hole_closes_neither_side(echo: Echo) -> None:
    with through(echo, Fault("silence", "up", 5)) as (relay, client):
        client.sendall(b"12345678")
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.sendall(b"more")  # the network takes it and loses it
        client.close()
        assert not echo.ends, "the endpoint learnt that the client left"
        assert relay.passages[0].open
    assert echo.got == b"12345"


def test_deaf_link_still_carries_upwards(echo: Echo) -> None:
    with through(echo, Fault("deafen", "down", 3)) as (_, client):
        client.sendall(b"1234")
        assert read_exactly(client, 3) == b"123"
        client.sendall(b"5678")
        client.shutdown(socket.SHUT_WR)
        assert echo.next_end() == "FIN"
    assert echo.got == b"12345678"


def test_stalled_link_resumes(echo: Echo) -> None:
    with through(echo, Fault("stall", "up", 4, seconds=0.3)) as (relay, client):
        began = time.monotonic()
        client.sendall(b"12345678")
        assert read_exactly(client, 8) == b"12345678"
        assert time.monotonic() - began >= 0.3
        assert relay.harmed == 1


def test_one_byte_at_a_time_is_all_of_them(echo: Echo) -> None:
    with through(echo, piece_bytes=1) as (_, client):
        client.sendall(bytes(range(200)))
        assert read_exactly(client, 200) == bytes(range(200))


def test_pipelined_requests_pay_one_round_trip(echo: Echo) -> None:
    with through(echo, rtt_s=0.2) as (_, client):
        began = time.monotonic()
        for _ in range(20):
            client.sendall(b"x")
        assert read_exactly(client, 20) == b"x" * 20
        assert 0.2 <= time.monotonic() - began < 20 * 0.2
        client.shutdown(socket.SHUT_WR)
        assert read_all(client) == (b"", "FIN")


def test_all_connections_can_be_reset_at_once(echo: Echo) -> None:
    with through(echo) as (relay, client):
        client.sendall(b"x")
        client.recv(1)
        assert relay.strike("reset") == 1
        assert read_all(client)[1] == "ConnectionResetError"
        assert echo.next_end() == "ConnectionResetError"
        assert relay.strike("reset") == 0


def test_all_connections_can_fall_silent_at_once(echo: Echo) -> None:
    with through(echo) as (relay, client):
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        assert relay.strike("silence") == 1
        client.sendall(b"y")
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.recv(1)
    assert echo.got == b"x"


def test_closed_port_is_a_reset_and_the_relay_continues(echo: Echo) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with Relay(port) as relay:
        for _ in range(2):
            with socket.create_connection(("127.0.0.1", relay.port)) as client:
                client.settimeout(WAIT_S)
                assert read_all(client)[1] == "ConnectionResetError"
    assert len(relay.passages) == 2


def test_questions_and_answers_are_counted(echo: Echo) -> None:
    with through(echo) as (relay, client):
        for _ in range(3):
            client.sendall(b"a")
            client.recv(1)
        assert relay.passages[0].turns == 3


def record(kind: int, size: int) -> bytes:
    return bytes([kind, 3, 3]) + size.to_bytes(2, "big") + bytes(size)


def test_close_waits_for_the_last_byte_of_the_second_data_record(echo: Echo) -> None:
    flight = record(22, 50) + record(20, 1) + record(23, 20) + record(23, 30)
    with through(echo, Fault("close", "down", 2, "data_records")) as (relay, client):
        client.sendall(flight + record(23, 40))
        assert read_all(client) == (flight, "FIN")
        assert relay.passages[0].down.sizes == [25, 35]
        echo.next_end()


@settings(max_examples=200)
@given(
    records=st.lists(st.tuples(st.sampled_from([20, 21, 22, 23]), st.integers(0, 300)), max_size=8),
    cuts=st.lists(st.integers(1, 200), max_size=20),
)
def test_records_are_counted_however_they_are_cut(records: list[tuple[int, int]], cuts: list[int]) -> None:
    data = b"".join(record(kind, size) for kind, size in records)
    meter, at = Meter(), 0
    for cut in [*cuts, len(data)]:
        at += meter.take(data[at : at + cut])
    assert at == len(data) == meter.bytes
    assert meter.records == len(records)
    assert meter.sizes == [size + 5 for kind, size in records if kind == 23]
    assert meter.data_records == len(meter.sizes)


@given(limit=st.integers(0, 6), sizes=st.lists(st.integers(0, 50), min_size=1, max_size=6))
def test_counting_stops_behind_the_record_asked_for(limit: int, sizes: list[int]) -> None:
    data = b"".join(record(23, size) for size in sizes)
    expected = sum(size + 5 for size in sizes[:limit])
    assert Meter().take(data, "data_records", limit) == expected
