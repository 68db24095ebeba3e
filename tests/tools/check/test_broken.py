"""Broken set-ups against the real local endpoint: `check` distinguishes each from the others."""

import contextlib
import datetime
import json
import socket
import ssl
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from mqtt443_authorizer.sqlitestore import SqliteStore
from mqtt443_tools.device.registration import set_enabled
from mqtt443_tools.localcore.auth.authorizer import Authorizer
from mqtt443_tools.localcore.front.certificates import LeafSpec
from mqtt443_tools.localcore.function.runtime import LambdaFunction

from tests.support.aws.lambda_functions import ACCOUNT, REGION
from tests.support.board.fake_time import board_clock
from tests.support.mqtt.endpoint import RunningCore
from tests.tools.check.conftest import Serve, Way


def function(folder: Path, source: str, **options: Any) -> LambdaFunction:
    code = folder / "lambda"
    code.mkdir()
    (code / "app.py").write_text(textwrap.dedent(source))
    return LambdaFunction(
        code, "app.handler", environment={}, name="fn", region=REGION, account=ACCOUNT, on_log=lambda _: None, **options
    )


FINE = "def handler(event, context): return {}"


def test_everything_works(way: Way, core: RunningCore) -> None:
    assert way.to(core).walk() is None
    assert {step.status for step in way.steps} == {"ok"}
    assert [step.name for step in way.steps] == [
        "config", "DNS", "TCP", "TLS", "clock", "ALPN", "WebSocket", "CONNECT", "publish",
    ]  # fmt: skip
    assert json.loads(core.next_message().payload)["check"] == "mqtt443"


def test_message_comes_back_if_the_policy_allows_it(way: Way, core: RunningCore, tmp_path: Path) -> None:
    core.add_device("b2", username="both", password="another password", subscribe=["telemetry/b2"])
    way.to(core, client_id="b2", username="both", password="another password")
    assert way.walk() is None
    assert "the message came back" in way.step("publish").detail


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        ({"password": "another"}, "wrong_password"),
        ({"password": "another", "transport": "alpn"}, "wrong_password"),
        ({"password": "another", "transport": "wss"}, "wrong_password"),
        ({"password": ""}, "not_authenticated"),
        ({"username": "nobody"}, "unknown_user"),
        ({"client_id": "b2"}, "client_id_not_allowed"),
        ({"authorizer": "other"}, "no_such_authorizer"),
    ],
)
def test_wrong_login(way: Way, core: RunningCore, keys: dict[str, Any], code: str) -> None:
    assert way.to(core, **keys).walk() == code
    assert way.first_failed() == "CONNECT"
    assert way.step("publish").status == "skipped"


def test_ca_file_without_an_end_is_not_read(way: Way) -> None:
    assert way.write(ca="/dev/zero").walk() == "config"
    assert way.step("config").detail.startswith("ca: /dev/zero is not a file, or over 1,048,576 bytes")


def test_disabled_device(way: Way, core: RunningCore) -> None:
    way.to(core)
    set_enabled(SqliteStore(core.state / "devices.sqlite"), "b1", False)
    assert way.walk() == "device_disabled"


def test_topic_not_allowed(way: Way, core: RunningCore) -> None:
    assert way.to(core, topic="telemetry/another").walk() == "topic_not_allowed"
    assert way.first_failed() == "publish"
    assert "topic/telemetry/another" in way.step("publish").detail


def test_no_default_authorizer(way: Way, endpoint: Serve) -> None:
    with endpoint(authorizers=[]) as core:
        assert way.to(core).walk() == "no_default_authorizer"


def test_inactive_authorizer(way: Way, endpoint: Serve, tmp_path: Path) -> None:
    with endpoint(authorizers=[Authorizer("mine", function(tmp_path, FINE), status="INACTIVE")]) as core:
        assert way.to(core).walk() == "authorizer_inactive"


@pytest.mark.parametrize("source", ["def handler(event, context): 1 / 0", "import nothing_of_that_name", FINE])
def test_authorizer_that_crashes_or_answers_nonsense(way: Way, endpoint: Serve, tmp_path: Path, source: str) -> None:
    with endpoint(authorizers=[Authorizer("mine", function(tmp_path, source))]) as core:
        assert way.to(core).walk() == "authorizer_crashes"


def test_slow_authorizer(way: Way, endpoint: Serve, tmp_path: Path) -> None:
    source = "import time\ndef handler(event, context): time.sleep(60)"
    with endpoint(authorizers=[Authorizer("mine", function(tmp_path, source, timeout_s=0.5))]) as core:
        assert way.to(core).walk() == "authorizer_slow"


@pytest.mark.parametrize("transport", ["auto", "wss"])
def test_policy_without_connect(way: Way, endpoint: Serve, tmp_path: Path, transport: str) -> None:
    source = """
        def handler(event, context):
            statement = {"Effect": "Allow", "Action": "iot:Connect", "Resource": "arn:aws:iot:*:*:client/other"}
            policy = {"Version": "2012-10-17", "Statement": statement}
            return {"isAuthenticated": True, "principalId": "p", "disconnectAfterInSeconds": 300,
                    "refreshAfterInSeconds": 300, "policyDocuments": [policy]}
    """
    with endpoint(authorizers=[Authorizer("mine", function(tmp_path, source))]) as core:
        assert way.to(core, transport=transport).walk() == "connect_not_allowed"


def test_endpoint_name_without_an_address(way: Way, core: RunningCore) -> None:
    def resolve(*_: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    assert way.to(core, endpoint="nowhere.example").walk(resolve=resolve) == "wrong_endpoint"
    assert way.first_failed() == "DNS"
    assert way.step("CONNECT").detail == "needs DNS"


@pytest.mark.parametrize("name", ["elsewhere.example", "127.0.0.1"])
def test_endpoint_name_that_leads_to_another_server(way: Way, core: RunningCore, name: str) -> None:
    here = socket.getaddrinfo("127.0.0.1", core.port, 0, socket.SOCK_STREAM)
    assert way.to(core, endpoint=name).walk(resolve=lambda *_: here) == "wrong_endpoint"
    assert way.first_failed() == "TLS"


def test_wrong_ca(way: Way, core: RunningCore) -> None:
    way.to(core)
    trustme.CA().cert_pem.write_to_path(way.folder / "ca.pem")
    assert way.walk() == "wrong_ca"
    assert way.first_failed() == "TLS"


def test_expired_certificate(way: Way, endpoint: Serve) -> None:
    with endpoint(leaf=LeafSpec(valid_from_days=-30, valid_until_days=-2)) as core:
        assert way.to(core).walk() == "certificate_expired"


def test_closed_port(way: Way, core: RunningCore) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert way.to(core, port=port).walk() == "port_closed"


@contextlib.contextmanager
def blocked_port() -> Iterator[int]:
    """A port whose queue is full: the kernel drops what comes, as a firewall does."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(server.getsockname())
        yield server.getsockname()[1]


def test_blocked_port(way: Way, core: RunningCore) -> None:
    with blocked_port() as port:
        ipv4 = socket.getaddrinfo("127.0.0.1", port, 0, socket.SOCK_STREAM)
        assert way.to(core, port=port).walk(timeout_s=0.5, resolve=lambda *_: ipv4) == "port_blocked"


def test_port_without_tls(way: Way, core: RunningCore) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        ipv4 = socket.getaddrinfo("127.0.0.1", port, 0, socket.SOCK_STREAM)
        assert way.to(core, port=port).walk(timeout_s=0.5, resolve=lambda *_: ipv4) == "not_tls"


def test_no_alpn_offered(way: Way, core: RunningCore) -> None:
    assert way.to(core, transport="tls").walk() == "no_alpn"
    assert way.first_failed() == "CONNECT"


def test_server_that_picks_no_alpn(way: Way, endpoint: Serve) -> None:
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(context)
    ca.cert_pem.write_to_path(way.folder / "ca.pem")
    with serve(context) as port:
        assert way.write(port=port, transport="alpn", timeout_s=10).walk() == "no_alpn"
    assert way.first_failed() == "ALPN"


@contextlib.contextmanager
def serve(context: ssl.SSLContext) -> Iterator[int]:
    """A TLS server that hangs up after each handshake."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        stopped = threading.Event()

        def run() -> None:
            while not stopped.is_set():
                with contextlib.suppress(OSError):
                    connection, _ = server.accept()
                    context.wrap_socket(connection, server_side=True).close()

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            stopped.set()
            socket.create_connection(server.getsockname()).close()
            thread.join()


@pytest.mark.parametrize("years", [-1, 1, 2])  # the certificate: not valid yet, valid, expired
def test_clock_years_off(way: Way, core: RunningCore, tmp_path: Path, years: int) -> None:
    """Libfaketime gives the command another clock, and so OpenSSL, too."""
    way.to(core)
    environment = board_clock(tmp_path, datetime.datetime.now(datetime.UTC).year + years)
    command: list[str | Path] = [
        Path(sys.executable).with_name("mqtt443"),
        "check",
        "--config",
        str(way.path),
        "--state",
        str(core.state),
        "--json",
    ]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 1, done.stderr
    answer = json.loads(done.stdout)
    assert answer["cause"]["code"] == "clock_wrong", answer


@pytest.mark.parametrize(
    ("keys", "known", "unknown"),
    [
        ({"password": "another"}, "wrong_password", "not_authorized"),
        ({"client_id": "b2"}, "client_id_not_allowed", "not_authorized"),
        ({"topic": "telemetry/another"}, "topic_not_allowed", "topic_not_allowed"),
    ],
)
def test_mqtt_5_shows_code_and_reason_and_concludes_from_them(
    way: Way, core: RunningCore, keys: dict[str, Any], known: str, unknown: str
) -> None:
    assert way.to(core, mqtt="5", **keys).walk() == known
    failed = way.step(way.first_failed() or "")
    assert failed.detail.startswith("refused: not authorized (0x87): ")
    # As AWS without credentials: the state folder is not at hand.
    assert way.walk(state=way.folder / "another") == unknown
    assert way.step(failed.name).detail.startswith("refused: not authorized (0x87): ")


def test_mqtt_5_is_named_where_it_connects(way: Way, core: RunningCore) -> None:
    assert way.to(core, mqtt="5").walk() is None
    assert "MQTT 5" in way.step("CONNECT").detail


def test_refused_login_with_0x86_is_one_of_the_authorizer(way: Way, endpoint: Serve) -> None:
    with endpoint(mqtt5_login_code=0x86, mqtt5_reason_string=False) as core:
        way.to(core, mqtt="5", password="another")
        assert way.walk(state=way.folder / "another") == "not_authenticated"
        assert way.step("CONNECT").detail == "refused: bad user name or password (0x86)"
