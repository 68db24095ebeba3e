"""The account that `mqtt443 local` plays: one authorizer, `mqtt443`, which is the package authorizer/ of this checkout.

It can be the one of an unpacked zip instead. It is the account's default, its token signing is off, and its devices are
in the state folder.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mqtt443_tools.localcore.auth.registry import Authorizer, AuthorizerRegistry
from mqtt443_tools.localcore.clock import Clock
from mqtt443_tools.localcore.function.runtime import LambdaFunction
from mqtt443_tools.localcore.settings import Settings
from mqtt443_tools.support.paths import AUTHORIZER

AUTHORIZER_NAME = "mqtt443"
DEVICES_FILE = "devices.json"


def product_authorizer(settings: Settings, on_log: Callable[[str], None], code: Path = AUTHORIZER) -> Authorizer:
    """Return the authorizer; `on_log` takes the lines that its Lambda prints, `code` is its unpacked code."""
    function = LambdaFunction(
        code,
        "mqtt443_authorizer.handler.handler",
        environment={"MQTT443_STORE": f"file:{settings.state.resolve() / DEVICES_FILE}"},
        name=AUTHORIZER_NAME,
        region=settings.region,
        account=settings.account,
        on_log=on_log,
    )
    return Authorizer(AUTHORIZER_NAME, function)


def product_registry(
    settings: Settings, clock: Clock, on_log: Callable[[str], None], code: Path = AUTHORIZER
) -> AuthorizerRegistry:
    """Return the registry with that authorizer as the default; the caller closes it."""
    return AuthorizerRegistry([product_authorizer(settings, on_log, code)], AUTHORIZER_NAME, clock)
