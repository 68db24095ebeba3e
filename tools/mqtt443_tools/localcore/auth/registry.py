"""The authorizer service: selects the authorizer, verifies the token, calls the Lambda, validates its answer.

Sources: AWS IoT Developer Guide, "Custom authentication and authorization" and "Managing custom authorizers". The
parts: request.py finds parameters and builds the event, signing.py verifies tokens, answer.py validates answers,
function/runtime.py runs the function. The connection that holds the Grant runs its timers (refresh, disconnect); the
policies in the Grant decide what the client may do.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from mqtt443_tools.localcore.auth.answer import MAX_SECONDS, MIN_SECONDS, Answer, parse_answer
from mqtt443_tools.localcore.auth.login_log import LoginLog
from mqtt443_tools.localcore.auth.request import (
    NAME_KEY,
    SIGNATURE_KEY,
    Parameter,
    Request,
    Source,
    build_event,
    find_parameter,
)
from mqtt443_tools.localcore.auth.signing import TokenVerifier
from mqtt443_tools.localcore.clock import Clock
from mqtt443_tools.localcore.function.runtime import LambdaFunction
from mqtt443_tools.localcore.localcore_errors import FunctionError, Reason, Refused
from mqtt443_tools.localcore.policy.engine import PolicySet

__all__ = [
    "ACCOUNT_DEFAULT",
    "Authorizer",
    "AuthorizerRegistry",
    "AuthorizerRules",
    "Grant",
    "Reason",
    "Refused",
    "Request",
    "Source",
]

# CreateAuthorizer's patterns for authorizerName and tokenKeyName
_AUTHORIZER_NAME = re.compile(r"[A-Za-z0-9_=,@-]{1,128}")
_TOKEN_KEY_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")


class _Default(enum.Enum):
    ACCOUNT = "account default"


ACCOUNT_DEFAULT: Final = _Default.ACCOUNT
"""Selects the account's default authorizer, which the default endpoint uses."""


@dataclass(frozen=True)
class AuthorizerRules:
    """What AWS leaves undocumented about custom authentication, with the value localcore assumes.

    Attributes:
        parameter_order: the order of precedence for a parameter that is given twice. Default: HTTP header, HTTP query,
            user name, as the guide lists them.
        on_forbidden_override: what happens if a device names another authorizer where the endpoint does not allow that:
            "refuse" (default, the strictest reading) or "ignore" (the endpoint's default authorizer is used).
        decode_token: whether `%XX` in a token from a query string is decoded before it is verified and handed to the
            Lambda. Default True: the guide recommends to URL-encode the value; a bare `+`, as the SDK sends it, stays.
        default_refresh_s: for an answer without refreshAfterInSeconds, 300..86,400. Default 300, the shortest, so that
            a handler that forgets the field soon meets its refresh.
    """

    parameter_order: tuple[Source, ...] = (Source.HEADER, Source.QUERY, Source.USERNAME)
    on_forbidden_override: Literal["refuse", "ignore"] = "refuse"
    decode_token: bool = True
    default_refresh_s: int = MIN_SECONDS

    def __post_init__(self) -> None:
        if not MIN_SECONDS <= self.default_refresh_s <= MAX_SECONDS:
            raise ValueError(f"default_refresh_s must be {MIN_SECONDS}..{MAX_SECONDS}")


@dataclass(frozen=True)
class Authorizer:
    """An authorizer as CreateAuthorizer makes it.

    Attributes:
        name: 1..128 of letters, digits and `_=,@-`.
        function: the Lambda to ask.
        status: an INACTIVE authorizer is treated as missing.
        signing_disabled: with signing, AWS checks the token's signature before it calls the Lambda.
        token_key_name: parameter that carries the token; 1..128 of letters, digits and `_-`; needed for signing.
        public_keys: key name -> PEM of an RSA key of 2,048 bits or more; needed for signing.
        login_log: what it logs about each login; not a part of AWS's resource.
        enable_caching_for_http: a Grant may serve later requests of the same persistent HTTP connection.

    Raises:
        ValueError: a field breaks its rule.
    """

    name: str
    function: LambdaFunction
    status: Literal["ACTIVE", "INACTIVE"] = "ACTIVE"
    signing_disabled: bool = True
    token_key_name: str | None = None
    public_keys: Mapping[str, str] = field(default_factory=dict)
    enable_caching_for_http: bool = False
    login_log: LoginLog | None = None

    def __post_init__(self) -> None:
        if not _AUTHORIZER_NAME.fullmatch(self.name):
            raise ValueError("an authorizer name is 1..128 letters, digits and _=,@-")
        if self.token_key_name is not None and not _TOKEN_KEY_NAME.fullmatch(self.token_key_name):
            raise ValueError(f"authorizer {self.name}: a token key name is 1..128 letters, digits and _-")
        if not self.signing_disabled and self.token_key_name is None:
            raise ValueError(f"authorizer {self.name}: signing needs a token key name")


@dataclass(frozen=True)
class Grant:
    """What an authorizer granted; times in seconds.

    Attributes:
        principal_id: `[a-zA-Z0-9]{1,128}`.
        policies: evaluated for every action.
        disconnect_after_s: 300..86,400, counted from `connected_at`; no refresh changes it.
        refresh_after_s: 300..86,400, counted from `refreshed_at`.
        authorizer: the one that granted it.
        request: the request; a refresh repeats it.
        connected_at: the clock's `now()` when the client was first accepted.
        refreshed_at: the clock's `now()` when the policies were received.
    """

    principal_id: str
    policies: PolicySet
    disconnect_after_s: int
    refresh_after_s: int
    authorizer: Authorizer
    request: Request
    connected_at: float
    refreshed_at: float

    def describe(self) -> str:
        """Return the answer as one line."""
        return (
            f"let in as principal {self.principal_id}, {len(self.policies.statements)} policy statements, "
            f"refresh after {self.refresh_after_s} s, disconnect after {self.disconnect_after_s} s"
        )


class AuthorizerRegistry:
    """The authorizers of the account."""

    def __init__(
        self,
        authorizers: Iterable[Authorizer],
        default: str | None,
        clock: Clock,
        rules: AuthorizerRules = AuthorizerRules(),
    ) -> None:
        """Create the registry.

        Args:
            authorizers: their names are unique.
            default: name of the account's default authorizer, or None.
            clock: for the times in a Grant.
            rules: what AWS leaves undocumented.

        Raises:
            ValueError: a name is used twice, the default does not exist, or a public key is not usable.
        """
        self._authorizers: dict[str, Authorizer] = {}
        self._verifiers: dict[str, TokenVerifier] = {}
        for authorizer in authorizers:
            if authorizer.name in self._authorizers:
                raise ValueError(f"there are two authorizers named {authorizer.name}")
            self._authorizers[authorizer.name] = authorizer
            if not authorizer.signing_disabled:
                self._verifiers[authorizer.name] = TokenVerifier(authorizer.public_keys)
        if default is not None and default not in self._authorizers:
            raise ValueError(f"the default authorizer {default} does not exist")
        self._default = default
        self._clock = clock
        self._rules = rules

    async def authorize(
        self,
        request: Request,
        *,
        endpoint_default: str | Literal[_Default.ACCOUNT] | None = ACCOUNT_DEFAULT,
        allow_override: bool = True,
    ) -> Grant:
        """Ask the authorizer that the request or the endpoint names.

        Args:
            request: what the client sent.
            endpoint_default: the default authorizer of the domain configuration that the client reached, None if it has
                none; left out for the default endpoint.
            allow_override: whether the client may choose another authorizer.

        Raises:
            Refused: the client is not accepted.
        """
        default = self._default if endpoint_default is ACCOUNT_DEFAULT else endpoint_default
        authorizer = self._select(request, default, allow_override)
        try:
            return await self._ask(authorizer, request)
        except Refused as refused:
            refused.authorizer = authorizer.name
            raise

    async def refresh(self, grant: Grant) -> Grant:
        """Repeat the request to the same authorizer, once refresh_after_s has passed.

        Returns:
            The grant with new policies and refresh time; the disconnect time stays as it was at connect.

        Raises:
            Refused: the client is no longer accepted.
        """
        renewed = await self._ask(grant.authorizer, grant.request)
        return replace(renewed, disconnect_after_s=grant.disconnect_after_s, connected_at=grant.connected_at)

    async def close(self) -> None:
        """End the worker processes of all authorizers."""
        for authorizer in self._authorizers.values():
            await authorizer.function.close()

    def _select(self, request: Request, default: str | None, allow_override: bool) -> Authorizer:
        name = default
        named = self._find(request, NAME_KEY)
        if named is not None:
            if not _AUTHORIZER_NAME.fullmatch(named.decoded):
                raise Refused(
                    "CUSTOM_AUTHORIZER_PARAMETER_INVALID",
                    f"{NAME_KEY} in the {named.source.value} is not an authorizer name",
                )
            if allow_override or named.decoded == default:
                name = named.decoded
            elif self._rules.on_forbidden_override == "refuse":
                raise Refused(
                    "CUSTOM_AUTHORIZER_PARAMETER_INVALID",
                    f"this endpoint does not let a device choose an authorizer: leave {NAME_KEY} out",
                )
        if name is None:
            raise Refused(
                "CUSTOM_AUTHORIZER_NOT_FOUND",
                f"the request names no authorizer ({NAME_KEY}) and the endpoint has no default one",
            )
        authorizer = self._authorizers.get(name)
        if authorizer is None:
            raise Refused("CUSTOM_AUTHORIZER_NOT_FOUND", f"there is no authorizer named {name}")
        if authorizer.status != "ACTIVE":
            raise Refused("CUSTOM_AUTHORIZER_NOT_FOUND", f"the authorizer {name} is {authorizer.status}")
        return authorizer

    async def _ask(self, authorizer: Authorizer, request: Request) -> Grant:
        token = self._token(authorizer, request)
        verifier = self._verifiers.get(authorizer.name)
        if verifier is not None:
            signature = self._find(request, SIGNATURE_KEY)
            verifier.verify(token, signature.decoded if signature else None)
        event = build_event(request, token, signature_verified=verifier is not None)
        answer = await self._parse(authorizer, request, await _invoke(authorizer, event))
        for warning in answer.policies.warnings:
            authorizer.function.on_log(f"{authorizer.name}: {warning}")
        now = self._clock.now()
        return Grant(
            answer.principal_id,
            answer.policies,
            answer.disconnect_after_s,
            answer.refresh_after_s,
            authorizer,
            request,
            connected_at=now,
            refreshed_at=now,
        )

    async def _parse(self, authorizer: Authorizer, request: Request, answer: object) -> Answer:
        """Parse an answer; a refusal gets the cause that the authorizer logged."""
        try:
            return parse_answer(answer, default_refresh_s=self._rules.default_refresh_s)
        except Refused as refused:
            if refused.reason == "NOT_AUTHENTICATED" and authorizer.login_log is not None:
                refused.said = await authorizer.login_log.reason(request.connection_id)
            raise

    def _token(self, authorizer: Authorizer, request: Request) -> str | None:
        if authorizer.token_key_name is None:
            return None
        token = self._find(request, authorizer.token_key_name)
        if token is None:
            return None
        return token.decoded if self._rules.decode_token else token.raw

    def _find(self, request: Request, name: str) -> Parameter | None:
        return find_parameter(request, name, self._rules.parameter_order)


async def _invoke(authorizer: Authorizer, event: dict[str, Any]) -> object:
    try:
        return await authorizer.function.invoke(event)
    except FunctionError as error:
        raise Refused("CUSTOM_AUTHORIZER_LAMBDA_EXECUTION_ERROR", f"authorizer {authorizer.name}: {error}") from None
