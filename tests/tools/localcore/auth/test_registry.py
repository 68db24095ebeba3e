"""The authorizer service: which authorizer is asked, with what, and what becomes of its answer."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
from pathlib import Path
from typing import Any

import pytest
from mqtt443_tools.localcore.auth.authorizer import Authorizer, AuthorizerRules, Grant
from mqtt443_tools.localcore.auth.registry import AuthorizerRegistry
from mqtt443_tools.localcore.auth.request import Request, Source
from mqtt443_tools.localcore.function.runtime import LambdaFunction
from mqtt443_tools.localcore.localcore_errors import Refused

from tests.support.aws.authorizers import ALLOW, REQUEST, ask, chosen, named, registry_of
from tests.support.aws.lambda_functions import public_pem, signing_key
from tests.support.mqtt.manual_clock import ManualClock

CLIENT = "arn:aws:iot:eu-west-1:123456789012:client/"
DENY = "def handler(event, context): return {'isAuthenticated': False}"
A, B, OFF = {"name": "a"}, {"name": "b"}, {"name": "off", "status": "INACTIVE"}


@pytest.mark.parametrize(
    ("request_", "endpoint", "expected"),
    [
        (REQUEST, {}, "a"),
        (named("b"), {}, "b"),
        (named("%62"), {}, "b"),
        (REQUEST, {"endpoint_default": "b"}, "b"),
        (REQUEST, {"endpoint_default": None}, "CUSTOM_AUTHORIZER_NOT_FOUND"),
        (named("b"), {"endpoint_default": None}, "b"),
        (named("c"), {}, "CUSTOM_AUTHORIZER_NOT_FOUND"),
        (named("A"), {}, "CUSTOM_AUTHORIZER_NOT_FOUND"),
        (named("off"), {}, "CUSTOM_AUTHORIZER_NOT_FOUND"),
        (REQUEST, {"endpoint_default": "off"}, "CUSTOM_AUTHORIZER_NOT_FOUND"),
        (named(""), {}, "CUSTOM_AUTHORIZER_PARAMETER_INVALID"),
        (named("a%00"), {}, "CUSTOM_AUTHORIZER_PARAMETER_INVALID"),
        (named("a.b"), {}, "CUSTOM_AUTHORIZER_PARAMETER_INVALID"),
        (named("b"), {"endpoint_default": "a", "allow_override": False}, "CUSTOM_AUTHORIZER_PARAMETER_INVALID"),
        (named("a"), {"endpoint_default": "a", "allow_override": False}, "a"),
        (REQUEST, {"endpoint_default": "a", "allow_override": False}, "a"),
    ],
)
def test_request_or_endpoint_names_the_authorizer(
    tmp_path: Path, request_: Request, endpoint: dict[str, Any], expected: str
) -> None:
    outcome, events = ask(tmp_path, request_, A, B, OFF, default="a", **endpoint)
    assert chosen(outcome) == expected
    assert len(events) == (1 if isinstance(outcome, Grant) else 0)


def test_account_without_default_refuses_a_request_without_name(tmp_path: Path) -> None:
    outcome, _ = ask(tmp_path, REQUEST, A)
    assert isinstance(outcome, Refused)
    assert outcome.reason == "CUSTOM_AUTHORIZER_NOT_FOUND"
    assert outcome.detail == (
        "the request names no authorizer (x-amz-customauthorizer-name) and the endpoint has no default one"
    )


def test_forbidden_override_can_be_set_to_be_ignored(tmp_path: Path) -> None:
    options: dict[str, Any] = {"endpoint_default": "a", "allow_override": False, "on_forbidden_override": "ignore"}
    outcome, _ = ask(tmp_path, named("b"), A, B, **options)
    assert chosen(outcome) == "a"


def test_authorizer_name_in_header_or_query_precedes_the_user_name(tmp_path: Path) -> None:
    request = named(
        "a", http_headers={"X-AMZ-CustomAuthorizer-Name": "b"}, http_query="", protocols=("tls", "http", "mqtt")
    )
    assert chosen(ask(tmp_path, request, A, B)[0]) == "b"
    request = dataclasses.replace(request, http_headers={}, http_query="?x-amz-customauthorizer-name=b")
    assert chosen(ask(tmp_path, request, A, B)[0]) == "b"
    order = (Source.USERNAME, Source.HEADER, Source.QUERY)
    assert chosen(ask(tmp_path, request, A, B, parameter_order=order)[0]) == "a"


def test_grant_records_permissions_and_times(tmp_path: Path) -> None:
    outcome, (event,) = ask(tmp_path, REQUEST, {"name": "a", "enable_caching_for_http": True}, default="a")
    assert isinstance(outcome, Grant)
    assert (outcome.principal_id, outcome.disconnect_after_s, outcome.refresh_after_s) == ("p1", 1001, 301)
    assert (outcome.connected_at, outcome.refreshed_at) == (1000.0, 1000.0)
    assert outcome.authorizer.enable_caching_for_http
    assert outcome.request is REQUEST
    assert outcome.policies.evaluate("iot:Connect", CLIENT + "call-1", {}).allowed
    assert event == {
        "signatureVerified": False,
        "protocols": ["tls", "mqtt"],
        "protocolData": {
            "tls": {"serverName": "localhost"},
            "mqtt": {"username": "dev", "password": base64.b64encode(b"secret").decode(), "clientId": "dev"},
        },
        "connectionMetadata": {"id": "id-1"},
    }


def test_refresh_asks_again_and_keeps_the_disconnect_time(tmp_path: Path) -> None:
    async def run() -> tuple[Grant, Grant, list[str]]:
        async with registry_of(tmp_path, ALLOW, A, B, default="a") as (registry, log, clock):
            first = await registry.authorize(named("b"))
            clock.advance(301.0)
            second = await registry.refresh(first)
        return first, second, log

    first, second, log = asyncio.run(run())
    assert second.authorizer is first.authorizer
    assert second.authorizer.name == "b"
    assert (second.principal_id, second.refresh_after_s) == ("p2", 302)
    assert (second.disconnect_after_s, second.connected_at, second.refreshed_at) == (1001, 1000.0, 1301.0)
    assert second.policies.evaluate("iot:Connect", CLIENT + "call-2", {}).allowed
    assert not second.policies.evaluate("iot:Connect", CLIENT + "call-1", {}).allowed
    assert log[0] == log[1]


def test_refresh_may_be_refused(tmp_path: Path) -> None:
    source = ALLOW.replace("        return {", "        return {'isAuthenticated': False} if calls > 1 else {")

    async def run() -> None:
        async with registry_of(tmp_path, source, A, default="a") as (registry, _, _clock):
            grant = await registry.authorize(REQUEST)
            with pytest.raises(Refused) as refused:
                await registry.refresh(grant)
            assert refused.value.reason == "NOT_AUTHENTICATED"

    asyncio.run(run())


def test_no_of_the_authorizer_is_not_authenticated(tmp_path: Path) -> None:
    outcome, _ = ask(tmp_path, REQUEST, A, source=DENY, default="a")
    assert isinstance(outcome, Refused)
    assert (outcome.reason, outcome.detail) == ("NOT_AUTHENTICATED", "the authorizer refused (isAuthenticated false)")


@pytest.mark.parametrize(
    ("source", "detail"),
    [
        (
            "def handler(event, context): raise ValueError(event['protocolData']['mqtt']['password'])",
            "authorizer a: the handler raised ValueError (see the Lambda's log)",
        ),
        (
            "def handler(event, context): return {}",
            "the Lambda's answer is not valid: isAuthenticated must be true or false",
        ),
        (
            "def handler(event, context): return event",
            "the Lambda's answer is not valid: isAuthenticated must be true or false",
        ),
        (
            "import nothing_of_this_name",
            "authorizer a: the handler cannot be imported (ModuleNotFoundError, see the Lambda's log)",
        ),
    ],
)
def test_failed_lambda_is_an_execution_error(tmp_path: Path, source: str, detail: str) -> None:
    async def run() -> Refused:
        async with registry_of(tmp_path, source, A, default="a") as (registry, _, _clock):
            with pytest.raises(Refused) as refused:
                await registry.authorize(REQUEST)
        return refused.value

    refused = asyncio.run(run())
    assert refused.reason == "CUSTOM_AUTHORIZER_LAMBDA_EXECUTION_ERROR"
    assert refused.detail == detail


def test_missing_refresh_time_has_the_documented_default(tmp_path: Path) -> None:
    source = "\n".join(line for line in ALLOW.splitlines() if "refreshAfterInSeconds" not in line)
    for rules, expected in (({}, 300), ({"default_refresh_s": 86_400}, 86_400)):
        outcome, _ = ask(tmp_path, REQUEST, A, source=source, default="a", **rules)
        assert isinstance(outcome, Grant)
        assert outcome.refresh_after_s == expected


def test_unsupported_policy_element_is_logged(tmp_path: Path) -> None:
    source = ALLOW.replace("call-%d", "${iot:Connection.Thing.ThingName}%d").replace("print(", "str(")

    async def run() -> list[str]:
        async with registry_of(tmp_path, source, A, default="a") as (registry, log, _):
            await registry.authorize(REQUEST)
        return log

    (warning,) = asyncio.run(run())
    assert warning.startswith("a: statement 1: variable ${iot:connection.thing.thingname} has no value here")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "a.b"}, "an authorizer name is"),
        ({"name": ""}, "an authorizer name is"),
        ({"name": "x" * 129}, "an authorizer name is"),
        ({"token_key_name": "a b"}, "a token key name is"),
        ({"token_key_name": None}, "signing needs a token key name"),
        ({"public_keys": {}}, "at least one public key"),
        ({"public_keys": {"k": "text"}}, "public key k is not a PEM"),
    ],
)
def test_bad_authorizer_is_refused_at_the_start(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    function = LambdaFunction(tmp_path, "app.handler", environment={}, name="fn", region="r", account="1", on_log=print)
    good: dict[str, Any] = {"name": "a", "signing_disabled": False, "token_key_name": "tok"}
    good["public_keys"] = {"k1": public_pem(signing_key())}
    AuthorizerRegistry([Authorizer(function=function, **good)], None, ManualClock())
    with pytest.raises(ValueError, match=message):
        AuthorizerRegistry([Authorizer(function=function, **{**good, **change})], None, ManualClock())


def test_bad_registry_is_refused_at_the_start(tmp_path: Path) -> None:
    function = LambdaFunction(tmp_path, "app.handler", environment={}, name="fn", region="r", account="1", on_log=print)
    authorizer = Authorizer("a", function)
    with pytest.raises(ValueError, match="two authorizers named a"):
        AuthorizerRegistry([authorizer, authorizer], None, ManualClock())
    with pytest.raises(ValueError, match="the default authorizer b does not exist"):
        AuthorizerRegistry([authorizer], "b", ManualClock())
    with pytest.raises(ValueError, match="default_refresh_s"):
        AuthorizerRules(default_refresh_s=299)
