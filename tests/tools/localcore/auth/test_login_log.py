"""The cause of a refused login, from the authorizer's log to the code that refuses the client."""

from __future__ import annotations

import asyncio
import json

import pytest
from mqtt443_tools.localcore.auth import login_log
from mqtt443_tools.localcore.auth.login_log import LoginLog, RecentLogins


def line(connection: str, reason: str, decision: str = "refuse") -> str:
    return json.dumps({"connection": connection, "decision": decision, "reason": reason})


def test_reason_of_a_connection_is_its_last_refusal_in_any_order() -> None:
    lines: list[str] = []

    async def run() -> list[str | None]:
        log = LoginLog(lines.append)
        early = asyncio.create_task(log.reason("a"))
        await asyncio.sleep(0)
        for text in ("not JSON", "[]", line("b", "wrong password"), line("a", "unknown user name")):
            log.take(text)
        return [await early, await log.reason("b")]

    assert asyncio.run(run()) == ["unknown user name", "wrong password"]
    assert len(lines) == 4


def test_reason_that_never_comes_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login_log, "WAIT_S", 0.01)

    async def run() -> str | None:
        log = LoginLog(lambda _: None)
        log.take(line("a", "the password matches", "allow"))
        return await log.reason("a")

    assert asyncio.run(run()) is None


def test_unclaimed_reasons_are_bounded() -> None:
    log = LoginLog(lambda _: None)
    for number in range(2 * login_log.MAX_REASONS):
        log.take(line(str(number), "wrong password"))
    assert len(log._reasons) == login_log.MAX_REASONS


def test_last_logins_are_kept_by_connection_the_oldest_goes_first() -> None:
    logins = RecentLogins(2)
    for connection, number in (("a", 1), ("b", 2), ("a", 3), ("c", 4)):
        logins.add({"connection": connection, "number": number})
    assert [login["number"] for login in logins] == [3, 4]
    assert logins.of_connection("a") == {"connection": "a", "number": 3}
    assert logins.of_connection("b") is None


def test_logins_of_a_foreign_authorizer_need_no_connection() -> None:
    logins = RecentLogins(2)
    for connection in (None, 7, ["x"]):
        logins.add({"connection": connection, "decision": "allow"})
    assert [login["connection"] for login in logins] == [7, ["x"]]
