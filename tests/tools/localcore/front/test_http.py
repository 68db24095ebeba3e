"""HTTPS publish over real TLS, and what the HTTP side refuses."""

from __future__ import annotations

import asyncio
import base64
import email.utils
import http.client
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from mqtt443_tools.localcore.auth.authorizer import Authorizer
from mqtt443_tools.localcore.auth.peer import Endpoint, Peer
from mqtt443_tools.localcore.event_log import EventLog
from mqtt443_tools.localcore.front.http import HttpConnection

from tests.support.mqtt.client import RawClient
from tests.support.mqtt.endpoint import RunningCore
from tests.support.mqtt.engine import EVERYTHING, InProcessFunction, MakeEngine, allow
from tests.support.mqtt.manual_clock import ManualClock

PASSWORD = "secret"


@contextmanager
def https(core: RunningCore) -> Iterator[http.client.HTTPSConnection]:
    connection = http.client.HTTPSConnection(core.host, core.port, context=core.tls_context(), timeout=20)
    try:
        yield connection
    finally:
        connection.close()


def ask(
    connection: http.client.HTTPSConnection, method: str, target: str, body: bytes | None = None, **headers: str
) -> tuple[int, Any]:
    """Send a request; status and JSON of the answer, whose form is checked here."""
    connection.request(method, target, body, {name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    answer = json.loads(response.read())
    assert response.headers["Content-Type"] == "application/json"
    assert set(answer) == {"message", "traceId"}
    assert email.utils.parsedate_to_datetime(response.headers["Date"])
    return response.status, answer["message"]


def basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


@pytest.fixture
def registered(core: RunningCore) -> RunningCore:
    core.add_device("dev-1", password=PASSWORD)
    return core


class DeafChannel:
    """A channel to a client that sends and never reads."""

    def __init__(self) -> None:
        self.answers = 0
        self.aborted = False

    def send(self, _: bytes) -> bool:
        self.answers += 1
        return True

    async def drain(self) -> None:
        await asyncio.Event().wait()

    def abort(self) -> None:
        self.aborted = True


class TestPublish:
    def test_device_publishes_with_its_password(self, registered: RunningCore) -> None:
        with https(registered) as connection:
            answer = ask(
                connection,
                "POST",
                "/topics/telemetry%2Fdev-1?qos=1",
                b"{}",
                Authorization=basic("dev-1", PASSWORD),
            )
        assert answer == (200, "OK")
        message = registered.next_message()
        assert (message.topic, message.payload, message.qos, message.client_id) == ("telemetry/dev-1", b"{}", 1, None)
        assert registered.next_event("accepted").reason == "HTTP_PUBLISH"

    def test_wrong_password_gets_403_and_nothing_through(self, registered: RunningCore) -> None:
        with https(registered) as connection:
            status, message = ask(
                connection, "POST", "/topics/telemetry/dev-1", b"x", Authorization=basic("dev-1", "wrong")
            )
        assert (status, message) == (403, "Forbidden")
        assert registered.messages == []
        event = registered.next_event("refused")
        assert event.reason == "NOT_AUTHENTICATED"

    def test_topic_that_the_policy_does_not_name_gets_403(self, registered: RunningCore) -> None:
        with https(registered) as connection:
            status, _ = ask(connection, "POST", "/topics/telemetry/other", b"x", Authorization=basic("dev-1", PASSWORD))
        assert status == 403
        assert registered.messages == []
        assert "iot:Publish" in registered.next_event("refused", "AUTHORIZATION_FAILURE").detail

    def test_authorizer_gets_headers_and_query(self, scripted: RunningCore, function: InProcessFunction) -> None:
        with https(scripted) as connection:
            ask(connection, "POST", "/topics/t?qos=0&x-amz-customauthorizer-name=scripted&a=b", b"x", X_Token="t1")
        (event,) = function.events
        assert event["protocols"] == ["tls", "http"]
        assert "mqtt" not in event["protocolData"]
        sent = event["protocolData"]["http"]
        assert sent["queryString"] == "?qos=0&x-amz-customauthorizer-name=scripted&a=b"
        assert sent["headers"]["X-Token"] == "t1"

    def test_retained_publish_needs_its_permission(self, scripted: RunningCore, function: InProcessFunction) -> None:
        function.allow(allow(("Publish", "topic/t")))
        with https(scripted) as connection:
            assert ask(connection, "POST", "/topics/t?retain=true", b"x")[0] == 403
        function.allow(allow(("*", "topic/t")))
        with https(scripted) as connection:
            assert ask(connection, "POST", "/topics/t?retain=true", b"x")[0] == 200
        assert scripted.next_message().retain

    @pytest.mark.parametrize(
        ("method", "target", "status"),
        [
            ("GET", "/", 404),
            ("POST", "/", 404),
            ("GET", "/topics/t", 405),
            ("POST", "/topics/t?qos=2", 400),
            ("POST", "/topics/t?retain=yes", 400),
            ("POST", "/topics/", 400),
            ("POST", "/topics/a%2F%2B", 400),
            ("POST", "/topics/%ff", 400),
            ("POST", "/topics/" + "a/" * 8, 400),
            ("POST", "/topics/$aws/things/x", 400),
            ("GET", "/mqtt", 426),
            ("POST", "/mqtt", 405),
        ],
    )
    def test_anything_else_gets_its_status(self, scripted: RunningCore, method: str, target: str, status: int) -> None:
        with https(scripted) as connection:
            assert ask(connection, method, target)[0] == status
        assert scripted.messages == []
        assert scripted.next_event("refused").reason == f"HTTP_{status}"

    @pytest.mark.parametrize(("method", "target", "allow"), [("GET", "/topics/t", "POST"), ("POST", "/mqtt", "GET")])
    def test_wrong_method_is_told_the_right_one(
        self, scripted: RunningCore, method: str, target: str, allow: str
    ) -> None:
        with https(scripted) as connection:
            connection.request(method, target)
            assert connection.getresponse().headers["Allow"] == allow

    def test_client_that_does_not_read_its_answers_is_cut(self, make_engine: MakeEngine) -> None:
        engine = make_engine(http_timeout_s=0)
        channel = DeafChannel()
        client: Any = channel
        peer = Peer(Endpoint("localhost", is_domain=False), "127.0.0.1", "localhost", "1")
        event_log = EventLog(engine.events.append, engine.clock, "127.0.0.1", "1")
        request = b"POST /topics/t HTTP/1.1\r\nHost: localhost\r\n\r\n"
        engine.loop.run_until_complete(HttpConnection(client, peer, event_log, engine.context).run(request * 3))
        assert (channel.answers, channel.aborted) == (1, True)
        assert engine.outcomes()[-1] == ("closed", "CONNECTION_LOST")

    def test_board_can_take_the_time_from_a_date(self, core: RunningCore) -> None:
        with https(core) as connection:
            connection.request("GET", "/")
            date = email.utils.parsedate_to_datetime(connection.getresponse().headers["Date"])
        assert abs(date.timestamp() - time.time()) < 60

    def test_body_that_is_too_large_is_refused_unread(self, scripted: RunningCore) -> None:
        with RawClient(scripted, alpn=["http/1.1"]) as client:
            client.send(b"POST /topics/t HTTP/1.1\r\nHost: localhost\r\nContent-Length: 131073\r\n\r\n")
            assert client.read().startswith(b"HTTP/1.1 413 ")

    def test_chunked_body_is_refused(self, scripted: RunningCore) -> None:
        with RawClient(scripted, alpn=["http/1.1"]) as client:
            client.send(b"POST /topics/t HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
            assert client.read().startswith(b"HTTP/1.1 411 ")

    def test_request_without_host_is_refused(self, scripted: RunningCore) -> None:
        with RawClient(scripted, alpn=[]) as client:
            client.send(b"GET / HTTP/1.1\r\n\r\n")
            assert client.read().startswith(b"HTTP/1.1 400 ")

    def test_half_a_request_is_given_up(self, tmp_path: Path) -> None:
        with RunningCore(tmp_path / "state", http_timeout_s=1) as core, RawClient(core, alpn=[]) as client:
            client.send(b"GET / HT")
            assert client.read().startswith(b"HTTP/1.1 408 ")

    def test_silence_after_the_handshake_is_given_up(self, tmp_path: Path) -> None:
        with RunningCore(tmp_path / "state", http_timeout_s=1) as core, RawClient(core, alpn=[]) as client:
            assert client.read() == b""
            assert core.next_event("refused").reason == "NO_REQUEST"


class TestCaching:
    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    def core(self, tmp_path: Path, function: InProcessFunction, clock: ManualClock) -> Iterator[RunningCore]:
        lambda_function: Any = function
        authorizer = Authorizer("caching", lambda_function, enable_caching_for_http=True)
        function.allow(EVERYTHING, refresh_s=300)
        with RunningCore(tmp_path / "state", authorizers=[authorizer], clock=clock) as core:
            yield core

    def test_kept_connection_asks_the_authorizer_once(self, core: RunningCore, function: InProcessFunction) -> None:
        with https(core) as connection:
            for target in ("/topics/a", "/topics/b?qos=1", "/topics/c"):
                assert ask(connection, "POST", target, b"x", X_Token="t1")[0] == 200
        assert len(function.events) == 1
        with https(core) as connection:
            ask(connection, "POST", "/topics/a", b"x", X_Token="t1")
        assert len(function.events) == 2

    def test_other_credentials_are_asked_about(self, core: RunningCore, function: InProcessFunction) -> None:
        with https(core) as connection:
            for token in ("t1", "t2", "t2"):
                ask(connection, "POST", "/topics/a", b"x", X_Token=token)
        assert len(function.events) == 2

    def test_answer_is_kept_until_its_refresh(self, core: RunningCore, function: InProcessFunction) -> None:
        with https(core) as connection:
            for passed_s in (0, 299, 1):
                core.advance(passed_s)
                ask(connection, "POST", "/topics/a", b"x")
        assert len(function.events) == 2

    def test_without_caching_every_request_is_asked_about(
        self, scripted: RunningCore, function: InProcessFunction
    ) -> None:
        with https(scripted) as connection:
            for _ in range(3):
                assert ask(connection, "POST", "/topics/a", b"x")[0] == 200
        assert len(function.events) == 3
