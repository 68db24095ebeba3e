"""The account that `mqtt443 local` emulates: one authorizer, `mqtt443`, which runs the given code.

It is the account's default authorizer, token signing is off, and the devices are in the state folder.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mqtt443_tools.localcore.auth.authorizer import Authorizer
from mqtt443_tools.localcore.auth.login_log import LoginLog
from mqtt443_tools.localcore.auth.registry import AuthorizerRegistry
from mqtt443_tools.localcore.clock import Clock
from mqtt443_tools.localcore.function.runtime import LambdaFunction
from mqtt443_tools.localcore.settings import Settings

AUTHORIZER_NAME = "mqtt443"
DEVICES_FILE = "devices.sqlite"


def product_authorizer(settings: Settings, on_log: Callable[[str], None], code: Path) -> Authorizer:
    """Return the authorizer; `on_log` receives the lines that its Lambda prints, `code` is its unpacked code."""
    login_log = LoginLog(on_log)
    function = LambdaFunction(
        code,
        "mqtt443_authorizer.handler.handler",
        environment={"MQTT443_STORE": f"sqlite:{settings.state.resolve() / DEVICES_FILE}"},
        name=AUTHORIZER_NAME,
        region=settings.region,
        account=settings.account,
        on_log=login_log.take,
        max_workers=settings.max_environments,
        idle_s=settings.environment_idle_s,
    )
    return Authorizer(AUTHORIZER_NAME, function, login_log=login_log)


def product_registry(settings: Settings, clock: Clock, on_log: Callable[[str], None], code: Path) -> AuthorizerRegistry:
    """Return the registry with that authorizer as the default; the caller closes it."""
    return AuthorizerRegistry([product_authorizer(settings, on_log, code)], AUTHORIZER_NAME, clock)
