"""The whole decision: answer, log line, failing closed, and settings."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mqtt443_authorizer.handler as module
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mqtt443_authorizer.errors import StoreError
from mqtt443_authorizer.handler import handler, principal_id
from mqtt443_authorizer.policy import Template
from mqtt443_authorizer.secret import Secret
from mqtt443_authorizer.sqlitestore import SqliteStore

from tests.support.aws.failing import Failing
from tests.support.aws.logins import CHOSEN, CONTEXT, GENERATED, IOT_ARN, OTHER_GENERATED, Desk, device, event

Setenv = Callable[[str, str], None]

REFUSAL = {"isAuthenticated": False, "principalId": "refused"}


@pytest.mark.parametrize(
    "name", ["mqtt", "mqtt_authorizer_name", "mqtt_sdk_metrics", "mqtt_signed", "wss", "wss_headers", "http"]
)
@pytest.mark.parametrize("secret", [GENERATED, CHOSEN])
def test_right_login_gets_the_device_policy(name: str, secret: Secret) -> None:
    own = device(secrets=(secret,), publish=("site/a",))
    assert Desk(own).decide(event(name)) == {
        "isAuthenticated": True,
        "principalId": principal_id("sensor-1"),
        "disconnectAfterInSeconds": 7200,
        "refreshAfterInSeconds": 600,
        "policyDocuments": Template.load().render(own, IOT_ARN),
    }


@pytest.mark.parametrize("name", ["mqtt_no_password", "mqtt_no_client_id"])
def test_incomplete_login_is_refused(name: str) -> None:
    assert Desk(device()).decide(event(name)) == REFUSAL


def test_http_login_uses_the_registered_client_id() -> None:
    desk = Desk(device())
    answer = desk.decide(event("http"))
    assert answer["principalId"] == principal_id("sensor-1")
    assert desk.lines[-1]["client_id"] == "sensor-1"


def test_log_says_which_secret_was_used() -> None:
    rotated = Desk(device(secrets=(OTHER_GENERATED, GENERATED)))
    fresh = Desk(device(secrets=(GENERATED, OTHER_GENERATED)))
    assert rotated.decide(event("mqtt"))["isAuthenticated"]
    assert fresh.decide(event("mqtt"))["isAuthenticated"]
    assert (rotated.lines[-1]["secret"], fresh.lines[-1]["secret"]) == (1, 0)


@pytest.mark.parametrize(("now", "is_let_in"), [(1_700_000_049.9, True), (1_700_000_050, False)])
def test_old_secret_of_a_rotation_expires(now: float, is_let_in: bool) -> None:
    old = GENERATED._replace(expires_at=1_700_000_050)
    desk = Desk(device(secrets=(OTHER_GENERATED, old)), now=now)
    assert desk.decide(event("mqtt"))["isAuthenticated"] is is_let_in
    if is_let_in:
        assert desk.lines[-1]["secret"] == 1
    else:
        assert desk.reason == "wrong password"


def test_allow_is_logged_with_identity_and_duration() -> None:
    desk = Desk(device())
    desk.decide(event("mqtt_signed"))
    assert desk.lines == [
        {
            "connection": "3f1c2b6e-5f0a-4a43-9c61-0d7a5f4f7f14",
            "protocols": ["tls", "mqtt"],
            "client_id": "sensor-1",
            "username": "dev1",
            "secret": 0,
            "decision": "allow",
            "reason": "the password matches",
            "duration_ms": 1.0,
        }
    ]


def test_refusal_is_logged_with_identity_and_reason() -> None:
    desk = Desk(device(enabled=False))
    assert desk.decide(event("http")) == REFUSAL
    assert desk.lines == [
        {
            "connection": "3f1c2b6e-5f0a-4a43-9c61-0d7a5f4f7f19",
            "protocols": ["tls", "http"],
            "client_id": None,
            "username": "dev1",
            "decision": "refuse",
            "reason": "the device is disabled",
            "duration_ms": 1.0,
        }
    ]


def test_store_outage_is_a_logged_refusal() -> None:
    desk = Desk(store=Failing(StoreError("DynamoDB table devices: ThrottlingException")))
    assert desk.decide(event("mqtt")) == REFUSAL
    assert desk.reason == "DynamoDB table devices: ThrottlingException"


def test_unexpected_error_is_a_refusal_without_its_text() -> None:
    desk = Desk(store=Failing(RuntimeError("p@ss")))
    assert desk.decide(event("mqtt")) == REFUSAL
    assert desk.reason == "internal error: RuntimeError"


def test_policy_that_is_too_large_is_a_refusal() -> None:
    desk = Desk(device(publish=tuple(f"{number}" + "t" * 200 for number in range(9))))
    assert desk.decide(event("mqtt")) == REFUSAL
    assert re.match("policy document 5 has .* characters", desk.reason)


@pytest.mark.parametrize("context", [None, SimpleNamespace(invoked_function_arn="f")])
def test_context_without_function_arn_is_a_refusal(context: object) -> None:
    desk = Desk(device())
    assert desk.decide(event("mqtt"), context) == REFUSAL
    assert "invoked_function_arn" in desk.reason


def test_refusals_share_no_state() -> None:
    desk = Desk()
    desk.decide(event("mqtt"))["isAuthenticated"] = True
    assert desk.decide(event("mqtt")) == REFUSAL


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=128))
@settings(max_examples=100)
def test_principal_id_is_valid_for_aws(client_id: str) -> None:
    assert re.fullmatch("[a-zA-Z0-9]{1,128}", principal_id(client_id))


def test_principal_ids_with_the_same_letters_differ() -> None:
    ids = ["a-b", "ab", "a_b", "A-b", "ä", "ö", "x" * 64, "x" * 65, "x" * 128]
    assert len({principal_id(client_id) for client_id in ids}) == len(ids)
    assert principal_id("sensor-1").startswith("sensor1")


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    module._from_environment.cache_clear()
    for name in ("MQTT443_REFRESH_S", "MQTT443_DISCONNECT_S", "MQTT443_POLICY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MQTT443_STORE", f"sqlite:{tmp_path}/state/devices.sqlite")
    SqliteStore(tmp_path / "state" / "devices.sqlite").add(device())
    yield monkeypatch.setenv
    module._from_environment.cache_clear()


def logged(capsys: pytest.CaptureFixture[str]) -> Any:
    (line,) = capsys.readouterr().out.splitlines()
    return json.loads(line)


def test_settings_come_from_the_environment(environment: Setenv, capsys: pytest.CaptureFixture[str]) -> None:
    environment("MQTT443_REFRESH_S", "300")
    environment("MQTT443_DISCONNECT_S", "3600")
    answer = handler(event("mqtt"), CONTEXT)
    assert answer["isAuthenticated"] is True
    assert (answer["refreshAfterInSeconds"], answer["disconnectAfterInSeconds"]) == (300, 3600)
    line = logged(capsys)
    assert (line["decision"], line["username"]) == ("allow", "dev1")
    assert line["duration_ms"] >= 0


def test_times_have_defaults(environment: Setenv, capsys: pytest.CaptureFixture[str]) -> None:
    answer = handler(event("mqtt"), CONTEXT)
    assert (answer["refreshAfterInSeconds"], answer["disconnectAfterInSeconds"]) == (3600, 86400)


def test_policy_template_can_be_another_file(
    environment: Setenv, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    template = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "iot:Connect", "Resource": "<arn>:client/<client_id>"}],
    }
    (tmp_path / "mine.json").write_text(json.dumps(template))
    environment("MQTT443_POLICY", str(tmp_path / "mine.json"))
    documents: Any = handler(event("mqtt"), CONTEXT)["policyDocuments"]
    (document,) = documents
    assert document["Statement"][0]["Resource"] == f"{IOT_ARN}:client/sensor-1"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("MQTT443_REFRESH_S", value) for value in ("299", "86401", "", "1h", "-300", "³⁰⁰", "9" * 5000)),
        ("MQTT443_DISCONNECT_S", "0"),
        ("MQTT443_STORE", ""),
        ("MQTT443_STORE", "devices.sqlite"),
        ("MQTT443_POLICY", "/nowhere/policy.json"),
    ],
)
def test_invalid_setting_is_a_refusal_that_names_the_variable(
    environment: Setenv, capsys: pytest.CaptureFixture[str], name: str, value: Any
) -> None:
    environment(name, value)
    assert handler(event("mqtt"), CONTEXT) == REFUSAL
    line = logged(capsys)
    assert line["decision"] == "refuse"
    assert line["reason"].startswith("not configured: ")
    assert name in line["reason"]


def test_failed_start_is_retried_and_a_good_one_is_cached(
    environment: Setenv, capsys: pytest.CaptureFixture[str]
) -> None:
    environment("MQTT443_REFRESH_S", "1")
    assert handler(event("mqtt"), CONTEXT) == REFUSAL
    environment("MQTT443_REFRESH_S", "300")
    assert handler(event("mqtt"), CONTEXT)["isAuthenticated"] is True
    environment("MQTT443_REFRESH_S", "1")
    assert handler(event("mqtt"), CONTEXT)["isAuthenticated"] is True


def test_log_has_no_secret_and_no_query_string(environment: Setenv, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("mqtt_signed", "wss_headers", "http", "mqtt_sdk_metrics"):
        handler(event(name), CONTEXT)
        handler({**event(name), "protocolData": {**event(name)["protocolData"], "tls": 5}}, None)
    out, err = capsys.readouterr()
    assert err == ""
    assert len(out.splitlines()) == 8
    for secret in ("p@ss", "cEBzcw", "ZGV2MTpwQHNz", "abc+/=1", "AA%2B", "SDK=", "customauthorizer"):
        assert secret not in out


def test_closed_stdout_does_not_reach_the_caller(environment: Setenv, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*args: Any, **kwargs: Any) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("builtins.print", gone)
    assert handler(event("mqtt"), CONTEXT)["isAuthenticated"] is True
