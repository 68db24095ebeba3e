"""Authorizers, their grants, and the rules that localcore assumes where AWS documents none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from mqtt443_tools.localcore.auth.answer import MAX_SECONDS, MIN_SECONDS
from mqtt443_tools.localcore.auth.login_log import LoginLog
from mqtt443_tools.localcore.auth.request import Request, Source
from mqtt443_tools.localcore.function.runtime import LambdaFunction
from mqtt443_tools.localcore.policy.engine import PolicySet

# CreateAuthorizer's patterns for authorizerName and tokenKeyName
AUTHORIZER_NAME = re.compile(r"[A-Za-z0-9_=,@-]{1,128}")
_TOKEN_KEY_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")


@dataclass(frozen=True)
class AuthorizerRules:
    """Rules of custom authentication that AWS does not document, with localcore's assumptions.

    Attributes:
        parameter_order: the order of precedence for a parameter that is given twice. Default: HTTP header, HTTP query,
            user name, as the guide lists them.
        on_forbidden_override: what happens if a device names another authorizer where the endpoint does not allow that:
            "refuse" (default, the strictest reading) or "ignore" (the endpoint's default authorizer is used).
        decode_token: whether `%XX` in a token from a query string is decoded before it is verified and handed to the
            Lambda. Default True: the guide recommends URL-encoding the value; a bare `+`, as the SDK sends it, stays.
        default_refresh_s: for an answer without refreshAfterInSeconds, 300..86,400. Default 300, the shortest, so that
            a handler that omits the field soon gets its refresh.
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
        if not AUTHORIZER_NAME.fullmatch(self.name):
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
