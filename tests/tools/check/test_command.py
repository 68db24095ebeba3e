"""`mqtt443 check` as a person and as a script see it, and what it says where the endpoint says nothing."""

import json
import re
from pathlib import Path

import pytest
from mqtt443_tools.check.causes import CAUSES
from mqtt443_tools.cli import app
from mqtt443_tools.support import fetch_umqtt
from mqtt443_tools.support.errors import CommandError
from mqtt443_tools.support.paths import ROOT
from typer.testing import CliRunner

from tests.support.golden import check_golden
from tests.tools.check.conftest import PASSWORD

GOLDEN = Path(__file__).parent / "golden"


def check(way, *arguments):
    result = CliRunner().invoke(app, ["check", "--config", str(way.path), "--state", str(way.state), *arguments])
    assert PASSWORD not in result.output
    return result


def shown(output, core):
    output = output.replace(str(core.port), "PORT")
    output = re.sub(r"\d+ ms", "N ms", output)
    output = re.sub(r"(ahead of|behind) the endpoint", "off the endpoint", output)
    output = re.sub(r"\d+\.\d s off", "N s off", output)
    output = re.sub(r"(::1, )?127\.0\.0\.1(, ::1)?", "127.0.0.1", output)
    return re.sub(r"until \S+ \(\d+ days\)", "until DATE (N days)", output)


@pytest.mark.parametrize(
    ("name", "keys"),
    [("ok", {}), ("wrong-password", {"password": "another"}), ("topic", {"topic": "telemetry/another"})],
)
def test_output(way, core, name, keys):
    done = check(way.to(core, **keys))
    check_golden(GOLDEN / f"{name}.txt", shown(done.output, core))
    assert done.exit_code == (0 if name == "ok" else 1)


def test_json(way, core):
    done = check(way.to(core, username="nobody"), "--json", "--no-publish")
    answer = json.loads(done.output)
    assert (done.exit_code, answer["ok"], answer["cause"]["code"]) == (1, False, "unknown_user")
    assert {"step": "publish", "status": "skipped"}.items() <= answer["steps"][-1].items()
    assert all(step["ms"] >= 0 for step in answer["steps"])


def test_broken_config_ends_the_walk(way, core):
    way.to(core).write(intervall_s=5)
    answer = json.loads(check(way, "--json").output)
    assert [step["step"] for step in answer["steps"]] == ["config"]
    assert "did you mean interval_s?" in answer["steps"][0]["detail"]


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        ({"password": "another"}, "refused"),
        ({"topic": "telemetry/another"}, "topic_not_allowed"),
        ({"transport": "tls"}, "no_alpn"),
    ],
)
def test_endpoint_that_tells_nothing(way, core, keys, code):
    """As AWS without credentials: the state folder is not at hand."""
    way.to(core, **keys)
    assert way.walk(state=way.folder / "another") == code


def test_refusal_after_five_seconds_is_a_slow_authorizer(way, core):
    way.to(core, password="another")
    ticks = iter(range(0, 1000, 5))
    assert way.walk(state=way.folder / "another", clock=lambda: next(ticks)) == "authorizer_slow"


def test_umqtt_is_fetched_when_it_is_missing(way, core, monkeypatch, tmp_path):
    monkeypatch.setattr(fetch_umqtt, "UMQTT", tmp_path)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple/")  # the discard port: nothing listens
    done = check(way.to(core))
    assert isinstance(done.exception, CommandError)
    assert "cannot download micropython-umqtt.simple" in str(done.exception)


def test_every_cause_is_in_the_document():
    document = (ROOT / "docs" / "board.md").read_text()
    rows = [f"| `{cause.code}` | {cause.text} | {cause.fix} |" for cause in CAUSES.values()]
    missing = [row for row in rows if row not in document]
    assert not missing, "docs/board.md should hold:\n" + "\n".join(rows)
