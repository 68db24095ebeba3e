"""What the endpoint keeps and tells beside MQTT: CA, certificates, settings, events."""

from __future__ import annotations

import dataclasses
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st
from mqtt443_tools.localcore.event_log import BrokerLog, EventLog
from mqtt443_tools.localcore.events import Event
from mqtt443_tools.localcore.front.certificates import GOOD_LEAF, CertificateError, LeafSpec, issue_leaf, load_ca
from mqtt443_tools.localcore.localcore_errors import SettingError, StateFolderError
from mqtt443_tools.localcore.settings import Settings
from mqtt443_tools.localcore.state_folder import owned_folder
from mqtt443_tools.support.printable import printable

from tests.support.mqtt.manual_clock import ManualClock

NOW = 1_800_000_000.0


def leaf(state: Path, spec: LeafSpec = GOOD_LEAF) -> x509.Certificate:
    issued = issue_leaf(load_ca(state), ["localhost"], spec, NOW)
    return x509.load_pem_x509_certificate(issued.cert_chain_pems[0].bytes())


def test_ca_is_made_once_and_its_key_is_private(tmp_path: Path) -> None:
    first = load_ca(tmp_path).cert_pem.bytes()
    assert load_ca(tmp_path).cert_pem.bytes() == first
    assert (tmp_path / "ca.pem").read_bytes() == first
    assert stat.S_IMODE((tmp_path / "ca-key.pem").stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ca-key.pem", "ca.pem"]


def test_private_key_is_never_readable_by_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_open, modes = os.open, []

    def watched_open(path: Any, flags: int, mode: int = 0o777, **options: Any) -> int:
        if flags & os.O_CREAT:
            modes.append(mode)
        return real_open(path, flags, mode, **options)

    monkeypatch.setattr(os, "open", watched_open)
    old = os.umask(0)
    try:
        load_ca(tmp_path)
    finally:
        os.umask(old)
    assert modes
    assert all(mode & 0o077 == 0 for mode in modes)


@pytest.mark.parametrize("broken", ["ca.pem", "ca-key.pem"])
@pytest.mark.parametrize("missing", [True, False])
def test_half_a_ca_is_refused_and_not_replaced(tmp_path: Path, broken: str, missing: bool) -> None:
    load_ca(tmp_path)
    if missing:
        (tmp_path / broken).unlink()
    else:
        (tmp_path / broken).write_text("-----BEGIN NOTHING-----")
    with pytest.raises(CertificateError, match=r"delete ca\.pem and ca-key\.pem"):
        load_ca(tmp_path)


def test_server_certificate_is_p_256_for_the_name_and_a_year(tmp_path: Path) -> None:
    certificate = leaf(tmp_path)
    assert isinstance(certificate.public_key(), ec.EllipticCurvePublicKey)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert certificate.not_valid_before_utc.timestamp() == NOW - 86_400
    assert certificate.not_valid_after_utc.timestamp() == NOW + 397 * 86_400


def test_test_can_ask_for_another_certificate(tmp_path: Path) -> None:
    certificate = leaf(tmp_path, LeafSpec("rsa", valid_from_days=-10, valid_until_days=-1))
    assert isinstance(certificate.public_key(), rsa.RSAPublicKey)
    assert certificate.not_valid_after_utc.timestamp() == NOW - 86_400


def test_state_folder_has_one_owner_and_mode_0700(tmp_path: Path) -> None:
    state = tmp_path / "deep" / "state"
    with owned_folder(state):
        assert stat.S_IMODE(state.stat().st_mode) == 0o700
        with pytest.raises(StateFolderError, match="another localcore runs"), owned_folder(state):
            raise AssertionError("two owners")
    with owned_folder(state):
        pass


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("refusal", "sometimes"),
        ("retry_s", -1),
        ("retry_s", "5"),
        ("port", 65_536),
        ("connect_timeout_s", 0),
        ("max_in_flight", 65_536),
        ("http_refused_status", 500),
        ("name", "localhost:8443"),
        ("name", ""),
        ("name", "-a"),
        ("name", "a" * 64),
        ("name", "a." * 127),
        ("domain_name", "a b"),
    ],
)
def test_setting_out_of_range_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(SettingError):
        Settings(**{field: value})


@pytest.mark.parametrize(
    "names",
    [(), ("ca.pem", "ca-key.pem", "devices.json.imported", "devices.sqlite-wal", ".seen.json.71.0f.tmp")],
    ids=["empty", "of an old version"],
)
def test_state_folder_without_other_files_is_kept_out_of_git(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        (tmp_path / name).touch()
    with owned_folder(tmp_path):
        assert (tmp_path / ".gitignore").read_text() == "*\n"


def test_folder_with_other_files_is_left_to_its_owner(tmp_path: Path) -> None:
    for name in ("devices.sqlite", "README.md"):
        (tmp_path / name).touch()
    with owned_folder(tmp_path):
        assert not (tmp_path / ".gitignore").exists()


def test_every_setting_says_what_kind_it_is_and_why() -> None:
    for field in dataclasses.fields(Settings):
        assert field.metadata["kind"] in {"place", "limit", "undocumented", "guard"}, field.name
        assert field.metadata["why"], field.name
        choices = field.metadata["choices"]
        assert not choices or field.default in choices, field.name


def test_limits_are_awss() -> None:
    settings = Settings()
    assert (settings.keep_alive_min_s, settings.keep_alive_max_s) == (30, 1200)
    assert (settings.max_payload_bytes, settings.max_topic_bytes, settings.max_topic_slashes) == (131_072, 256, 7)
    assert (settings.max_filters, settings.max_subscriptions, settings.max_in_flight) == (8, 50, 100)
    assert (settings.publish_rate_per_s, settings.connect_rate_per_s, settings.replay_rate_per_s) == (100, 1, 10)
    assert (settings.session_expiry_s, settings.retry_s, settings.websocket_lifetime_s) == (3600, 960, 86_400)


def test_event_is_one_line() -> None:
    event = Event(
        time=NOW,
        outcome="refused",
        reason="NOT_AUTHENTICATED",
        detail="the authorizer said no",
        client_id="sensor-7",
        source="127.0.0.1",
        connection_id="",
    )
    assert event.line() == "refused sensor-7 from 127.0.0.1: NOT_AUTHENTICATED: the authorizer said no"
    assert dataclasses.replace(event, client_id=None).line().startswith("refused a client from ")
    assert "\n" not in dataclasses.replace(event, client_id="a\nb", detail="c\r\nd").line()


@given(st.text(max_size=400))
def test_foreign_text_is_printable_and_bounded(text: str) -> None:
    shown = printable(text, 100)
    assert shown.isprintable()
    assert len(shown) <= 100 * len("\\U0001f600")


def test_drops_are_logged_at_once_then_by_number_and_topic_once_a_second() -> None:
    clock, written = ManualClock(), list[Any]()
    event_log = EventLog(written.append, clock, "127.0.0.1", "")
    for topic in ("t", "u", "t", "v", "t"):
        event_log.dropped("A", f"on {topic}", topic)
    event_log.dropped("B", "other")
    clock.advance(1)
    event_log.dropped("A", "on t", "t")
    clock.advance(2)
    event_log.dropped("A", "on w", "w")
    assert [(d.reason, d.detail) for d in written] == [
        ("A", "on t"),
        ("B", "other"),
        ("A", "4 more, on u, t (2), v: on t"),
        ("A", "1 more, on t: on t"),
        ("A", "on w"),
    ]


def test_drops_are_logged_at_the_close_and_not_again() -> None:
    clock, written = ManualClock(), list[Any]()
    event_log = EventLog(written.append, clock, "127.0.0.1", "")
    for _ in range(3):
        event_log.dropped("A", "without a topic")
    event_log.close()
    clock.advance(10)
    assert [d.detail for d in written] == ["without a topic", "2 more: without a topic"]


def test_line_names_a_bounded_number_of_topics() -> None:
    clock, written = ManualClock(), list[Any]()
    event_log = EventLog(written.append, clock, "127.0.0.1", "")
    for number in range(100):
        event_log.dropped("A", "first", f"t/{number}")
    clock.advance(1)
    assert written[-1].detail == "99 more, on t/1, t/2, t/3, t/4, t/5, t/6, t/7, t/8, other topics (91): first"


def test_drops_of_clients_that_are_away_are_counted_by_client() -> None:
    clock, written = ManualClock(), list[Any]()
    broker_log = BrokerLog(written.append, clock)
    for client_id in ("a", "b", "a"):
        broker_log.dropped(client_id, "QUEUE_FULL", "full", "t")
    broker_log.close()
    assert [(d.client_id, d.detail) for d in written] == [("a", "full"), ("b", "full"), ("a", "1 more, on t: full")]
