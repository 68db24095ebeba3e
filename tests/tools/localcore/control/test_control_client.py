"""Cutting a live connection through the control channel, against a small server of the test's own."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from mqtt443_authorizer.device import MAX_CLIENT_ID_BYTES
from mqtt443_tools.localcore.control.control_client import ControlClient, ControlError, disconnect_live
from mqtt443_tools.localcore.settings import Settings


@contextmanager
def control_server(state: Path, answer: Any, hold: threading.Event | None = None) -> Iterator[list[Any]]:
    """Serve one request on the control channel; lends the list that the request is put into."""
    requests = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        port = listener.getsockname()[1]

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as lines:
                requests.append(json.loads(lines.readline()))
                for part in answer:
                    connection.sendall(part)
                if hold is not None:
                    hold.wait(20)

        thread = threading.Thread(target=serve)
        thread.start()
        (state / "control.json").write_text(json.dumps({"port": port, "token": "t0ken", "pid": 1}))
        try:
            yield requests
        finally:
            if hold is not None:
                hold.set()
            thread.join(20)


@pytest.mark.parametrize(
    "answer", [[b'{"disconnected": true}\n'], [b'{"disconn', b'ected": true}\n'], [b'{"disconnected": true}']]
)
def test_live_connection_is_cut(tmp_path: Path, answer: Any) -> None:
    with control_server(tmp_path, answer) as requests:
        assert disconnect_live(tmp_path, "sensor-1") is True
    assert requests == [{"token": "t0ken", "op": "disconnect", "client_id": "sensor-1"}]


def test_device_without_a_connection_is_recognized(tmp_path: Path) -> None:
    with control_server(tmp_path, [b'{"disconnected": false}\n']):
        assert disconnect_live(tmp_path, "sensor-1") is False


def test_list_of_the_most_clients_with_the_longest_names_fits(tmp_path: Path) -> None:
    clients = ["\u0001" * MAX_CLIENT_ID_BYTES] * Settings.max_connections
    with (
        control_server(tmp_path, [json.dumps({"clients": clients}).encode() + b"\n"]),
        ControlClient(tmp_path) as control,
    ):
        assert len(control.clients()) == len(clients)


def test_without_an_endpoint_nothing_is_connected(tmp_path: Path) -> None:
    assert disconnect_live(tmp_path, "sensor-1") is False


def test_file_of_an_endpoint_that_crashed_means_the_same(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    (tmp_path / "control.json").write_text(json.dumps({"port": port, "token": "t0ken", "pid": 1}))
    assert disconnect_live(tmp_path, "sensor-1") is False


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ([], "not JSON"),
        ([b"[]\n"], "not a JSON object"),
        ([b"{}\n"], "did not carry out the request"),
        ([b'{"error": "wrong token"}\n'], "wrong token"),
        ([b'{"disconnected": 1}\n'], "did not carry out the request"),
        ([b"x" * 5000], "not JSON"),
    ],
)
def test_endpoint_that_does_not_confirm_is_an_error(tmp_path: Path, answer: Any, message: str) -> None:
    with control_server(tmp_path, answer), pytest.raises(ControlError, match=message):
        disconnect_live(tmp_path, "sensor-1")


@pytest.mark.parametrize(
    ("answer", "times"),
    [([b"{"], [0.0, 0.1, 2.5]), ([], [0.0, 1.99])],
    ids=["deadline passes between two parts", "deadline passes while it waits"],
)
def test_unfinished_answer_ends_at_the_deadline(tmp_path: Path, answer: Any, times: Any) -> None:
    # The clock jumps to, or almost to, the deadline, so that nothing here waits for long.
    clock = iter(times)
    hold = threading.Event()
    with control_server(tmp_path, answer, hold), pytest.raises(ControlError, match="did not answer: "):
        disconnect_live(tmp_path, "sensor-1", clock=lambda: next(clock))


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"port": "1", "token": "t"}', '{"port": 70000, "token": "t"}', '{"port": 1, "token": 5}'],
)
def test_broken_control_file_is_an_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "control.json").write_text(content)
    with pytest.raises(ControlError):
        disconnect_live(tmp_path, "sensor-1")


@pytest.mark.parametrize(
    "line",
    [
        b"HTTP/1.1 400 Bad Request\r\n",
        b"[]\n",
        b'{"x": 1}\n',
        b'{"dropped": "x"}\n',
        b'{"topic": 5, "payload": "", "received_at": 1}\n',
        b'{"topic": "a", "payload": "!", "received_at": 1}\n',
        b'{"topic": "a", "payload": "\xc3\xa9", "received_at": 1}\n',
        b'{"topic": "a", "payload": "", "received_at": "now"}\n',
    ],
)
def test_another_program_on_the_port_is_an_error(tmp_path: Path, line: bytes) -> None:
    with (
        control_server(tmp_path, [b'{"watching": "#"}\n', line]),
        ControlClient(tmp_path) as control,
        pytest.raises(ControlError, match="the local endpoint's answer is not"),
    ):
        list(control.watch("#", None))
