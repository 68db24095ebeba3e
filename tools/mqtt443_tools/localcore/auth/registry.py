"""The authorizer service: selects the authorizer, verifies the token, calls the Lambda, validates its answer.

Sources: AWS IoT Developer Guide, "Custom authentication and authorization" and "Managing custom authorizers". The
parts: authorizer.py has the resources, request.py finds parameters and builds the event, signing.py verifies tokens,
answer.py validates answers, function/runtime.py runs the function. The connection that holds the Grant runs its timers
(refresh, disconnect); the policies in the Grant decide what the client may do.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final, Literal

from mqtt443_tools.localcore.auth.answer import Answer, parse_answer
from mqtt443_tools.localcore.auth.authorizer import AUTHORIZER_NAME, Authorizer, AuthorizerRules, Grant
from mqtt443_tools.localcore.auth.request import (
    NAME_KEY,
    SIGNATURE_KEY,
    Parameter,
    Request,
    build_event,
    find_parameter,
)
from mqtt443_tools.localcore.auth.signing import TokenVerifier
from mqtt443_tools.localcore.clock import Clock
from mqtt443_tools.localcore.localcore_errors import FunctionError, Refused


class _Default(enum.Enum):
    ACCOUNT = "account default"


ACCOUNT_DEFAULT: Final = _Default.ACCOUNT
"""Selects the account's default authorizer, which the default endpoint uses."""


class AuthorizerRegistry:
    """The authorizers of the account."""

    def __init__(
        self,
        authorizers: Iterable[Authorizer],
        default: str | None,
        clock: Clock,
        rules: AuthorizerRules | None = None,
    ) -> None:
        """Create the registry.

        Args:
            authorizers: their names are unique.
            default: name of the account's default authorizer, or None.
            clock: for the times in a Grant.
            rules: what AWS leaves undocumented; default: `AuthorizerRules()`.

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
        self._rules = rules or AuthorizerRules()

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
            if not AUTHORIZER_NAME.fullmatch(named.decoded):
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
