"""Nobody but the opener of the link gets anything from the console: each way in, on a real server."""

import http.client
import json
import signal
import socket
import time
from pathlib import Path

import pytest
from mqtt443_tools.localcore.control.control_client import ControlClient
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from tests.tools.console.conftest import WAIT_S, Endpoint

PATHS = ("/", "/page/js/main.js", "/api/devices", "/api/history?client_id=a")
OTHER = "http://evil.example"


def request(
    endpoint: Endpoint, path: str, method: str = "GET", body: object = None, **headers: str
) -> tuple[int, bytes, http.client.HTTPMessage]:
    connection = http.client.HTTPConnection(endpoint.origin.removeprefix("http://"), timeout=WAIT_S)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, None if body is None else json.dumps(body), named)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers
    finally:
        connection.close()


def cookie(endpoint: Endpoint) -> str:
    _, _, headers = request(endpoint, "/?" + endpoint.link.partition("?")[2])
    return headers["set-cookie"].partition(";")[0]


def test_link_gives_a_cookie_that_scripts_and_other_sites_cannot_use(endpoint: Endpoint) -> None:
    status, _, headers = request(endpoint, "/?" + endpoint.link.partition("?")[2])
    assert status == 200
    flags = headers["set-cookie"].partition(";")[2]
    assert flags == " HttpOnly; SameSite=Strict; Path=/"
    assert endpoint.link.partition("=")[2] not in headers["set-cookie"]


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_given_without_the_token(endpoint: Endpoint, path: str) -> None:
    token = "/?token=" + "x" * 43
    wrong = [{}, {"cookie": "mqtt443=1"}, {"cookie": cookie(endpoint)[:-1]}, {"cookie": "=;;\x7f"}]
    for headers in wrong:
        status, body, _ = request(endpoint, path, **headers)
        assert (status, b"Open the link" in body) == (403, True)
    assert request(endpoint, token)[0] == 403


@pytest.mark.parametrize("path", PATHS)
def test_page_of_another_site_gets_nothing_even_with_the_cookie(endpoint: Endpoint, path: str) -> None:
    key = cookie(endpoint)
    for headers in (
        {"origin": OTHER},
        {"origin": "null"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
    ):
        assert request(endpoint, path, cookie=key, **headers)[0] == 403
    assert request(endpoint, path, cookie=key)[0] == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1", "127.0.0.1.evil.example", ""])
def test_rebound_name_gets_nothing_even_with_token_and_cookie(endpoint: Endpoint, host: str) -> None:
    link = "/?" + endpoint.link.partition("?")[2]
    for path in (link, *PATHS):
        assert request(endpoint, path, host=host, cookie=cookie(endpoint))[0] in {400, 403}


def test_actions_need_the_origin_of_the_page(endpoint: Endpoint) -> None:
    key, add = cookie(endpoint), {"action": "add", "client_id": "garden"}
    for headers in ({}, {"origin": OTHER}, {"origin": "null"}):
        assert request(endpoint, "/api/device", "POST", add, cookie=key, **headers)[0] == 403
    assert json.loads(request(endpoint, "/api/devices", cookie=key)[1]) == []
    assert request(endpoint, "/api/device", "POST", add, cookie=key, origin=endpoint.origin)[0] == 200
    assert [each["client_id"] for each in json.loads(request(endpoint, "/api/devices", cookie=key)[1])] == ["garden"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/fault", {"client_id": "garden", "fault": "drop", "on": True}),
        ("/api/publish", {"topic": "a", "payload": "", "qos": 0, "retain": True}),
        ("/api/command", {"client_id": "garden", "command": "restart", "arguments": {}}),
    ],
)
def test_nothing_can_be_done_without_token_origin_and_host(endpoint: Endpoint, path: str, body: object) -> None:
    key, ours = cookie(endpoint), endpoint.origin
    token = endpoint.link.partition("?")[2]
    for headers in (
        {"origin": ours},
        {"origin": ours, "cookie": key[:-1]},
        {"origin": OTHER, "cookie": key},
        {"origin": "null", "cookie": key},
        {"cookie": key},
        {"origin": ours, "cookie": key, "sec_fetch_site": "cross-site"},
        {"origin": ours, "cookie": key, "host": "evil.example"},
        {"origin": "http://evil.example", "cookie": key, "host": "evil.example"},
    ):
        assert request(endpoint, path, "POST", body, **headers)[0] in {400, 403}, headers
    assert request(endpoint, f"{path}?{token}", "POST", body, origin=ours)[0] == 403, "a link opens the page alone"
    with ControlClient(endpoint.state) as control:
        assert control.faults() == []


def test_fault_is_switched_with_token_origin_and_host(endpoint: Endpoint) -> None:
    key = {"cookie": cookie(endpoint), "origin": endpoint.origin}
    for on, expected in ((True, ["drop"]), (False, [])):
        body = {"client_id": "garden", "fault": "drop", "on": on}
        assert request(endpoint, "/api/fault", "POST", body, **key)[0] == 200
        with ControlClient(endpoint.state) as control:
            assert [each["fault"] for each in control.faults()] == expected
    for broken in ({"client_id": "a", "fault": "melt", "on": True}, {"client_id": 1, "fault": "drop", "on": True}):
        assert request(endpoint, "/api/fault", "POST", broken, **key)[0] == 400


def test_live_connection_needs_cookie_and_origin(endpoint: Endpoint) -> None:
    url = endpoint.origin.replace("http", "ws") + "/live"
    key = {"Cookie": cookie(endpoint)}
    ours = Origin(endpoint.origin)
    refused: tuple[tuple[Origin | None, dict[str, str]], ...] = ((Origin(OTHER), key), (None, key), (ours, {}))
    for origin, headers in refused:
        with pytest.raises(InvalidStatus, match="403"), connect(url, origin=origin, additional_headers=headers):
            pass
    with connect(url, origin=ours, additional_headers=key) as live:
        assert json.loads(live.recv(WAIT_S))["title"] == "localcore"


def test_every_answer_forbids_inline_code_and_foreign_sources(endpoint: Endpoint) -> None:
    key = cookie(endpoint)
    for path in (*PATHS, "/nothing"):
        _, _, headers = request(endpoint, path, cookie=key)
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


def test_oversize_and_broken_requests_get_one_line(endpoint: Endpoint) -> None:
    key = {"cookie": cookie(endpoint), "origin": endpoint.origin}
    for body, status in (("x" * 300_000, 413), ([1], 400), ({}, 400), ({"action": "format", "client_id": "a"}, 400)):
        found, content, _ = request(endpoint, "/api/device", "POST", body, **key)
        assert found == status
        assert "\n" not in json.loads(content)["error"]
    bad = {"topic": "a/#", "payload": "", "qos": 1, "retain": False}
    assert request(endpoint, "/api/publish", "POST", bad, **key)[0] == 400


def test_path_cannot_leave_the_page(endpoint: Endpoint) -> None:
    key = cookie(endpoint)
    for path in ("/page/../guard.py", "/page/%2e%2e/guard.py", "/page/..%2fguard.py"):
        assert request(endpoint, path, cookie=key)[0] == 404


def test_token_is_in_no_file(endpoint: Endpoint) -> None:
    secret = endpoint.link.partition("=")[2].encode()
    files = [each for each in Path(endpoint.state).rglob("*") if each.is_file()]
    assert files
    assert [each for each in files if secret in each.read_bytes()] == []


def test_history_can_be_read_by_the_owner_alone(endpoint: Endpoint) -> None:
    assert {each.name: each.stat().st_mode & 0o077 for each in endpoint.state.glob("history*")}.items() >= {
        "history.sqlite": 0,
    }.items()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_console_ends_with_its_endpoint(endpoint: Endpoint, number: signal.Signals) -> None:
    endpoint.command.process.send_signal(number)
    endpoint.command.process.wait(WAIT_S)
    address = ("127.0.0.1", int(endpoint.origin.rpartition(":")[2]))
    deadline = time.monotonic() + WAIT_S
    with pytest.raises(ConnectionRefusedError):
        while time.monotonic() < deadline:
            socket.create_connection(address, WAIT_S).close()
            time.sleep(0.1)
