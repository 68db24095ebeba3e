"""What shadows refuse: hostile documents, too many requests, too large a state, too many shadows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.tools.localcore.jobs.account import Account
from tests.tools.localcore.jobs.shadow_requests import rejected, send, update

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


@pytest.mark.parametrize("topic", ["jobs/get", "jobs/start-next", "jobs/job-1/update", "streams/s/get/json"])
@pytest.mark.parametrize("payload", [b'{"clientToken":"\\ud800","c":"\\ud800"}', b'{"a":NaN}', b'{"a":1e999}', b"\xff"])
def test_other_services_reject_it_too(account: Account, topic: str, payload: bytes) -> None:
    ((answered, answer),) = account.answers(topic, payload)
    assert "/rejected" in answered
    assert answer.get("code", answer.get("o")) == "InvalidJson"
