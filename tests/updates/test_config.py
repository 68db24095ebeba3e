"""Config and password over the air: tried, and kept if they work; else the old ones return. No reading is lost."""

import json
from pathlib import Path
from typing import Any

import pytest
from mqtt443_tools.virtualboard.supervisor import HARD_RESET

from tests.support.board import flash_image
from tests.support.mqtt.job_server import Execution, JobServer
from tests.updates.boards import THING, Updated, document, resets, updated
from tests.updates.test_jobs import KINDS

HOME: dict[str, Any] = {
    "wifi": {"ssid": "home", "password": "right"},
    "world": {"wifi_ssid": "home", "wifi_password": "right"},
}


def config_on(running: Updated) -> dict[str, Any]:
    """Return the config.json of a board that is off."""
    board = running.board
    if board.flash is None:
        return json.loads((board.root / "config.json").read_text())  # type: ignore[no-any-return]
    return json.loads(flash_image.read(board.interpreter, board.flash, "")["config.json"])  # type: ignore[no-any-return]


@pytest.mark.parametrize(("name", "compiled"), KINDS)
def test_new_config_and_password_are_tried_and_kept(tmp_path: Path, name: str, compiled: bool) -> None:
    server = JobServer(THING)
    changes = {"interval_s": 3, "wifi.ssid": "any", "wifi.password": "x"}
    config = server.add("c1", document("config", set=changes, delete=["reset_after", "wifi.password"]))
    password = server.add("p1", document("password", password="new"))
    with updated(tmp_path, name, compiled=compiled, server=server, reset_after=7) as running:
        server.wait_for(password)
        assert [config.status, password.status] == ["SUCCEEDED", "SUCCEEDED"], server.executions
        assert config.history[0] == ("IN_PROGRESS", {"step": "trial"})
        assert server.logins == ["p", "p", "new"]
        assert resets(running.board) == [HARD_RESET] * 2
        running.off()
        kept = config_on(running)
        assert (kept["interval_s"], kept["password"], kept["wifi"]) == (3, "new", {"ssid": "any"})
        assert "reset_after" not in kept


def test_long_interval_does_not_delay_the_end_of_a_trial(tmp_path: Path) -> None:
    server = JobServer(THING)
    job = server.add("slow", document("config", set={"interval_s": 86400}))
    with updated(tmp_path, server=server):
        server.wait_for(job)
        assert job.status == "SUCCEEDED"


class GrowingExecution(Execution):
    """An execution that no longer fits max_message_bytes once its first step was reported."""

    def shown(self, *, document: bool = True) -> dict[str, Any]:
        shown = super().shown(document=document)
        return {**shown, "jobDocument": {**self.document, "pad": "x" * 600}} if document and self.history else shown


@pytest.mark.parametrize("name", ["alpn", "stock-1.25"])
def test_job_that_has_been_carried_out_is_not_rejected_for_its_size(tmp_path: Path, name: str) -> None:
    server = JobServer(THING)
    server.accept = lambda password: password in ("p", "good")
    good, bad = (GrowingExecution(each, document("password", password=each, within_s=40)) for each in ("good", "bad"))
    server.executions += [good, bad]
    with updated(tmp_path, name, server=server):
        server.wait_for(bad)
        assert [good.status, bad.status] == ["SUCCEEDED", "FAILED"]
        assert server.logins[-1] == "good"


def test_wrong_wifi_password_costs_nothing_but_a_failed_job(tmp_path: Path) -> None:
    server = JobServer(THING)
    job = server.add("w", document("config", set={"wifi.password": "wrong"}, within_s=60))
    with updated(tmp_path, server=server, **HOME) as running:
        server.wait_for(job)
        assert job.status == "FAILED"
        assert job.details["reason"].startswith("WifiError: no Wi-Fi connection to home (wrong password)")
        server.wait_until(lambda: len(server.telemetry) > 20)
        assert len(server.logins) == 2
        running.off()
        assert config_on(running)["wifi"]["password"] == "right"


FAILING: list[tuple[dict[str, Any], str]] = [
    ({"password": "wrong"}, "ClosedBeforeConnack"),
    ({"port": 1}, "ConnectFailed"),
    ({"wifi": {"ssid": "elsewhere"}}, "WifiError"),
    ({"endpoint": "localhost.localdomain.invalid"}, "DnsError"),
    ({"ca": "none.der"}, "there is no file none.der"),
]


@pytest.mark.parametrize(("changes", "reason"), FAILING, ids=[next(iter(changes)) for changes, _ in FAILING])
@pytest.mark.parametrize("name", ["alpn", "stock-1.25"])
def test_config_that_cannot_connect_returns_with_the_cause(
    tmp_path: Path, name: str, changes: dict[str, Any], reason: str
) -> None:
    server = JobServer(THING)
    server.accept = lambda password: password == "p"
    job = server.add("bad", document("config", set=changes, within_s=40))
    with updated(tmp_path, name, server=server, **HOME) as running:
        server.wait_for(job)
        assert job.status == "FAILED"
        assert reason in job.details["reason"], job.details
        running.off()
        assert not changes.items() <= config_on(running).items()


def test_board_that_sleeps_tries_a_config_without_sleeping(tmp_path: Path) -> None:
    server = JobServer(THING)
    server.accept = lambda password: password in ("p", "good")
    bad = server.add("bad", document("password", password="wrong", within_s=40))
    good = server.add("good", document("password", password="good"))
    with updated(tmp_path, server=server, deep_sleep=True, interval_s=20):
        server.wait_for(good)
        assert [bad.status, good.status] == ["FAILED", "SUCCEEDED"]
        server.wait_until(lambda: server.logins[-2:] == ["good", "good"])


def test_readings_in_ram_alone_outlive_a_trial(tmp_path: Path) -> None:
    server = JobServer(THING)
    server.accept = lambda password: password == "p"
    job = server.add("bad", document("password", password="wrong", within_s=60))
    with updated(tmp_path, server=server, outbox_bytes=0, interval_s=3) as running:
        server.wait_for(job)
        server.wait_until(lambda: len(server.telemetry) > 25)
        running.off()
        board = running.board
        assert board.flash is not None
        assert "outbox" not in flash_image.read(board.interpreter, board.flash, "", "outbox")


REJECTED: list[tuple[dict[str, Any], str]] = [
    ({"set": {"interval_s": 0}}, "interval_s is 0"),
    ({"set": {"intervall_s": 5}}, "did you mean interval_s?"),
    ({"set": {"client_id": "other"}}, "client_id names the Thing"),
    ({"set": {"updates": False}}, "updates can be switched off with the cable only"),
    ({"delete": ["endpoint"]}, "endpoint is missing"),
    ({"delete": ["interval"]}, "unknown key 'interval' in delete"),
    ({"set": {"interval_s": 5}, "within_s": 5}, "within_s must be 10 to 3600"),
    ({"set": []}, "set must be an object"),
    ({"set": {"password": 5}}, "password is (hidden)"),
    ({"set": {"wifi.ssid": ""}}, "wifi.ssid is ''"),
    ({"set": {"wifi.name": "x"}}, "wifi must be"),
]


def test_config_that_the_validator_refuses_is_rejected_with_the_key(tmp_path: Path) -> None:
    server = JobServer(THING)
    jobs = [server.add(f"j{n}", document("config", **each)) for n, (each, _) in enumerate(REJECTED)]
    jobs.append(server.add("empty", document("password", password="")))
    with updated(tmp_path, server=server) as running:
        server.wait_for(jobs[-1])
        assert [job.status for job in jobs] == ["REJECTED"] * len(jobs)
        for job, (_, reason) in zip(jobs, REJECTED, strict=False):
            assert reason in job.details["reason"], job
        assert resets(running.board) == []


def test_flash_that_is_full_fails_the_job(tmp_path: Path) -> None:
    server = JobServer(THING)
    job = server.add("full", document("config", set={"will_message": "x" * 200}))
    sensors = "n = 0\ndef read():\n    global n\n    n += 1\n    return {'id': n}\n"
    with updated(tmp_path, server=server, sensors=sensors, on=False, max_message_bytes=1024) as running:
        board = running.board
        assert board.flash is not None
        flash_image.fill(board.interpreter, board.flash)
        board.power_on()
        server.wait_for(job)
        assert job.status == "FAILED"
        assert "flash" in job.details["reason"], job
        assert resets(board) == []


def test_trial_that_the_watchdog_ends_twice_brings_the_old_config_back(tmp_path: Path) -> None:
    server = JobServer(THING)
    # The sensors hang while a config is on trial.
    sensors = """
import os

def read():
    while "config.json.trial" in os.listdir():
        pass
    return {}
"""
    job = server.add("hangs", document("config", set={"interval_s": 7}))
    with updated(tmp_path, server=server, sensors=sensors, watchdog_s=200) as running:
        server.wait_for(job)
        assert job.status == "FAILED"
        assert job.details["reason"] == "the board did not connect and publish in 2 starts"
        running.off()
        assert config_on(running)["interval_s"] == 5
