"""The control channel: watching messages, closing a connection, and refusing requests without the token."""

from __future__ import annotations

import base64
import json
import os
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest
from mqtt443_tools.localcore.control.control_client import ControlClient, ControlError
from mqtt443_tools.localcore.mqtt.session import Message

from tests.support.mqtt.client import RawClient, client_connect, client_publish
from tests.support.mqtt.endpoint import RunningCore


def control_of(core: RunningCore) -> dict[str, Any]:
    control: dict[str, Any] = json.loads((core.state / "control.json").read_text())
    return control


@contextmanager
def asking(core: RunningCore, request: object) -> Iterator[IO[bytes]]:
    """Send a first line; what is answered."""
    with socket.create_connection(("127.0.0.1", control_of(core)["port"]), 20) as connection:
        line = request if isinstance(request, bytes) else json.dumps(request).encode()
        connection.sendall(line + b"\n")
        with connection.makefile("rb") as answers:
            yield answers


def publish(core: RunningCore, topic: str, payload: bytes = b"x") -> None:
    core.run(lambda: core.core.broker.publish(Message(topic, payload, 1, False, "dev-1", 1234.5)))


def watchers(core: RunningCore) -> int:
    return core.run(lambda: len(core.core.broker._watchers)) - 1  # the endpoint itself notes who was seen


def wait_for_watcher(core: RunningCore) -> None:
    """Wait until the watcher is registered; it gets no answer that would show this."""
    while watchers(core) < 2:  # the first is the fixture's
        core.run(lambda: None)


def test_control_file_is_private_and_says_who_runs(core: RunningCore) -> None:
    path = core.state / "control.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    control = control_of(core)
    assert control["pid"] == os.getpid()
    assert len(control["token"]) >= 32


def test_watcher_gets_messages_that_its_filter_matches(core: RunningCore) -> None:
    request = {"token": control_of(core)["token"], "op": "watch", "filter": "telemetry/#"}
    with asking(core, request) as answers:
        wait_for_watcher(core)
        publish(core, "telemetry")
        publish(core, "other/x")
        publish(core, "telemetry/dev-1", b"\xff{}")
        assert json.loads(answers.readline()) == {"watching": "telemetry/#"}
        assert json.loads(answers.readline()) == {
            "topic": "telemetry/dev-1",
            "payload": base64.b64encode(b"\xff{}").decode(),
            "qos": 1,
            "retain": False,
            "client_id": "dev-1",
            "received_at": 1234.5,
        }


def test_slow_watcher_loses_the_oldest_and_learns_how_many(tmp_path: Path) -> None:
    with RunningCore(tmp_path / "state", max_watcher_messages=3) as core:
        request = {"token": control_of(core)["token"], "op": "watch", "filter": "#"}
        with asking(core, request) as answers:
            wait_for_watcher(core)

            def at_once() -> None:
                for i in range(10):
                    core.core.broker.publish(Message("t", b"%d" % i, 0, False, None, 0.0))

            core.run(at_once)
            assert json.loads(answers.readline()) == {"watching": "#"}
            assert json.loads(answers.readline()) == {"dropped": 7}
            payloads = [base64.b64decode(json.loads(answers.readline())["payload"]) for _ in range(3)]
    assert payloads == [b"7", b"8", b"9"]


def test_connection_can_be_cut(core: RunningCore) -> None:
    core.add_device("dev-1", password="secret")
    request = {"token": control_of(core)["token"], "op": "disconnect", "client_id": "dev-1"}
    with asking(core, request) as answers:
        assert json.loads(answers.readline()) == {"disconnected": False}
    with RawClient(core) as client:
        client.connect()
        with asking(core, request) as answers:
            assert json.loads(answers.readline()) == {"disconnected": True}
        assert client.receive() is None
    assert core.next_event("closed").reason == "API_INITIATED_DISCONNECT"


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ({"token": "wrong", "op": "watch", "filter": "#"}, "wrong token"),
        ({"token": "wröng", "op": "watch", "filter": "#"}, "wrong token"),
        ({"op": "watch", "filter": "#"}, "no token"),
        ([], "no token"),
        (b"\xff", "not JSON"),
        (b"[" * 10_000, "not JSON"),
        (b'{"token": "\\ud800"}', "not JSON"),
        ({"token": ..., "op": "shutdown"}, "unknown request"),
        ({"token": ..., "op": "watch", "filter": 7}, "unknown request"),
        ({"token": ..., "op": "watch", "filter": "a/#/b"}, "[MQTT-4.7.1-2]"),
    ],
)
def test_anything_else_gets_an_error_and_a_close(core: RunningCore, request_: Any, error: str) -> None:
    if isinstance(request_, dict) and request_.get("token") is ...:
        request_ = {**request_, "token": control_of(core)["token"]}
    with asking(core, request_) as answers:
        assert error in json.loads(answers.readline())["error"]
        assert answers.readline() == b""
    assert watchers(core) == 1


def test_internal_error_is_answered_and_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with RunningCore(tmp_path / "state") as core:
        monkeypatch.setattr(core.core.broker, "connected", lambda: 1 / 0)
        with asking(core, {"token": control_of(core)["token"], "op": "clients"}) as answers:
            assert json.loads(answers.readline()) == {"error": "internal error: ZeroDivisionError"}
        assert "ZeroDivisionError: division by zero" in core.log[-1]


def test_first_line_without_end_is_cut_off(core: RunningCore) -> None:
    with socket.create_connection(("127.0.0.1", control_of(core)["port"]), 20) as connection:
        try:
            connection.sendall(b"x" * 200_000)
            assert connection.recv(1) == b""
        except ConnectionError:
            return


def test_watcher_that_leaves_is_forgotten(core: RunningCore) -> None:
    request = {"token": control_of(core)["token"], "op": "watch", "filter": "#"}
    with asking(core, request):
        wait_for_watcher(core)
    while watchers(core) > 1:
        core.run(lambda: None)


def test_client_watches_from_its_call_until_the_endpoint_ends(core: RunningCore) -> None:
    with ControlClient(core.state) as control:
        messages = control.watch("#", None)
        core.add_device("dev-1", password="secret")
        with RawClient(core) as client:
            client.connect()
            got: list[Any] = []
            thread = threading.Thread(target=lambda: got.extend(messages))
            thread.start()
            client.send(client_publish("telemetry/dev-1", b"1"))
            core.next_message()
            core.stop()
            thread.join(20)
    assert [message["topic"] for message in got] == ["telemetry/dev-1"]


def test_no_endpoint_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match="no localcore runs on"):
        ControlClient(tmp_path)


def test_last_events_can_be_asked_for(core: RunningCore) -> None:
    core.add_device("dev-1", username="u", password="p" * 12)
    with RawClient(core) as client:
        client.send(client_connect("dev-1", username="u", password=b"wrong"))
        assert client.receive() is None
    core.next_event("refused", "NOT_AUTHENTICATED")
    with ControlClient(core.state) as control:
        [event] = control.events()
    assert (event["client_id"], event["reason"]) == ("dev-1", "NOT_AUTHENTICATED")
    assert "wrong" not in json.dumps(event)
