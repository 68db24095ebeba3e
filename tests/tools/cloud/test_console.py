"""`mqtt443 console --stack`: what the page shows of a stack, and what it leaves out.

moto plays the account; the data plane is the local endpoint, which the official SDK reaches with the caller's
credentials, and which publishes the lifecycle events. The lines of the authorizer's log are those of our handler.
"""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest
from mqtt443_tools.cli import app
from mqtt443_tools.console import actions
from mqtt443_tools.console.aws_source import MAX_LOG_EVENTS, AwsSource
from mqtt443_tools.console.lifecycle_events import FILTERS
from mqtt443_tools.send.answers import encode
from mqtt443_tools.support.errors import CommandError, UsageError
from mqtt443_tools.watch.aws_messages import AwsWatcher
from typer.testing import CliRunner

from tests.support.aws.account import STACK, Cloud
from tests.support.aws.iot_control_plane import ENDPOINT
from tests.support.aws.stubs import Refuse
from tests.tools.cloud.test_watch import publish
from tests.tools.cloud.watched import WAIT_S, Watched, connected, log_lines

pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse:UserWarning")
REFUSED = {
    "connection": "c-1",
    "protocols": ["tls", "mqtt"],
    "client_id": "kitchen",
    "username": "kitchen",
    "decision": "refuse",
    "reason": "wrong password",
    "duration_ms": 0.5,
}


def test_message_belongs_to_the_device_that_its_topic_names(watched: Watched) -> None:
    watched.start()
    for topic in ("telemetry/kitchen", "telemetry/garden/soil", "own/topic", "telemetry/stranger", "commands/kitchen"):
        publish(watched.core, topic, b"{}")
    watched.until(lambda: len(watched.messages) == 5, "the messages")
    assert {each["topic"]: each["client_id"] for each in watched.messages} == {
        "telemetry/kitchen": "kitchen",
        "telemetry/garden/soil": "garden",
        "own/topic": "garden",
        "telemetry/stranger": None,
        "commands/kitchen": None,
    }
    assert watched.source.recent.messages() == watched.messages


def test_lifecycle_events_show_who_is_online_and_only_the_devices_of_the_stack(watched: Watched) -> None:
    watched.start()
    with connected(watched.core, "kitchen"), connected(watched.core, "other-fleet"):
        watched.until(lambda: watched.source.status().online == ["kitchen"], "kitchen is online")
    watched.until(lambda: watched.source.status().online == [], "kitchen is offline")
    events = watched.source.status().events
    assert [(each["client_id"], each["outcome"], each["reason"]) for each in events] == [
        ("kitchen", "accepted", "CONNECTED"),
        ("kitchen", "closed", "CLIENT_INITIATED_DISCONNECT"),
    ]
    assert {each["source"] for each in events} == {"127.0.0.1", ""}
    assert watched.messages == [], "lifecycle events are no messages"


def test_device_that_was_online_before_the_console_is_shown(watched: Watched) -> None:
    watched.cloud.iot.connected.add("garden")
    watched.start()
    watched.until(lambda: watched.source.status().online == ["garden"], "garden is online")
    garden = next(each for each in actions.listed(watched.source) if each["client_id"] == "garden")
    assert garden["last_seen"] == 1_796_000_000


def test_log_of_the_authorizer_says_why_a_device_is_refused(watched: Watched) -> None:
    allowed = {**REFUSED, "connection": "c-2", "decision": "allow", "reason": "the password matches"}
    log_lines(watched.cloud, REFUSED, {**allowed, "protocols": ["tls", "http", "mqtt"]})
    refused, accepted = watched.source.status().events
    assert (refused["outcome"], refused["reason"], refused["client_id"]) == ("refused", "NOT_AUTHENTICATED", "kitchen")
    assert refused["login"]["reason"] == "wrong password"
    assert (accepted["outcome"], accepted["reason"], accepted["transport"]) == ("accepted", "AUTHENTICATED", "wss")


def test_line_of_the_log_is_one_event_however_often_it_is_read(cloud: Cloud, watched: Watched) -> None:
    now = [1000.0]
    source = AwsSource(
        cloud.aws, watched.backend, STACK, "#", options=[], connect=watched.connect, clock=lambda: now[0]
    )
    log_lines(cloud, *({**REFUSED, "connection": f"c-{number}"} for number in range(MAX_LOG_EVENTS + 5)))
    for _ in range(3):
        assert len(source.status().events) == MAX_LOG_EVENTS
        now[0] += 10
    assert source.status().events[-1]["connection_id"] == f"c-{MAX_LOG_EVENTS + 4}"
    starts = [call.parameters["startTime"] for call in cloud.answers.of("filter_log_events")]
    assert starts[-1] > starts[0], "each look goes back a minute only"
    source.status()
    assert len(cloud.answers.of("filter_log_events")) == len(starts), "it is read every few seconds at most"


def test_forbidden_log_and_presence_are_said_and_the_rest_is_shown(
    tmp_path: Path, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.cloud.answers.on("logs", "filter_log_events", Refuse("AccessDeniedException", "", 400))
    watched.cloud.answers.on("iot-data", "get_connection", Refuse("AccessDeniedException", "", 403))

    def subscribe(watcher: AwsWatcher, topic_filter: str) -> None:
        if topic_filter in FILTERS:
            raise CommandError(f"AWS IoT refused it: your IAM user or role needs iot:Subscribe on {topic_filter}")
        real(watcher, topic_filter)

    real = AwsWatcher.subscribe
    monkeypatch.setattr(AwsWatcher, "subscribe", subscribe)
    watched.take()
    watched.until(lambda: "#" in watched.core.run(watched.subscriptions), "the subscription")
    publish(watched.core, "telemetry/kitchen", b"{}")
    watched.until(lambda: watched.messages, "the message")
    problem = watched.source.status().problem or ""
    for part in ("logs:FilterLogEvents", "connects and disconnects are not shown", "iot:GetConnection"):
        assert part in problem


def test_command_is_sent_and_answered_through_the_data_plane(watched: Watched) -> None:
    def answer(topic: str, payload: bytes, **_: Any) -> dict[str, Any]:
        said = json.loads(payload)
        reply = {"request_id": said["request_id"], "report": {"topic": topic, "command": said["command"]}}
        publish(watched.core, "telemetry/kitchen", json.dumps(reply).encode())
        return {}

    watched.cloud.answers.on("iot-data", "publish", answer)
    sent = encode("report", {}, "r-1")
    found = watched.source.command("kitchen", sent, "r-1", WAIT_S)
    assert found == {"report": {"topic": "commands/kitchen", "command": "report"}}


def test_forbidden_publish_names_the_permission(watched: Watched) -> None:
    watched.cloud.answers.on("iot-data", "publish", Refuse("ForbiddenException", "", 403))
    with pytest.raises(CommandError, match="the permission iot:Publish is missing"):
        watched.source.publish("a", b"", 1, False)
    with pytest.raises(UsageError, match="AWS IoT has no faults"):
        watched.source.switch_fault("kitchen", "drop", on=True)
    assert watched.source.status().faults is None
    assert watched.source.fault_meanings == {}


def test_change_from_the_page_is_seen_at_once_and_the_table_is_not_read_for_every_page(watched: Watched) -> None:
    source, answers = watched.source, watched.cloud.answers
    assert {each["client_id"] for each in actions.listed(source)} == {"kitchen", "garden"}
    scans = len(answers.of("scan"))
    actions.listed(source)
    assert len(answers.of("scan")) == scans
    added = actions.change(source, "add", "attic", now=time.time())
    assert added["config"]["endpoint"] == ENDPOINT
    assert base64.b64decode(added["ca"])[:1] == b"0", "DER, as the board takes it"
    watched.cloud.iot.connected.add("attic")
    actions.change(source, "disable", "attic", now=time.time())
    assert watched.cloud.iot.connected == set()
    assert next(each for each in actions.listed(source) if each["client_id"] == "attic")["enabled"] is False


def test_updates_of_the_devices_of_the_stack_are_shown_and_no_others(cloud: Cloud, watched: Watched) -> None:
    things = [f"arn:aws:iot:eu-west-1:123456789012:thing/{name}" for name in ("kitchen", "other-fleet")]
    ended = {"status": "SUCCEEDED"}
    executions = [{"thingArn": thing, "jobExecutionSummary": ended} for thing in things]
    cloud.answers.on("iot", "list_jobs", {"jobs": [{"jobId": "update-1", "status": "COMPLETED"}]})
    cloud.answers.on("iot", "list_job_executions_for_job", {"executionSummaries": executions})
    cloud.answers.on("iot", "describe_job_execution", {"execution": ended})
    updates = watched.source.status().updates
    assert [(each["client_id"], each["job"], each["status"]) for each in updates] == [("kitchen", "update-1", "done")]


def test_export_writes_the_logins_of_a_stack(cloud: Cloud, watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mqtt443_tools.cloud.aws.open_aws", lambda *_: cloud.aws)
    log_lines(cloud, REFUSED, {**REFUSED, "client_id": "=1+1", "decision": "allow"})
    arguments = ["export", "--stack", STACK, "--events", "--since", "1h", "--state", str(cloud.state)]
    rows = [json.loads(line) for line in CliRunner().invoke(app, arguments).stdout.splitlines()]
    assert [(each["client_id"], each["outcome"], each["detail"]) for each in rows] == [
        ("kitchen", "refused", "wrong password"),
        ("=1+1", "accepted", "wrong password"),
    ]
    table = CliRunner().invoke(app, [*arguments, "--csv"]).stdout.splitlines()
    assert table[0] == "time,outcome,reason,detail,client_id,source,connection_id"
    assert ",'=1+1," in table[2], "no spreadsheet takes it for a formula"
    assert watched.backend.stack.outputs["LogGroup"] in {
        call.parameters["logGroupName"] for call in cloud.answers.calls if call.operation == "filter_log_events"
    }


def test_export_says_that_aws_stores_no_messages() -> None:
    result = CliRunner().invoke(app, ["export", "--stack", "greenhouse", "--profile", "work"])
    assert isinstance(result.exception, UsageError)
    assert "AWS IoT stores no messages" in str(result.exception)
    assert "mqtt443 watch --stack greenhouse --profile work --json > messages.ndjson" in str(result.exception)
    assert "mqtt443 export --stack greenhouse --profile work --events" in str(result.exception)


def test_command_line_names_the_stack_that_does_not_exist(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mqtt443_tools.cloud.aws.open_aws", lambda *_: cloud.aws)
    for arguments, said in (
        (["--stack", "other"], "there is no deployed stack other in eu-west-1"),
        (["--stack", "other", "--filter", "a/#/b"], "--filter a/#/b"),
    ):
        result = CliRunner().invoke(app, ["console", *arguments])
        assert isinstance(result.exception, CommandError)
        assert said in str(result.exception)
