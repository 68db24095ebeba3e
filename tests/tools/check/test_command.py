"""`mqtt443 check` as a person and as a script see it, and what it says where the endpoint says nothing."""

import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest
import trustme
from mqtt443_tools.check.causes import CAUSES
from mqtt443_tools.cli import app
from mqtt443_tools.support import fetch_umqtt
from mqtt443_tools.support.errors import CommandError
from mqtt443_tools.support.paths import ROOT
from typer.testing import CliRunner, Result

from tests.support.golden import check_golden
from tests.support.mqtt.client import PINGREQ, Pingresp, RawClient
from tests.support.mqtt.endpoint import RunningCore
from tests.tools.check.conftest import PASSWORD, Serve, Way

GOLDEN = Path(__file__).parent / "golden"


def check(way: Way, *arguments: str) -> Result:
    result = CliRunner().invoke(app, ["check", "--config", str(way.path), "--state", str(way.state), *arguments])
    assert PASSWORD not in result.output
    return result


def shown(output: str, core: RunningCore, path: Path) -> str:
    output = output.replace(str(core.port), "PORT")
    output = output.replace(str(path.parent), "FOLDER").replace(str(core.state), "STATE")
    output = re.sub(r"\d+ ms", "N ms", output)
    output = re.sub(r"(ahead of|behind) the endpoint", "off the endpoint", output)
    output = re.sub(r"\d+\.\d s off", "N s off", output)
    output = re.sub(r"(::1, )?127\.0\.0\.1(, ::1)?", "127.0.0.1", output)
    return re.sub(r"until \S+ \(\d+ days\)", "until DATE (N days)", output)


@pytest.mark.parametrize(
    ("name", "keys"),
    [("ok", {}), ("wrong-password", {"password": "another"}), ("topic", {"topic": "telemetry/another"})],
)
def test_output(way: Way, core: RunningCore, name: str, keys: dict[str, Any]) -> None:
    done = check(way.to(core, **keys))
    check_golden(GOLDEN / f"{name}.txt", shown(done.output, core, way.path))
    assert done.exit_code == (0 if name == "ok" else 1)


def test_json(way: Way, core: RunningCore) -> None:
    done = check(way.to(core, username="nobody"), "--json", "--no-publish")
    answer = json.loads(done.output)
    assert (done.exit_code, answer["ok"], answer["cause"]["code"]) == (1, False, "unknown_user")
    assert {"step": "publish", "status": "skipped"}.items() <= answer["steps"][-1].items()
    assert all(step["ms"] >= 0 for step in answer["steps"])


def test_broken_config_ends_the_check(way: Way, core: RunningCore) -> None:
    way.to(core).write(intervall_s=5)
    answer = json.loads(check(way, "--json").output)
    assert [step["step"] for step in answer["steps"]] == ["config"]
    assert "did you mean interval_s?" in answer["steps"][0]["detail"]


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        ({"password": "another"}, "not_authorized"),
        ({"password": "another", "mqtt": "3.1.1"}, "refused"),
        ({"topic": "telemetry/another"}, "topic_not_allowed"),
        ({"topic": "telemetry/another", "mqtt": "3.1.1"}, "topic_not_allowed"),
        ({"transport": "tls"}, "no_alpn"),
    ],
)
def test_endpoint_without_a_local_log(way: Way, core: RunningCore, keys: dict[str, Any], code: str) -> None:
    """As AWS without credentials: the state folder is not at hand."""
    way.to(core, **keys)
    assert way.walk(state=way.folder / "another") == code


def test_refusal_after_five_seconds_means_a_slow_authorizer(way: Way, core: RunningCore) -> None:
    way.to(core, password="another", mqtt="3.1.1")  # with 5, the reason code says more
    ticks = iter(range(0, 1000, 5))
    assert way.walk(state=way.folder / "another", clock=lambda: next(ticks)) == "authorizer_slow"


def test_umqtt_is_fetched_when_it_is_missing(
    way: Way, core: RunningCore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(fetch_umqtt, "UMQTT", tmp_path)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple/")  # the discard port: nothing listens
    done = check(way.to(core))
    assert isinstance(done.exception, CommandError)
    assert "cannot download micropython-umqtt.simple" in str(done.exception)


def test_client_id_safe_check_leaves_the_live_board_connected(way: Way, core: RunningCore) -> None:
    way.to(core)
    with RawClient(core) as board:
        assert board.connect("b1", PASSWORD, username="user").code == 0
        done = check(way, "--client-id-safe", "--json")
        answer = json.loads(done.output)
        assert (done.exit_code, answer["ok"], answer["cause"]) == (0, True, None)
        assert [step["step"] for step in answer["steps"] if step["status"] == "skipped"] == ["CONNECT", "publish"]
        assert all("cannot be seen from here" in step["detail"] for step in answer["steps"][-2:])
        board.send(PINGREQ)
        assert isinstance(board.receive(), Pingresp)


def test_advice_names_the_device_its_config_and_its_state_folder(way: Way, core: RunningCore) -> None:
    answer = json.loads(check(way.to(core, password="another"), "--json").output)
    assert answer["cause"]["fix"] == f"run `mqtt443 device rotate b1 --out {way.path} --state {core.state}`"
    answer = json.loads(check(way.write(port=core.port, client_id="b2"), "--json").output)
    assert any(line.startswith("client_id b2: not registered at the local endpoint") for line in answer["warnings"])


def test_issuer_of_a_certificate_with_an_unknown_root_is_named(way: Way, core: RunningCore) -> None:
    way.to(core)
    trustme.CA().cert_pem.write_to_path(str(way.folder / "ca.pem"))
    assert way.walk() == "wrong_ca"
    assert "issued by OU=local endpoint\\, for tests only,O=mqtt443" in way.step("TLS").detail


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("a1b2", "-ats alone: set endpoint to a1b2-ats.iot.eu-west-1.amazonaws.com"),
        ("a1b2-ats", "; a proxy or firewall on the way to AWS may inspect TLS: let this host through it"),
    ],
)
def test_aws_endpoint_with_another_issuer_names_the_likely_reason(
    way: Way, endpoint: Serve, name: str, line: str
) -> None:
    host = f"{name}.iot.eu-west-1.amazonaws.com"
    with endpoint(name=host) as core:
        here = socket.getaddrinfo("127.0.0.1", core.port, 0, socket.SOCK_STREAM)
        way.to(core, endpoint=host)
        trustme.CA().cert_pem.write_to_path(str(way.folder / "ca.pem"))
        assert way.walk(resolve=lambda *_: here) == "wrong_ca"
    assert way.step("TLS").detail.endswith(line)


def test_every_cause_is_in_the_document() -> None:
    document = (ROOT / "docs" / "board.md").read_text()
    rows = [f"| `{cause.code}` | {cause.text} | {cause.fix} |" for cause in CAUSES.values()]
    missing = [row for row in rows if row not in document]
    assert not missing, "docs/board.md should hold:\n" + "\n".join(rows)
