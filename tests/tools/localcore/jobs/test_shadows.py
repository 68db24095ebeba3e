"""Shadows of an account: requests and answers on their topics, and the calls of the data plane."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mqtt443_authorizer.database import open_database
from mqtt443_tools.localcore.jobs import jobs_database
from mqtt443_tools.localcore.jobs.jobs_database import JOBS_FILE
from mqtt443_tools.localcore.jobs.service_errors import ServiceError

from tests.tools.localcore.jobs.account import Account

CLASSIC, NAMED = "shadow", "shadow/name/config"
MakeAccount = Callable[..., Account]


@pytest.fixture
def make_account(tmp_path: Path) -> Iterator[MakeAccount]:
    accounts: list[Account] = []

    def make(**settings: Any) -> Account:
        accounts.append(Account(tmp_path / f"state-{len(accounts)}", **settings))
        return accounts[-1]

    yield make
    for account in accounts:
        account.services.close()


def send(
    account: Account, verb: str, request: Any = b"", shadow: str = CLASSIC, thing: str = "dev-1"
) -> dict[str, Any]:
    """Publish a request; return what the service publishes, by the topic behind the shadow's prefix."""
    payload = request if isinstance(request, bytes) else json.dumps(request).encode()
    base = f"$aws/things/{thing}/{shadow}/"
    start = len(account.published)
    assert account.services.request(f"{base}{verb}", payload) == []
    account.clock.advance(0.1)  # stays below the rate
    return {topic.removeprefix(base): answer for topic, answer in account.published[start:]}


def update(account: Account, shadow: str = CLASSIC, **sections: Any) -> dict[str, Any]:
    return send(account, "update", {"state": sections}, shadow)


def rejected(answers: dict[str, Any], verb: str = "update") -> tuple[int, str]:
    assert list(answers) == [f"{verb}/rejected"]
    answer = answers[f"{verb}/rejected"]
    return answer["code"], answer["message"]


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


def test_delta_ends_when_the_device_reports_what_is_desired(account: Account) -> None:
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


DEEP = '{"state":{"reported":' + '{"a":' * 7 + "1" + "}" * 7 + "}}"


@pytest.mark.parametrize(
    ("payload", "code", "message"),
    [
        ("", 400, "Invalid JSON"),
        ("[]", 400, "Invalid JSON"),
        ("null", 400, "Invalid JSON"),
        ('{"state":{"reported":{"a":1}}', 400, "Invalid JSON"),
        ('{"state":{"reported":{"a":NaN}}}', 400, "Invalid JSON"),
        ('{"state":{"reported":{"a":-Infinity}}}', 400, "Invalid JSON"),
        ('{"state":{"reported":{"a":1e999}}}', 400, "Invalid JSON"),
        ('{"state":{"reported":{"a":' + "9" * 5000 + "}}}", 400, "Invalid JSON"),
        ('{"state":{"reported":{"a":"\\ud800"}}}', 400, "Invalid JSON"),
        ('{"state":{"reported":{"\\udfff":1}}}', 400, "Invalid JSON"),
        ('\ufeff{"state":{}}', 400, "Invalid JSON"),
        ("[" * 4000, 400, "Invalid JSON"),
        ('{"other":' + '{"a":' * 1300 + "1" + "}" * 1301, 400, "Invalid JSON"),
        ("{}", 400, "Missing required node: state"),
        ('{"state":null}', 400, "State node must be an object"),
        ('{"state":[]}', 400, "State node must be an object"),
        ('{"state":{"desired":1}}', 400, "Desired node must be an object"),
        ('{"state":{"reported":"x"}}', 400, "Reported node must be an object"),
        ('{"state":{"delta":{}}}', 400, "State contains an invalid node: 'delta'"),
        ('{"state":{"reported":{"a":[null,1]}}}', 400, "State contains an invalid node"),
        ('{"state":{"reported":{"a":[{"b":null}]}}}', 400, "State contains an invalid node"),
        ('{"state":{},"version":"1"}', 400, "Invalid version"),
        ('{"state":{},"version":true}', 400, "Invalid version"),
        ('{"state":{},"version":-1}', 400, "Invalid version"),
        ('{"state":{},"version":1.0}', 400, "Invalid version"),
        ('{"state":{},"clientToken":5}', 400, "Invalid clientToken"),
        ('{"state":{},"clientToken":"' + "x" * 65 + '"}', 400, "Invalid clientToken"),
        ('{"state":{},"clientToken":"' + "é" * 33 + '"}', 400, "Invalid clientToken"),
        ('{"state":{},"version":7}', 409, "Version conflict"),
        (DEEP, 400, "JSON contains too many levels of nesting; maximum is 6"),
        ('{"state":{"reported":{"a":"' + "x" * 8190 + '"}}}', 413, "The payload exceeds the maximum size allowed"),
        ('{"state":{"reported":{"a":"é"}}}'.encode("latin-1"), 415, None),
        ('{"state":{}}'.encode("utf-16"), 415, None),
    ],
)
def test_hostile_document_is_rejected_and_changes_nothing(
    account: Account, payload: str | bytes, code: int, message: str | None
) -> None:
    content = payload.encode() if isinstance(payload, str) else payload
    found = rejected(send(account, "update", content))
    assert found == (code, message or "Unsupported documented encoding; supported encoding is UTF-8")
    assert rejected(send(account, "get"), "get")[0] == 404


def test_request_for_a_document_may_be_empty_but_not_wrong(account: Account) -> None:
    update(account, reported={"a": 1})
    assert rejected(send(account, "get", b"{"), "get") == (400, "Invalid JSON")
    assert "get/accepted" in send(account, "get", {"anything": 1})


def test_last_of_two_equal_keys_counts_and_other_nodes_are_ignored(account: Account) -> None:
    send(account, "update", b'{"state":{"reported":{"a":1,"a":2}},"other":{"b":null}}')
    assert send(account, "get")["get/accepted"]["state"] == {"reported": {"a": 2}}


def test_large_and_exact_numbers_come_back_as_they_were(account: Account) -> None:
    values = {"big": 10**30, "small": 5e-324, "tenth": 0.1, "negative": -(2**63)}
    update(account, reported=values)
    assert send(account, "get")["get/accepted"]["state"]["reported"] == values


def test_state_has_8_kilobytes_without_its_metadata(account: Account) -> None:
    room = 8192 - len('{"a":""}') - len('{"b":""}')
    update(account, desired={"a": "x" * 4000})
    answers = update(account, reported={"b": "y" * (room - 4000)})
    assert "update/accepted" in answers
    too_large = (413, "The payload exceeds the maximum size allowed")
    assert rejected(update(account, reported={"c": 1})) == too_large
    assert rejected(update(account, reported={"b": "y" * (room - 3999)})) == too_large
    assert send(account, "get")["get/accepted"]["version"] == 2
    assert "update/accepted" in update(account, desired={"a": None, "c": 1})


def test_size_is_that_of_compact_utf_8(account: Account) -> None:
    assert "update/accepted" in update(account, reported={"a": "é" * 4000})  # six bytes each on the way
    assert "update/accepted" in send(account, "update", b'{"state":{"reported":{"a":' + b" " * 9000 + b"1}}}")
    payload = '{"state":{"reported":{"a":"' + "é" * 4093 + '"}}}'
    assert rejected(send(account, "update", payload.encode()))[0] == 413


def test_thing_has_20_requests_a_second(account: Account) -> None:
    topic = "$aws/things/dev-1/shadow/get"
    for _ in range(21):
        account.services.request(topic, b"")
    codes = [answer["code"] for _, answer in account.published]
    assert codes == [404] * 20 + [429]
    account.services.request("$aws/things/dev-2/shadow/get", b"")
    account.clock.advance(1)
    account.services.request(topic, b"")
    assert [answer["code"] for _, answer in account.published[21:]] == [404, 404]


def test_oldest_deleted_shadow_gives_way_and_a_live_one_does_not(make_account: MakeAccount) -> None:
    account = make_account(max_shadows=2)
    for name in ("a", "b"):
        update(account, f"shadow/name/{name}", reported={"x": 1})
        account.clock.advance(1)
    assert rejected(update(account, "shadow/name/c", reported={"x": 1}))[0] == 429
    for name in ("b", "a"):
        send(account, "delete", shadow=f"shadow/name/{name}")
        account.clock.advance(1)
    assert update(account, "shadow/name/c", reported={"x": 1})["update/accepted"]["version"] == 1
    assert update(account, "shadow/name/a", reported={"x": 1})["update/accepted"]["version"] == 2
    assert rejected(update(account, "shadow/name/b", reported={"x": 1}))[0] == 429


def test_thing_can_be_required(make_account: MakeAccount) -> None:
    account = make_account(shadow_things="registered", shadow_depth=8)
    assert rejected(update(account, reported={"a": 1})) == (404, "Thing not found")
    account.call("create_thing", thingName="dev-1")
    assert "update/accepted" in send(account, "update", DEEP.encode())


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


def test_requests_cost_the_same_among_a_thousand_shadows(account: Account) -> None:
    def steps() -> int:
        count = 0

        def step() -> int:
            nonlocal count
            count += 1
            return 0

        database = account.services._database
        assert database is not None
        database.set_progress_handler(step, 1)
        update(account, f"shadow/name/n{count}-{len(account.published)}", reported={"a": 1})
        send(account, "get")
        database.set_progress_handler(None, 1)
        return count

    update(account, reported={"a": 1})
    few = steps()
    for number in range(1000):
        update(account, f"shadow/name/s{number}", reported={"a": number})
    assert steps() <= few + 20  # a level of the tree more


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
def test_refused_call_names_the_exception_and_tells_no_subscriber(
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


# What else devices send that is no JSON in UTF-8


@pytest.mark.parametrize("topic", ["jobs/get", "jobs/start-next", "jobs/job-1/update", "streams/s/get/json"])
@pytest.mark.parametrize("payload", [b'{"clientToken":"\\ud800","c":"\\ud800"}', b'{"a":NaN}', b'{"a":1e999}', b"\xff"])
def test_other_services_reject_it_too(account: Account, topic: str, payload: bytes) -> None:
    ((answered, answer),) = account.answers(topic, payload)
    assert "/rejected" in answered
    assert answer.get("code", answer.get("o")) == "InvalidJson"
