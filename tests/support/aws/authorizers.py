"""Authorizers for tests: a registry over one real Lambda function, and requests to ask it with."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from mqtt443_tools.localcore.auth.authorizer import Authorizer, AuthorizerRules, Grant
from mqtt443_tools.localcore.auth.registry import AuthorizerRegistry
from mqtt443_tools.localcore.auth.request import Request
from mqtt443_tools.localcore.localcore_errors import Refused

from tests.support.aws.lambda_functions import lambda_function
from tests.support.mqtt.manual_clock import ManualClock

# Logs the event and lets everybody in; the policy names the authorizer and how often it was asked.
ALLOW = """
    import json
    calls = 0

    def handler(event, context):
        global calls
        calls += 1
        print(json.dumps(event))
        statement = {"Effect": "Allow", "Action": "iot:Connect", "Resource": "arn:aws:iot:*:client/call-%d" % calls}
        return {
            "isAuthenticated": True,
            "principalId": "p%d" % calls,
            "disconnectAfterInSeconds": 1000 + calls,
            "refreshAfterInSeconds": 300 + calls,
            "policyDocuments": [{"Version": "2012-10-17", "Statement": statement}],
        }
"""
REQUEST = Request("localhost", ("tls", "mqtt"), None, None, "dev", b"secret", "dev", "id-1", "127.0.0.1")


def named(name: str, **more: Any) -> Request:
    """A request whose user name names an authorizer."""
    return dataclasses.replace(REQUEST, mqtt_username=f"dev?x-amz-customauthorizer-name={name}", **more)


@asynccontextmanager
async def registry_of(
    folder: Path, source: str, *variants: dict[str, Any], default: str | None = None, **rules: Any
) -> AsyncIterator[tuple[AuthorizerRegistry, list[str], ManualClock]]:
    """A registry of authorizers, one per variant, which share one function; closed at the end."""
    clock = ManualClock()
    async with lambda_function(folder, source) as (function, log):
        authorizers = [Authorizer(**{"function": function, **variant}) for variant in variants]
        registry = AuthorizerRegistry(authorizers, default, clock, AuthorizerRules(**rules))
        try:
            yield registry, log, clock
        finally:
            await registry.close()


def ask(
    folder: Path,
    request: Request,
    *variants: dict[str, Any],
    source: str = ALLOW,
    default: str | None = None,
    **options: Any,
) -> tuple[Grant | Refused, list[dict[str, Any]]]:
    """One request; gives the outcome and the events that the Lambda saw."""
    endpoint = {key: options.pop(key) for key in ("endpoint_default", "allow_override") if key in options}

    async def run() -> tuple[Grant | Refused, list[str]]:
        async with registry_of(folder, source, *variants, default=default, **options) as (registry, log, _):
            try:
                outcome: Grant | Refused = await registry.authorize(request, **endpoint)
            except Refused as refused:
                outcome = refused
        return outcome, log

    outcome, log = asyncio.run(run())
    return outcome, [json.loads(line) for line in log]


def chosen(outcome: Grant | Refused) -> str:
    """The name of the authorizer that let the client in, or why it was refused."""
    return outcome.authorizer.name if isinstance(outcome, Grant) else outcome.reason
