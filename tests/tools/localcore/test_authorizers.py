"""The authorizer service: which authorizer is asked, with what, and what becomes of its answer."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from tests.support.lambdas import lambda_function, public_pem, signing_key
from tools.localcore.authorizers import (
    Authorizer,
    AuthorizerRegistry,
    AuthorizerRules,
    Grant,
    Refused,
    Request,
    Source,
)
from tools.localcore.lambda_runtime import LambdaFunction

CLIENT = "arn:aws:iot:eu-west-1:123456789012:client/"
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
DENY = "def handler(event, context): return {'isAuthenticated': False}"
REQUEST = Request("localhost", ("tls", "mqtt"), None, None, "dev", b"secret", "dev", "id-1", "127.0.0.1")


class SetClock:
    """A clock that stands where it is put."""

    at = 100.0

    def now(self) -> float:
        return self.at


def named(name: str, **more: Any) -> Request:
    return dataclasses.replace(REQUEST, mqtt_username=f"dev?x-amz-customauthorizer-name={name}", **more)


@asynccontextmanager
async def registry_of(
    folder: Path, source: str, *variants: dict[str, Any], default: str | None = None, **rules: Any
) -> AsyncIterator[tuple[AuthorizerRegistry, list[str], SetClock]]:
    """A registry of authorizers, one a variant, which share one function; closes it in the end."""
    clock = SetClock()
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
    options = {"endpoint_default": "a", "allow_override": False, "on_forbidden_override": "ignore"}
    outcome, _ = ask(tmp_path, named("b"), A, B, **options)
    assert chosen(outcome) == "a"


def test_name_in_header_or_query_string_comes_before_the_user_name(tmp_path: Path) -> None:
    request = named(
        "a", http_headers={"X-AMZ-CustomAuthorizer-Name": "b"}, http_query="", protocols=("tls", "http", "mqtt")
    )
    assert chosen(ask(tmp_path, request, A, B)[0]) == "b"
    request = dataclasses.replace(request, http_headers={}, http_query="?x-amz-customauthorizer-name=b")
    assert chosen(ask(tmp_path, request, A, B)[0]) == "b"
    order = (Source.USERNAME, Source.HEADER, Source.QUERY)
    assert chosen(ask(tmp_path, request, A, B, parameter_order=order)[0]) == "a"


def test_grant_tells_what_was_allowed_and_when(tmp_path: Path) -> None:
    outcome, (event,) = ask(tmp_path, REQUEST, {"name": "a", "enable_caching_for_http": True}, default="a")
    assert isinstance(outcome, Grant)
    assert (outcome.principal_id, outcome.disconnect_after_s, outcome.refresh_after_s) == ("p1", 1001, 301)
    assert (outcome.connected_at, outcome.refreshed_at) == (100.0, 100.0)
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
            clock.at = 400.0
            second = await registry.refresh(first)
        return first, second, log

    first, second, log = asyncio.run(run())
    assert second.authorizer is first.authorizer
    assert second.authorizer.name == "b"
    assert (second.principal_id, second.refresh_after_s) == ("p2", 302)
    assert (second.disconnect_after_s, second.connected_at, second.refreshed_at) == (1001, 100.0, 400.0)
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
    assert (outcome.reason, outcome.detail) == ("NOT_AUTHENTICATED", "the authorizer said no (isAuthenticated false)")


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


def test_answer_without_refresh_time_has_the_default_of_the_rules(tmp_path: Path) -> None:
    source = "\n".join(line for line in ALLOW.splitlines() if "refreshAfterInSeconds" not in line)
    for rules, expected in (({}, 300), ({"default_refresh_s": 86_400}, 86_400)):
        outcome, _ = ask(tmp_path, REQUEST, A, source=source, default="a", **rules)
        assert isinstance(outcome, Grant)
        assert outcome.refresh_after_s == expected


def test_part_of_a_policy_that_is_not_honoured_is_told_in_the_log(tmp_path: Path) -> None:
    source = ALLOW.replace("call-%d", "${iot:Connection.Thing.ThingName}%d").replace("print(", "str(")

    async def run() -> list[str]:
        async with registry_of(tmp_path, source, A, default="a") as (registry, log, _):
            await registry.authorize(REQUEST)
        return log

    (warning,) = asyncio.run(run())
    assert warning.startswith("a: statement 1: variable ${iot:connection.thing.thingname} has no value here")


# Tokens and signatures

TOKEN = "abc+/=1"
SIGNATURE = base64.b64encode(signing_key().sign(TOKEN.encode(), padding.PKCS1v15(), hashes.SHA256())).decode()
SIGNING = {
    "name": "signed",
    "signing_disabled": False,
    "token_key_name": "tok",
    "public_keys": {"k1": public_pem(signing_key())},
}


def signed(token: str = TOKEN, signature: str = SIGNATURE) -> str:
    return f"dev?x-amz-customauthorizer-name=signed&x-amz-customauthorizer-signature={signature}&tok={token}"


@pytest.mark.parametrize(
    "username",
    [
        signed(signature=quote(SIGNATURE)),  # as the SDK sends it: `/` stays, the token is not encoded
        signed(signature=quote(SIGNATURE, safe="")),
        signed(signature=SIGNATURE),
        signed(token=quote(TOKEN, safe="")),
        signed() + "&SDK=IoTDeviceSDK/Python&Metadata=(CRTVersion=0.36.1;X=F/3,G/A)",
    ],
)
def test_signed_token_is_verified_and_handed_on(tmp_path: Path, username: str) -> None:
    outcome, (event,) = ask(tmp_path, dataclasses.replace(REQUEST, mqtt_username=username), SIGNING)
    assert chosen(outcome) == "signed"
    assert event["token"] == TOKEN
    assert event["signatureVerified"] is True
    assert event["protocolData"]["mqtt"]["username"] == username


def test_signed_token_may_come_in_http_headers_or_query_string(tmp_path: Path) -> None:
    headers = {"x-amz-customauthorizer-name": "signed", "X-Amz-CustomAuthorizer-Signature": SIGNATURE, "Tok": TOKEN}
    bare = dataclasses.replace(REQUEST, protocols=("tls", "http"), mqtt_username=None, http_headers={}, http_query="")
    by_header = dataclasses.replace(bare, http_headers=headers)
    by_query = dataclasses.replace(bare, http_query=signed().removeprefix("dev"))
    for request in (by_header, by_query):
        outcome, (event,) = ask(tmp_path, request, SIGNING)
        assert chosen(outcome) == "signed"
        assert event["token"] == TOKEN


@pytest.mark.parametrize(
    ("username", "reason"),
    [
        ("dev?x-amz-customauthorizer-name=signed", "SECURITY_TOKEN_INVALID"),
        (signed(token=""), "SECURITY_TOKEN_INVALID"),
        (signed(signature=""), "SECURITY_TOKEN_INVALID"),
        (signed(token="abc+/=2"), "SECURITY_TOKEN_SIGNATURE_MISMATCH"),
        (signed(signature="AAAA"), "SECURITY_TOKEN_SIGNATURE_MISMATCH"),
        (
            signed(signature=SIGNATURE.replace("+", "-").replace("/", "_").rstrip("=")),
            "SECURITY_TOKEN_SIGNATURE_MISMATCH",
        ),
    ],
)
def test_lambda_is_not_called_without_a_good_signature(tmp_path: Path, username: str, reason: str) -> None:
    outcome, events = ask(tmp_path, dataclasses.replace(REQUEST, mqtt_username=username), SIGNING)
    assert chosen(outcome) == reason
    assert events == []


def test_token_is_handed_on_unverified_where_signing_is_off(tmp_path: Path) -> None:
    plain = {"name": "a", "token_key_name": "tok"}
    outcome, (event,) = ask(tmp_path, dataclasses.replace(REQUEST, mqtt_username="dev?tok=a%2Bb+c"), plain, default="a")
    assert chosen(outcome) == "a"
    assert (event["token"], event["signatureVerified"]) == ("a+b+c", False)
    _, (event,) = ask(tmp_path, REQUEST, plain, default="a")
    assert "token" not in event


def test_token_can_be_left_url_encoded(tmp_path: Path) -> None:
    plain = {"name": "a", "token_key_name": "tok"}
    request = dataclasses.replace(REQUEST, mqtt_username="dev?tok=a%2Bb+c")
    _, (event,) = ask(tmp_path, request, plain, default="a", decode_token=False)
    assert event["token"] == "a%2Bb+c"


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
    make: Callable[..., Authorizer] = Authorizer
    with pytest.raises(ValueError, match=message):
        AuthorizerRegistry([make(**{"function": function, **SIGNING, **change})], None, SetClock())


def test_bad_registry_is_refused_at_the_start(tmp_path: Path) -> None:
    function = LambdaFunction(tmp_path, "app.handler", environment={}, name="fn", region="r", account="1", on_log=print)
    authorizer = Authorizer("a", function)
    with pytest.raises(ValueError, match="two authorizers named a"):
        AuthorizerRegistry([authorizer, authorizer], None, SetClock())
    with pytest.raises(ValueError, match="the default authorizer b does not exist"):
        AuthorizerRegistry([authorizer], "b", SetClock())
    with pytest.raises(ValueError, match="default_refresh_s"):
        AuthorizerRules(default_refresh_s=299)
