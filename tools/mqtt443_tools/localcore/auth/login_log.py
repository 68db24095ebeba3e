"""What an authorizer logs about each login, so that a refusal can name its cause.

The answer that AWS asks for has no room for a cause: a Lambda function can only log it. Ours logs one line of JSON for
each login (docs/authorizer.md). The worker flushes its log before it answers, so the line is here as soon as the event
loop has read it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

MAX_REASONS = 100
WAIT_S = 1.0
"""Longest wait for a line that is missing."""


def parse_login(line: str) -> dict[str, Any] | None:
    """Return a line of the Lambda's log as an object if it is a decision of the authorizer."""
    try:
        decision = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return decision if isinstance(decision, dict) and "decision" in decision else None


class RecentLogins:
    """The last log lines of the authorizer that are decisions, oldest first.

    Args:
        most: how many are kept.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._logins: dict[str, dict[str, Any]] = {}
        self._unnamed = 0

    def add(self, login: dict[str, Any]) -> None:
        """Keep a decision; a newer one about the same connection replaces it."""
        connection = login.get("connection")
        if not isinstance(connection, str):  # of an authorizer that is not ours
            self._unnamed += 1
            connection = f"#{self._unnamed}"
        self._logins.pop(connection, None)
        self._logins[connection] = login
        if len(self._logins) > self._most:
            del self._logins[next(iter(self._logins))]

    def of_connection(self, connection_id: str) -> dict[str, Any] | None:
        """Return the last decision about a connection, None if it is no longer stored."""
        return self._logins.get(connection_id)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._logins.values())


class LoginLog:
    """The last decisions of one authorizer.

    Args:
        on_log: takes every line.
    """

    def __init__(self, on_log: Callable[[str], None]) -> None:
        self._on_log = on_log
        self._reasons: dict[str, str] = {}
        self._news = asyncio.Event()

    def take(self, line: str) -> None:
        """Take a line of the log."""
        self._on_log(line)
        if '"refuse"' not in line:  # most lines; parsing them would be pointless
            return
        match parse_login(line):
            case {"connection": str(connection), "decision": "refuse", "reason": str(reason)}:
                self._reasons.pop(connection, None)
                self._reasons[connection] = reason
                if len(self._reasons) > MAX_REASONS:
                    del self._reasons[next(iter(self._reasons))]
                self._news.set()

    async def reason(self, connection_id: str) -> str | None:
        """Return why the authorizer refused a connection, or None if it did not say so in time."""
        try:
            async with asyncio.timeout(WAIT_S):
                while connection_id not in self._reasons:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return None
        return self._reasons.pop(connection_id)
