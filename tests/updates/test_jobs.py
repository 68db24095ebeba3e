"""Jobs that change nothing on flash, and the protocol: versions, refusals, two at once, what is found after a reset."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from mqtt443 import __version__
from mqtt443_tools.virtualboard.supervisor import HARD_RESET, WDT_RESET

from tests.support.board.interpreters import ALL
from tests.support.mqtt import answers
from tests.support.mqtt.job_server import JobServer
from tests.updates.boards import THING, document, resets, updated

KINDS = [
    pytest.param(name, compiled, id=f"{name}-{'mpy' if compiled else 'py'}")
    for name, compiled in itertools.product(ALL, (False, True))
    if not (compiled and name == "cpython")
]


@pytest.mark.parametrize(("name", "compiled"), KINDS)
def test_report_restart_and_command_are_carried_out_in_order(tmp_path: Path, name: str, compiled: bool) -> None:
    server = JobServer(THING)
    report = server.add("j1", document("report"))
    restart = server.add("j2", document("restart"))
    command = server.add("j3", document("command", name="relay", args={"on": 1}))
    with updated(tmp_path, name, compiled=compiled, server=server) as running:
        server.wait_for(command)
        assert [each.status for each in server.executions] == ["SUCCEEDED"] * 3
        facts = json.loads(report.details["report"])
        assert (facts["version"], facts["transport"]) == (__version__, "tls")
        assert report.details["version"] == __version__
        assert restart.history[0] == ("IN_PROGRESS", {"step": "restart"})
        assert command.history[0] == ("IN_PROGRESS", {"step": "run"})
        assert json.loads(command.details["report"]) == {"on": 1}
        assert resets(running.board) == [HARD_RESET]
        news = [each["link"] for each in server.telemetry if server.news(each)]
        assert [each["job"] for each in news] == ["j1 SUCCEEDED", "j2 SUCCEEDED", "j3 SUCCEEDED"]
        assert {(each["version"], each["slot"]) for each in news} == {(__version__, "a")}
        assert sum(each.get("link", {}).get("started") == "job j2" for each in server.telemetry) == 1
        assert server.subscribed == [f"commands/{THING}", f"$aws/things/{THING}/jobs/notify"] * 2


def test_job_that_comes_while_the_board_is_connected_is_announced(tmp_path: Path) -> None:
    with updated(tmp_path) as running:
        running.server.wait_until(lambda: len(running.server.telemetry) >= 2)
        job = running.server.add("late", document("command", name="silent"))
        running.server.wait_for(job)
        assert job.status == "SUCCEEDED"
        assert "report" not in job.details
        assert len(running.server.logins) == 1


def test_job_larger_than_a_message_is_noticed_while_the_board_is_connected(tmp_path: Path) -> None:
    with updated(tmp_path) as running:
        running.server.wait_until(lambda: len(running.server.telemetry) >= 2)
        job = running.server.add("large", document("report", pad="x" * 600))
        running.server.wait_for(job)
        assert (job.status, len(running.server.logins)) == ("REJECTED", 1)


def test_job_that_mqtt_5_does_not_deliver_for_its_size_is_rejected(tmp_path: Path) -> None:
    server = JobServer(THING)
    server.answer = lambda name, _values: name != "jobs/start-next"
    job = server.add("large", document("report"))
    with updated(tmp_path, server=server, mqtt="5"):
        server.wait_for(job)
        assert job.status == "REJECTED"
        assert "larger than max_message_bytes" in job.details["reason"]


def test_answer_that_is_lost_once_with_mqtt_5_rejects_no_job(tmp_path: Path) -> None:
    server = JobServer(THING)
    lost: list[str] = []

    def answer(name: str, _values: dict[str, Any]) -> bool:
        if name == "jobs/start-next" and not lost:
            lost.append(name)
            return False
        return True

    server.answer = answer
    job = server.add("late", document("report"))
    with updated(tmp_path, server=server, mqtt="5"):
        server.wait_for(job)
        assert job.status == "SUCCEEDED"


REJECTED: list[tuple[Any, str]] = [
    ([], "not a JSON object"),
    (None, "not a JSON object"),
    (False, "not a JSON object"),
    ("report", "not a JSON object"),
    ({"action": "report"}, "not of version 1"),
    ({"mqtt443": 2, "action": "report"}, "not of version 1"),
    ({"mqtt443": True, "action": "report"}, "not of version 1"),
    (document("format"), "unknown action 'format'"),
    ({"mqtt443": 1, "action": ["report"]}, "unknown action"),
    (document("report", now=True), "unknown member 'now'"),
    (document("command", name=5), "a command has a name"),
    (document("command", name="relay", args=[]), "a command has a name"),
    (document("report", pad="x" * 600), "larger than max_message_bytes"),
]


def test_documents_that_ask_for_the_impossible_are_rejected_with_a_reason(tmp_path: Path) -> None:
    server = JobServer(THING)
    jobs = [server.add(f"j{n}", each) for n, (each, _) in enumerate(REJECTED)]
    with updated(tmp_path, server=server) as running:
        server.wait_for(jobs[-1])
        for job, (_, reason) in zip(jobs, REJECTED, strict=True):
            assert job.status == "REJECTED", job
            assert reason in job.details["reason"]
        assert resets(running.board) == []


FAILED = [
    (document("command", name="fails", args={}), "fails raised ValueError: no such relay"),
    (document("command", name="unknown", args={}), "no command 'unknown'"),
    (document("command", name="interval", args={"interval_s": 0}), "interval_s must be 1 to 86400"),
]


def test_command_that_fails_is_reported_with_its_error(tmp_path: Path) -> None:
    server = JobServer(THING)
    jobs = [server.add(f"j{n}", each) for n, (each, _) in enumerate(FAILED)]
    with updated(tmp_path, server=server):
        server.wait_for(jobs[-1])
        for job, (_, reason) in zip(jobs, FAILED, strict=True):
            assert job.status == "FAILED", job
            assert reason in job.details["reason"]


@pytest.mark.parametrize("name", ALL)
def test_fault_while_a_job_is_carried_out_fails_the_job_once(tmp_path: Path, name: str) -> None:
    server = JobServer(THING)
    odd, next_one = server.add("odd", document("report")), server.add("next", document("report"))
    odd.details = ["not", "an", "object"]  # type: ignore[assignment]
    odd.status, odd.version = "IN_PROGRESS", 2
    with updated(tmp_path, name, compiled=name != "cpython", server=server):
        server.wait_for(next_one)
        assert (odd.status, next_one.status) == ("FAILED", "SUCCEEDED")
        assert "AttributeError: " in odd.details["reason"]
        assert len(server.logins) == 1


def test_command_that_a_reset_interrupted_fails_and_is_not_run_again(tmp_path: Path) -> None:
    server = JobServer(THING)
    job = server.add("hangs", document("command", name="stuck"))
    with updated(tmp_path, server=server) as running:
        server.wait_for(job)
        assert (job.status, resets(running.board)) == ("FAILED", [WDT_RESET])
        assert "may have run or not" in job.details["reason"]


def test_command_found_in_progress_without_a_record_fails(tmp_path: Path) -> None:
    server = JobServer(THING)
    job = server.add("old", document("command", name="silent"))
    job.status, job.version, job.details = "IN_PROGRESS", 3, {"step": "run"}
    with updated(tmp_path, server=server):
        server.wait_for(job)
        assert job.status == "FAILED"
        assert "its result is unknown" in job.details["reason"]


@pytest.mark.parametrize("request_name", ["jobs/start-next", "jobs/j1/update"])
def test_connection_lost_at_a_request_repeats_nothing(tmp_path: Path, request_name: str) -> None:
    server = JobServer(THING)
    job = server.add("j1", document("command", name="relay", args={"on": 1}))
    lost: list[int] = []

    def close(name: str, _: dict[str, Any]) -> bool:
        if name == request_name and not lost:
            lost.append(1)
            return True
        return False

    server.close_at = close
    with updated(tmp_path, server=server) as running:
        server.wait_for(job)
        assert len(server.logins) == 2
        assert job.status == ("FAILED" if request_name.endswith("update") else "SUCCEEDED")
        assert running.lines.count("job j1\n") <= 2


def test_execution_that_was_cancelled_meanwhile_is_given_up(tmp_path: Path) -> None:
    server = JobServer(THING)
    job = server.add("cancelled", document("command", name="relay", args={"on": 1}))
    after = server.add("after", document("report"))

    def cancel(name: str, _: dict[str, Any]) -> bool:
        if name == "jobs/start-next" and job.status == "IN_PROGRESS":
            job.status = "CANCELED"
        return True

    server.answer = cancel
    with updated(tmp_path, server=server) as running:
        server.wait_for(after)
        assert job.history == []
        assert "IN_PROGRESS was refused (InvalidStateTransition)" in running.lines


def test_server_without_jobs_costs_no_telemetry(tmp_path: Path) -> None:
    server = JobServer(THING)
    server.answer = lambda _name, _values: False
    with updated(tmp_path, server=server, interval_s=2, timeout_s=10) as running:
        running.board.wait_for(r"jobs: no answer to \$next/get")  # with MQTT 5 it asks for what fits, too
        server.wait_until(lambda: len(server.telemetry) > 12)
        assert len(server.logins) == 1


@pytest.mark.parametrize("deep_sleep", [False, True])
def test_policy_that_denies_jobs_costs_two_connections_and_no_telemetry(tmp_path: Path, deep_sleep: bool) -> None:
    server = JobServer(THING)
    server.denied = {f"$aws/things/{THING}/jobs/notify"}
    with updated(tmp_path, server=server, deep_sleep=deep_sleep, interval_s=20) as running:
        server.wait_until(lambda: len(server.telemetry) > 5)
        assert len(server.subscribed) - server.subscribed.count(f"commands/{THING}") == 2
        assert "no updates: the server does not let this board subscribe" in running.lines


@pytest.mark.parametrize("goodbye", [b"", answers.disconnect(0x87)], ids=["close", "0x87"])
def test_policy_that_denies_the_request_costs_two_connections(tmp_path: Path, goodbye: bytes) -> None:
    server = JobServer(THING)
    server.close_at = lambda name, _values: name == "jobs/start-next"
    server.goodbye = goodbye
    with updated(tmp_path, server=server, interval_s=60) as running:
        server.wait_until(lambda: len(server.telemetry) > 5)
        assert len(server.logins) == 3
        assert "no updates: the server does not let this board publish to $aws/things/" in running.lines


def test_board_that_sleeps_looks_at_each_wake_and_stays_awake_for_a_job(tmp_path: Path) -> None:
    with updated(tmp_path, deep_sleep=True, interval_s=20) as running:
        server = running.server
        server.wait_until(lambda: len(server.telemetry) >= 2)
        job = server.add("wakes", document("command", name="relay", args={"on": 0}))
        server.wait_for(job)
        assert job.status == "SUCCEEDED"


def test_board_without_updates_asks_for_no_job(tmp_path: Path) -> None:
    with updated(tmp_path, updates=False) as running:
        running.server.wait_until(lambda: len(running.server.telemetry) > 3)
        assert (running.server.requests, running.server.subscribed) == ([], [f"commands/{THING}"])
