"""What a dry run says of each board, from the jobs that have succeeded on it, in a bounded number of calls."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mqtt443_tools.update import changes as changes_module
from mqtt443_tools.update.boards import files_update
from mqtt443_tools.update.changes import MAX_JOBS, changes
from mqtt443_tools.update.job_documents import Update, config_update

from tests.tools.console.test_device_updates import Service
from tests.tools.localcore.jobs.account import Account

UNKNOWN = "unknown: no earlier update set it"


class Jobs(Service):
    """A JobService whose jobs have ended at once."""

    number = 0

    def items(self, operation: str, key: str, **parameters: Any) -> Iterator[dict[str, Any]]:
        while True:
            page = self.call(operation, **parameters)
            yield from page[key]
            if "nextToken" not in page:
                return
            parameters["nextToken"] = page["nextToken"]

    def run(self, update: Update, *things: str, status: str = "SUCCEEDED") -> None:
        """Send an update to boards, which all report the same."""
        self.number += 1
        job_id = f"update-20261127T{self.number:06}-0123ab"
        self.account.job(job_id, *things, document=json.loads(update.document(job_id)))
        for thing in things:
            self.account.ask("jobs/start-next", {}, thing)
            self.account.ask(f"jobs/{job_id}/update", {"status": status}, thing)

    def told(self, update: Update, *things: str, **reported: str) -> dict[str, list[str]]:
        """Return the groups of a dry run, and count its calls anew."""
        self.calls.clear()
        return {each.text: each.client_ids for each in changes(self, things, update, reported)}  # type: ignore[arg-type]  # the part of a JobService that is used


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    account = Account(tmp_path / "state")
    yield Jobs(account)
    account.services.close()


def config(*texts: str, unset: tuple[str, ...] = ()) -> Update:
    return config_update(texts, unset, None)


def test_boards_that_change_in_the_same_way_are_one_group(jobs: Jobs) -> None:
    jobs.run(config("interval_s=60"), "a", "b", "c", "d")
    jobs.run(config("interval_s=30"), "c")
    jobs.run(config("interval_s=7"), "a", status="FAILED")
    found = jobs.told(config("interval_s=30"), "a", "b", "c", "d", "e")
    assert found == {"interval_s 60 -> 30": ["a", "b", "d"], "interval_s is 30 already": ["c"], UNKNOWN: ["e"]}
    assert next(iter(found)) == "interval_s 60 -> 30"


def test_key_that_is_unset_twice_is_sent_once() -> None:
    assert config(unset=("topic", "interval_s", "topic")).members["delete"] == ["topic", "interval_s"]


def test_each_key_has_its_newest_value(jobs: Jobs) -> None:
    jobs.run(config("interval_s=60", "topic=a/b"), "a")
    jobs.run(config(unset=("topic",)), "a")
    assert jobs.told(config("topic=c", "interval_s=5", "ntp_server=x"), "a") == {
        'topic default -> "c", interval_s 60 -> 5, ntp_server unknown -> "x"': ["a"]
    }
    assert jobs.told(config(unset=("topic", "interval_s")), "a") == {
        "topic is default already, interval_s 60 -> default": ["a"]
    }


def test_secret_is_not_shown(jobs: Jobs) -> None:
    jobs.run(config("wifi.password=old-old-old", "wifi.ssid=a"), "a")
    assert jobs.told(config("wifi.password=new-new-new", "wifi.ssid=b"), "a") == {
        'wifi.password *** -> ***, wifi.ssid "a" -> "b"': ["a"]
    }


def test_package_shows_its_version_and_which_build(jobs: Jobs) -> None:
    jobs.run(Update("package", {"version": "0.1.0"}, "", b"one" * 100), "a")
    jobs.run(Update("package", {"version": "0.2.0"}, "", b"two" * 100), "b")
    found = jobs.told(Update("package", {"version": "0.2.0"}, "", b"two" * 100), "a", "b")
    texts = {names[0]: text for text, names in found.items()}
    assert texts["b"].startswith("package is 0.2.0 (") and texts["b"].endswith(") already")
    assert texts["a"].startswith("package 0.1.0 (") and ") -> 0.2.0 (" in texts["a"]


def test_version_that_a_board_has_reported_since_goes_before_that_of_a_job(jobs: Jobs) -> None:
    update = Update("package", {"version": "0.2.0"}, "", b"two" * 100)
    jobs.run(update, "a", "b")
    found = jobs.told(update, "a", "b", "c", "d", a="0.2.0", b="0.1.0", c="0.1.0", e="0.1.0")
    assert list(found.values()) == [["b", "c"], ["a"], ["d"]]
    assert [text.split(" (")[0] for text in found] == ["package 0.1.0 -> 0.2.0", "package is 0.2.0", UNKNOWN]


def test_files_are_known_only_as_those_of_the_last_update(jobs: Jobs, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("A = 1\n")
    update = files_update([str(tmp_path / "a.py")], [])
    jobs.run(update, "a", "b")
    jobs.run(files_update([], ["x.py"]), "b")
    assert jobs.told(update, "a", "b", "c") == {
        "the same files as in the last update": ["a"],
        "other files than in the last update": ["b"],
        UNKNOWN: ["c"],
    }


def test_restart_changes_nothing_and_asks_nothing(jobs: Jobs) -> None:
    assert jobs.told(Update("restart", {}, "restart"), "a") == {}
    assert not jobs.calls


def test_jobs_of_others_and_documents_that_make_no_sense_are_passed_over(jobs: Jobs) -> None:
    jobs.run(config("interval_s=60"), "a")
    odd: tuple[Any, ...] = ("text", [], {"action": ["config"], "set": 5, "delete": {"a": 1}, "bundle": 7})
    for number, document in enumerate(odd):
        jobs.account.job(f"update-20261127T99999{number}-0123ab", "a", document=document)
    jobs.account.job("somebody-else-s", "a", document={"action": "config", "set": {"interval_s": 1}})
    assert jobs.told(config("interval_s=30"), "a") == {"interval_s 60 -> 30": ["a"]}


def test_number_of_calls_grows_neither_with_the_boards_nor_with_the_jobs(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(MAX_JOBS + 10):
        jobs.run(config(f"interval_s={number + 1}"), "a")
    jobs.told(config("interval_s=5"), "a")
    assert jobs.calls == {"list_jobs": 1, "get_job_document": 1, "list_job_executions_for_job": 1}
    unknown = [f"b-{number}" for number in range(10_000)]
    assert jobs.told(config("interval_s=5"), "a", *unknown)[UNKNOWN] == sorted(unknown)
    few = {"list_jobs": 1, "get_job_document": MAX_JOBS, "list_job_executions_for_job": MAX_JOBS}
    assert jobs.calls == few
    monkeypatch.setattr(changes_module, "MAX_RESULTS", 3)
    jobs.told(config("interval_s=5"), "a", *unknown)
    assert jobs.calls["list_job_executions_for_job"] == 3
