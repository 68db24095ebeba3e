"""Shadows of an account: requests and answers on their topics, and the calls of the data plane."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from mqtt443_authorizer.database import open_database
from mqtt443_tools.localcore.jobs import jobs_database
from mqtt443_tools.localcore.jobs.jobs_database import JOBS_FILE
from mqtt443_tools.localcore.jobs.service_errors import ServiceError

from tests.tools.localcore.jobs.account import Account
from tests.tools.localcore.jobs.shadow_requests import CLASSIC, NAMED, rejected, send, update


@pytest.mark.parametrize("shadow", [CLASSIC, NAMED])
def test_update_is_accepted_and_documented_and_leaves_a_delta(account: Account, shadow: str) -> None:
    now = int(account.clock.time())
    request = {"state": {"desired": {"on": True, "rgb": [1, 2]}, "reported": {"on": False}}, "clientToken": "t-1"}
    answers = send(account, "update", request, shadow)
    assert sorted(answers) == ["update/accepted", "update/delta", "update/documents"]
    stamp = {"timestamp": now}
    assert answers["update/accepted"] == {
        "state": request["state"],
        "metadata": {"desired": {"on": stamp, "rgb": [stamp, stamp]}, "reported": {"on": stamp}},
        "version": 1,
        "timestamp": now,
        "clientToken": "t-1",
    }
    assert answers["update/delta"] == {
        "state": {"on": True, "rgb": [1, 2]},
        "metadata": {"on": stamp, "rgb": [stamp, stamp]},
        "version": 1,
        "timestamp": now,
        "clientToken": "t-1",
    }
    documents = answers["update/documents"]
    assert documents["previous"] == {"state": {}, "metadata": {}, "version": 0}
    assert documents["current"] == {
        "state": request["state"],
        "metadata": answers["update/accepted"]["metadata"],
        "version": 1,
    }
    got = send(account, "get", {"clientToken": "t-2"}, shadow)["get/accepted"]
    assert got["state"] == {**request["state"], "delta": {"on": True, "rgb": [1, 2]}}  # type: ignore[dict-item]
    assert (got["version"], got["clientToken"]) == (1, "t-2")


def test_delta_ends_when_the_device_reports_the_desired_state(account: Account) -> None:
    update(account, desired={"led": {"on": True, "level": 5}})
    assert update(account, reported={"led": {"on": True}})["update/delta"]["state"] == {"led": {"level": 5}}
    answers = update(account, reported={"led": {"level": 5.0}})
    assert sorted(answers) == ["update/accepted", "update/documents"]
    assert "delta" not in send(account, "get")["get/accepted"]["state"]


def test_null_deletes_a_key_and_a_section(account: Account) -> None:
    update(account, desired={"a": 1, "b": 2}, reported={"a": 1})
    answers = update(account, desired={"a": None}, reported=None)
    assert answers["update/accepted"]["state"] == {"desired": {"a": None}, "reported": None}
    current = answers["update/documents"]["current"]
    assert current["state"] == {"desired": {"b": 2}}
    assert list(current["metadata"]) == ["desired"]
    assert answers["update/documents"]["previous"]["state"]["desired"] == {"a": 1, "b": 2}


def test_version_must_be_the_latest_one(account: Account) -> None:
    update(account, reported={"a": 1})
    request = {"state": {"reported": {"a": 2}}, "clientToken": "mine"}
    answers = send(account, "update", {**request, "version": 2})
    assert answers["update/rejected"] == {"code": 409, "message": "Version conflict", "clientToken": "mine"}
    assert send(account, "update", {**request, "version": 1})["update/accepted"]["version"] == 2
    assert rejected(send(account, "update", {**request, "version": 1})) == (409, "Version conflict")
    assert send(account, "get")["get/accepted"]["state"] == {"reported": {"a": 2}}


def test_deleted_shadow_leaves_its_version(account: Account) -> None:
    update(account, reported={"a": 1})
    update(account, reported={"a": 2})
    accepted = send(account, "delete", {"clientToken": "t"})["delete/accepted"]
    assert (accepted["version"], accepted["clientToken"]) == (2, "t")
    gone = (404, "No shadow exists with name: 'dev-1'")
    assert rejected(send(account, "get"), "get") == gone
    assert rejected(send(account, "delete", b"\xff not JSON"), "delete") == gone
    answers = update(account, reported={"b": 1})
    assert answers["update/accepted"]["version"] == 3
    assert answers["update/documents"]["current"]["state"] == {"reported": {"b": 1}}


def test_shadows_of_a_thing_are_apart(account: Account) -> None:
    update(account, reported={"a": 1})
    update(account, NAMED, reported={"a": 2})
    send(account, "delete")
    assert send(account, "get", shadow=NAMED)["get/accepted"]["state"] == {"reported": {"a": 2}}
    assert rejected(send(account, "get", thing="dev-2"), "get")[0] == 404
    missing = send(account, "get", shadow="shadow/name/other")
    assert rejected(missing, "get") == (404, "No shadow exists with name: 'dev-1~other'")


def test_shadow_outlives_the_endpoint(tmp_path: Path) -> None:
    first = Account(tmp_path / "state")
    update(first, reported={"a": 1}, desired={"a": 2})
    first.services.close()
    second = Account(tmp_path / "state")
    try:
        got = send(second, "get")["get/accepted"]
        assert (got["version"], got["state"]["delta"]) == (1, {"a": 2})
    finally:
        second.services.close()


def test_state_folder_of_an_endpoint_without_shadows_gets_them(tmp_path: Path) -> None:
    state = tmp_path / "state"
    open_database(state / JOBS_FILE, [jobs_database._create]).close()
    account = Account(state)
    try:
        assert "update/accepted" in update(account, reported={"a": 1})
    finally:
        account.services.close()


def test_shadow_that_cannot_be_stored_is_rejected_and_the_log_says_why(account: Account) -> None:
    other = sqlite3.connect(account.state / JOBS_FILE)
    other.execute("DROP TABLE shadow_count")
    other.close()
    assert rejected(update(account, reported={"a": 1})) == (500, "Internal service failure")
    assert account.log == ["$aws/things/dev-1/shadow/update: no such table: shadow_count"]
    assert rejected(send(account, "get"), "get")[0] == 404


# The data plane's calls


def call(account: Account, operation: str, **parameters: Any) -> Any:
    return json.loads(account.call(operation, thingName="dev-1", **parameters)["payload"])


def test_commands_read_and_change_what_devices_see(account: Account) -> None:
    start = len(account.published)
    accepted = call(account, "update_thing_shadow", payload='{"state":{"desired":{"a":1}}}')
    told = [topic.removeprefix("$aws/things/dev-1/shadow/") for topic, _ in account.published[start:]]
    assert told == ["update/delta", "update/documents", "update/accepted"]
    assert accepted == account.published[-1][1]
    assert call(account, "get_thing_shadow")["state"] == {"desired": {"a": 1}, "delta": {"a": 1}}
    assert call(account, "update_thing_shadow", shadowName="n", payload='{"state":{}}')["version"] == 1
    assert call(account, "delete_thing_shadow")["version"] == 1
    assert account.published[-1][0] == "$aws/things/dev-1/shadow/delete/accepted"


@pytest.mark.parametrize(
    ("operation", "parameters", "exception"),
    [
        ("get_thing_shadow", {}, "ResourceNotFoundException"),
        ("delete_thing_shadow", {"shadowName": "n"}, "ResourceNotFoundException"),
        ("update_thing_shadow", {"payload": "{"}, "InvalidRequestException"),
        ("update_thing_shadow", {"payload": '{"state":{},"version":3}'}, "ConflictException"),
        (
            "update_thing_shadow",
            {"payload": json.dumps({"state": {"desired": {"a": "x" * 8190}}})},
            "RequestEntityTooLargeException",
        ),
        ("update_thing_shadow", {"payload": "\ud800"}, "UnsupportedDocumentEncodingException"),
        ("update_thing_shadow", {"payload": 1}, "InvalidRequestException"),
        ("get_thing_shadow", {"shadowName": "a/b"}, "InvalidRequestException"),
        ("list_named_shadows_for_thing", {"pageSize": 101}, "InvalidRequestException"),
        ("list_named_shadows_for_thing", {"nextToken": "\ud800"}, "InvalidRequestException"),
    ],
)
def test_refused_call_names_the_exception_and_notifies_no_subscriber(
    account: Account, operation: str, parameters: dict[str, Any], exception: str
) -> None:
    with pytest.raises(ServiceError) as caught:
        account.services.call(operation, {"thingName": "dev-1", **parameters})
    assert caught.value.exception == exception
    assert account.published == []


def test_named_shadows_are_listed_in_pages(account: Account) -> None:
    for name in ("c", "a", "b", "$d"):
        update(account, f"shadow/name/{name}", reported={"x": 1})
    update(account, reported={"x": 1})
    send(account, "delete", shadow="shadow/name/b")
    first = account.call("list_named_shadows_for_thing", thingName="dev-1", pageSize=2)
    assert (first["results"], first["timestamp"]) == (["$d", "a"], int(account.clock.time()))
    last = account.call("list_named_shadows_for_thing", thingName="dev-1", pageSize=2, nextToken=first["nextToken"])
    assert last["results"] == ["c"]
    assert "nextToken" not in last
    assert account.call("list_named_shadows_for_thing", thingName="dev-2")["results"] == []
