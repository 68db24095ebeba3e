"""Requests of devices to the shadows of an account."""

from __future__ import annotations

import json
from typing import Any

from tests.tools.localcore.jobs.account import Account

CLASSIC, NAMED = "shadow", "shadow/name/config"


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
