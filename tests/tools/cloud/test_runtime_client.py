"""The deployed zip, unpacked in an empty folder, run by AWS's own runtime interface client with the recorded events."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from mqtt443_authorizer.sqlitestore import SqliteStore
from mqtt443_tools.support.lambda_zip import build

from tests.support.aws.lambda_runtime_api import Lambda
from tests.support.aws.logins import device, event

ALLOWED = ["mqtt", "mqtt_authorizer_name", "mqtt_sdk_metrics", "mqtt_signed", "wss", "wss_headers", "http"]
REFUSED = ["mqtt_no_client_id", "mqtt_no_password"]


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    folder = tmp_path / "task"
    with zipfile.ZipFile(io.BytesIO(build())) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    store = tmp_path / "state" / "devices.sqlite"
    SqliteStore(store).add(device())
    return {"MQTT443_STORE": f"sqlite:{store}"}


def test_every_recorded_event_is_answered_cold_and_warm(
    unpacked: Path, environment: dict[str, str], record_property: Callable[[str, object], None]
) -> None:
    with Lambda(unpacked, environment) as function:
        cold, cold_s = function.invoke(event(ALLOWED[0]))
        warm = [function.invoke(event(name)) for name in ALLOWED]
        refused = [function.invoke(event(name)) for name in REFUSED]
    assert cold["isAuthenticated"] is True
    for name, (answer, _) in zip(ALLOWED, warm, strict=True):
        assert answer == cold, name
    for name, (answer, _) in zip(REFUSED, refused, strict=True):
        assert answer == {"isAuthenticated": False, "principalId": "refused"}, name
    resources = str(cold["policyDocuments"])
    assert "arn:aws:iot:eu-west-1:123456789012:client/sensor-1" in resources
    record_property("cold_ms", round(cold_s * 1000, 1))
    record_property("warm_ms", round(sorted(seconds for _, seconds in warm)[len(warm) // 2] * 1000, 2))


@pytest.mark.parametrize("junk", [None, [], "", 5, {"protocolData": 5}, {"protocols": ["tls", "mqtt"]}])
def test_junk_is_refused_and_nothing_breaks(unpacked: Path, environment: dict[str, str], junk: object) -> None:
    with Lambda(unpacked, environment) as function:
        assert function.invoke(junk)[0] == {"isAuthenticated": False, "principalId": "refused"}
        assert function.invoke(event("mqtt"))[0]["isAuthenticated"] is True
    assert "Traceback" not in function.log


def test_without_its_settings_it_refuses_and_the_log_says_so(unpacked: Path) -> None:
    with Lambda(unpacked, {}) as function:
        assert function.invoke(event("mqtt"))[0]["isAuthenticated"] is False
    assert "not configured: MQTT443_STORE is not set" in function.log


def test_code_of_the_zip_runs(unpacked: Path, environment: dict[str, str]) -> None:
    handler = unpacked / "mqtt443_authorizer" / "handler.py"
    handler.write_text(handler.read_text() + "\nprint('of the zip')\n")
    with Lambda(unpacked, environment) as function:
        function.invoke(event("mqtt"))
    assert "of the zip" in function.log
