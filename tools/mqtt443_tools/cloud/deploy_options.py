"""What can be chosen for a deploy, and how it becomes the parameters of authorizer/mqtt443_authorizer/template.yaml.

An option that is not chosen keeps the value of the last deploy; on the first deploy it has the template's default.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Literal

from mqtt443_tools.cloud.aws import Aws
from mqtt443_tools.cloud.stacks import Stack
from mqtt443_tools.support.errors import UsageError

Mode = Literal["default", "named", "domain"]
DEFAULT_MODE: Final[Mode] = "default"

DEFAULT_CONCURRENCY = 10
KEPT_UNRESERVED = 100
"""Concurrency that Lambda keeps for functions without a reserve (Lambda Developer Guide, "Reserved concurrency")."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """The choices; None means unchanged. The template defines the ranges.

    Attributes:
        mode: how devices reach the authorizer, see modes.py.
        refresh_s: 300..86,400, until AWS asks the authorizer again.
        disconnect_s: 300..86,400, until AWS ends a connection.
        memory_mb: 256..3,008, of the Lambda function.
        concurrency: 0..1,000 calls at once, reserved and at most; 0 reserves none.
        log_days: that the authorizer's log is kept.
        auth_errors_per_minute: refused connections that raise an alarm.
        alarm_topic: ARN of an SNS topic, "" for none.
        updates: whether devices can be updated over the air.
    """

    mode: Mode | None = None
    refresh_s: int | None = None
    disconnect_s: int | None = None
    memory_mb: int | None = None
    concurrency: int | None = None
    log_days: int | None = None
    auth_errors_per_minute: int | None = None
    alarm_topic: str | None = None
    updates: bool | None = None

    def parameters(self) -> dict[str, str]:
        """Return the template's parameters that were chosen."""
        chosen = ((_PARAMETERS[field.name], getattr(self, field.name)) for field in fields(self))
        return {
            parameter: str(value).lower() if isinstance(value, bool) else str(value)
            for parameter, value in chosen
            if value is not None
        }


_PARAMETERS = {
    "mode": "Mode",
    "refresh_s": "RefreshSeconds",
    "disconnect_s": "DisconnectSeconds",
    "memory_mb": "MemoryMb",
    "concurrency": "ReservedConcurrency",
    "log_days": "LogRetentionDays",
    "auth_errors_per_minute": "AuthErrorsPerMinute",
    "alarm_topic": "AlarmTopicArn",
    "updates": "Updates",
}

# Besides the choices: what deploy.py finds out.
PARAMETERS = {
    *_PARAMETERS.values(),
    "TableName",
    "CodeBucket",
    "CodeKey",
    "OwnPolicy",
    "SigningPublicKey",
    "PreviousDefaultAuthorizer",
}


def kept(before: Stack | None) -> dict[str, str]:
    """Return the parameters of a deployed stack that this template still has."""
    deployed = before.parameters if before else {}
    return {name: value for name, value in deployed.items() if name in PARAMETERS}


def reserve(aws: Aws, chosen: int | None, before: Mapping[str, str] | None, say: Callable[[str], Any]) -> int:
    """Decide how much concurrency to reserve.

    Args:
        aws: account and region.
        chosen: the requested value; None for a sensible one.
        before: the deployed stack's parameters, None on a first deploy.
        say: gets a line for the person.

    Raises:
        UsageError: the account does not have that much.
    """
    deployed = int((before or {}).get("ReservedConcurrency", 0))
    if chosen == 0 or (chosen is None and before is not None):
        return deployed if chosen is None else 0
    desired = DEFAULT_CONCURRENCY if chosen is None else chosen
    limit = aws.call("lambda", "get_account_settings")["AccountLimit"]
    free = int(limit["UnreservedConcurrentExecutions"]) + deployed - KEPT_UNRESERVED
    if desired <= free:
        return desired
    why = (
        f"this account runs at most {limit['ConcurrentExecutions']} Lambda calls at once, of which "
        f"{KEPT_UNRESERVED} must stay unreserved"
    )
    if chosen is not None:
        raise UsageError(f"--concurrency {chosen}: {why}; use 0, or ask AWS for a higher quota")
    say(f"no concurrency is reserved: {why}; deploy with --concurrency {desired} once AWS has raised that quota")
    return 0
