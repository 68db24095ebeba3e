"""The endpoint over real TLS: SNI, ALPN, domain configuration, certificates, and clients that misbehave."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from mqtt443_tools.localcore.front.certificates import LeafSpec
from mqtt443_tools.localcore.settings import Settings

from tests.support.mqtt.client import (
    PINGREQ,
    Connack,
    Got,
    Pingresp,
    RawClient,
    Suback,
    client_connect,
    client_publish,
    client_subscribe,
)
from tests.support.mqtt.endpoint import RunningCore

PASSWORD = "secret"


@pytest.fixture
def registered(core: RunningCore) -> RunningCore:
    core.add_device("dev-1", password=PASSWORD)
    return core


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_mqtt_with_alpn_and_sni_works_on_tls_1_2_and_1_3(registered: RunningCore, version: ssl.TLSVersion) -> None:
    context = registered.tls_context(["mqtt"])
    context.minimum_version = context.maximum_version = version
    with (
        socket.create_connection((registered.host, registered.port), 20) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as tls,
    ):
        assert tls.selected_alpn_protocol() == "mqtt"
        tls.sendall(PINGREQ)
        assert tls.recv(1) == b""
    assert registered.next_event("refused").reason == "CLIENT_ERROR"


def test_old_tls_version_is_refused(core: RunningCore) -> None:
    context = core.tls_context(["mqtt"])
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLS"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection((core.host, core.port), 20) as raw,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        context.wrap_socket(raw, server_hostname="localhost")
    assert core.next_event("refused").reason == "TLS_ERROR"


@pytest.mark.parametrize(("sni", "said"), [("example.com", "'example.com'"), (None, "no SNI")])
def test_wrong_or_missing_sni_gets_the_alert_and_is_logged(core: RunningCore, sni: str | None, said: str) -> None:
    with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
        RawClient(core, sni=sni)
    event = core.next_event("refused")
    assert event.reason == "SNI_MISUSED"
    assert said in event.detail


def test_name_is_compared_without_case(registered: RunningCore) -> None:
    with RawClient(registered, sni="LocalHost") as client:
        assert client.connect() == Connack(0)


@pytest.mark.parametrize("alpn", ["x-amzn-mqtt-ca", "x-amzn-http-ca"])
def test_alpn_for_client_certificates_is_refused(core: RunningCore, alpn: str) -> None:
    with RawClient(core, alpn=[alpn]) as client:
        assert client.socket.selected_alpn_protocol() == alpn
        assert client.receive() is None
    assert core.next_event("refused").reason == "NO_CLIENT_CERTIFICATE"


@pytest.mark.parametrize("alpn", [(), ("http/1.1",), ("mqttv5",)])
def test_raw_mqtt_without_alpn_is_refused_with_the_next_step_in_the_log(
    registered: RunningCore, alpn: tuple[str, ...]
) -> None:
    with RawClient(registered, alpn=alpn) as client:
        client.send(client_connect("dev-1", "dev-1", PASSWORD.encode()))
        assert client.receive() is None
    event = registered.next_event("refused")
    assert (event.reason, "raw MQTT without ALPN: offer ALPN mqtt" in event.detail) == ("NO_ALPN", True)


def test_mqtt_wins_where_a_client_offers_more(registered: RunningCore) -> None:
    with RawClient(registered, alpn=["http/1.1", "mqtt"]) as client:
        assert client.connect() == Connack(0)


def test_plain_bytes_are_refused_and_explained(core: RunningCore) -> None:
    with socket.create_connection((core.host, core.port), 20) as raw:
        raw.sendall(client_connect("dev-1", "dev-1", PASSWORD.encode()))
        while raw.recv(1024):
            pass
    event = core.next_event("refused")
    assert (event.reason, event.detail) == ("TLS_ERROR", "these bytes are not TLS")


def test_client_that_does_not_trust_the_ca_is_explained(core: RunningCore) -> None:
    context = ssl.create_default_context()
    with (
        socket.create_connection((core.host, core.port), 20) as raw,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        context.wrap_socket(raw, server_hostname="localhost")
    assert "give it ca.pem" in core.next_event("refused").detail


@pytest.mark.parametrize(
    ("leaf", "problem"),
    [
        (LeafSpec(valid_from_days=-3, valid_until_days=-1), "expired"),
        (LeafSpec(valid_from_days=1), "not yet valid"),
    ],
)
def test_test_can_have_a_certificate_that_clients_refuse(tmp_path: Path, leaf: LeafSpec, problem: str) -> None:
    with RunningCore(tmp_path / "state", leaf=leaf) as core, pytest.raises(ssl.SSLCertVerificationError, match=problem):
        RawClient(core)


def test_test_can_have_an_rsa_certificate(tmp_path: Path) -> None:
    with RunningCore(tmp_path / "state", leaf=LeafSpec(key="rsa")) as core:
        context = core.tls_context(["mqtt"])
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")
        with (
            socket.create_connection((core.host, core.port), 20) as raw,
            context.wrap_socket(raw, server_hostname="localhost") as tls,
        ):
            assert (tls.cipher() or ("",))[0] == "ECDHE-RSA-AES128-GCM-SHA256"


def test_handshake_that_does_not_end_is_cut(tmp_path: Path) -> None:
    with (
        RunningCore(tmp_path / "state", handshake_timeout_s=1) as core,
        socket.create_connection((core.host, core.port), 20) as raw,
    ):
        assert raw.recv(1) == b""
        assert "did not end in time" in core.next_event("refused").detail


def test_message_goes_from_one_client_to_another(core: RunningCore) -> None:
    core.add_device("pub", password=PASSWORD, publish=["news"])
    core.add_device("sub", password=PASSWORD, subscribe=["news"])
    with RawClient(core) as publisher, RawClient(core) as subscriber:
        subscriber.connect("sub")
        subscriber.send(client_subscribe(("news", 1)))
        assert subscriber.receive() == Suback(1, (1,))
        publisher.connect("pub")
        publisher.send(client_publish("news", b"x" * 100_000, 1))
        assert subscriber.receive() == Got("news", b"x" * 100_000, 1, packet_id=1)


@pytest.mark.parametrize(
    "data", [b"\x00", b"\x30\xff\xff\xff\xff", b"\x10\x02\xff\xff", b"\xff" * 1000, b"\x30\x03\x00\x05a"]
)
def test_bad_bytes_close_that_connection_and_no_other(registered: RunningCore, data: bytes) -> None:
    with RawClient(registered) as good, RawClient(registered) as bad:
        good.connect()
        bad.send(data)
        assert bad.receive() is None
        good.send(PINGREQ)
        assert good.receive() == Pingresp()
    assert registered.next_event("refused").reason == "CLIENT_ERROR"


def test_internal_error_closes_one_connection_and_logs_its_class(registered: RunningCore) -> None:
    def break_publish(*_: object) -> None:
        raise KeyError("a bug")

    with RawClient(registered) as good, RawClient(registered) as unlucky:
        unlucky.connect()
        registered.run(lambda: registered.core.broker.watch(break_publish))
        unlucky.send(client_publish("telemetry/dev-1", b"x"))
        assert unlucky.receive() is None
        assert good.connect() == Connack(0)
    assert registered.next_event("closed").detail == "internal error: KeyError"
    assert any("a bug" in entry for entry in registered.log)


def test_answer_does_not_wait_for_delivery_of_the_previous_one(registered: RunningCore) -> None:
    def nodelay() -> list[int]:
        sockets = [
            transport.get_extra_info("socket")
            for each in registered.core._connections
            if (transport := each.tls._transport)
        ]
        return [sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for sock in sockets]

    with RawClient(registered) as client:
        client.connect("dev-1", PASSWORD)
        assert registered.run(nodelay) == [1]


def test_client_that_vanishes_is_noticed(registered: RunningCore) -> None:
    with RawClient(registered) as client:
        client.connect()
        client.socket.unwrap().close()
    assert registered.next_event("closed").reason == "CONNECTION_LOST"


def test_stopping_closes_the_clients_and_leaves_nothing_behind(registered: RunningCore) -> None:
    with RawClient(registered) as client:
        client.connect()
        registered.stop()
        assert client.receive() is None
    assert registered.events[-1].reason == "SERVER_INITIATED_DISCONNECT"
    assert not (registered.state / "control.json").exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((registered.host, registered.port), 20)


def test_more_connections_than_allowed_are_closed_at_once(tmp_path: Path) -> None:
    with RunningCore(tmp_path / "state", max_connections=1) as core:
        core.add_device("dev-1", password=PASSWORD)
        with RawClient(core) as client:
            client.connect()
            with pytest.raises((ConnectionError, ssl.SSLError)):
                RawClient(core)
        assert core.next_event("refused").reason == "THROTTLED"


class TestDomainConfiguration:
    NAME = "iot.example.com"

    @pytest.fixture
    def core(self, tmp_path: Path) -> Iterator[RunningCore]:
        with RunningCore(tmp_path / "state", domain_name=self.NAME) as core:
            core.add_device("dev-1", password=PASSWORD)
            yield core

    @pytest.mark.parametrize("alpn", [(), ("mqtt",)])
    def test_mqtt_needs_no_alpn_there(self, core: RunningCore, alpn: tuple[str, ...]) -> None:
        with RawClient(core, alpn=alpn, sni=self.NAME, port=core.domain_port) as client:
            assert client.connect() == Connack(0)

    def test_its_clients_and_those_of_the_default_endpoint_share_topics(self, core: RunningCore) -> None:
        with RawClient(core, alpn=(), sni=self.NAME, port=core.domain_port) as client:
            client.connect()
            client.send(client_publish("telemetry/dev-1", b"x"))
            assert core.next_message().payload == b"x"

    def test_each_endpoint_takes_its_own_name_only(self, core: RunningCore) -> None:
        for port, sni in ((core.domain_port, "localhost"), (core.port, self.NAME)):
            with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
                RawClient(core, sni=sni, port=port)
            assert core.next_event("refused").reason == "SNI_MISUSED"

    def test_alpn_can_be_refused_there(self, tmp_path: Path) -> None:
        with (
            RunningCore(tmp_path / "other", domain_name=self.NAME, domain_alpn="refuse") as core,
            RawClient(core, sni=self.NAME, port=core.domain_port) as client,
        ):
            assert client.receive() is None
            assert core.next_event("refused").reason == "ALPN"


def test_invalid_setting_is_refused_before_the_endpoint_listens(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a host name"):
        Settings(name="127.0.0.1:8443", state=tmp_path)
