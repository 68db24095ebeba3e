"""How devices reach the authorizer: what each mode needs besides the stack, and what leaving the mode undoes.

`default` makes it the account's default authorizer; with `named`, devices name it; `domain` gives devices a host name
of their own (domain.py).
"""

from mqtt443_tools.cloud import domain, iot_authorizer
from mqtt443_tools.cloud.aws import Aws
from mqtt443_tools.cloud.deploy_options import Mode
from mqtt443_tools.cloud.stacks import Pace, Stack
from mqtt443_tools.support.console import Console
from mqtt443_tools.support.errors import CommandError


def previous_default(aws: Aws, name: str, mode: Mode, before: Stack | None, console: Console) -> str:
    """Return the default authorizer to remember, and ask before a foreign one is replaced."""
    remembered = before.parameters.get("PreviousDefaultAuthorizer", "") if before else ""
    if mode != "default":
        return remembered
    current = iot_authorizer.default_name(aws)
    if current in (None, name):
        return remembered
    console.say(f"the account's default authorizer is {current}; devices that name none would use {name} instead")
    if not console.confirm(f"Replace the default authorizer {current} (destroy puts it back)?"):
        raise CommandError(f"the default authorizer stays {current}: deploy with --mode named or --mode domain")
    return current or ""


def activate(aws: Aws, stack: Stack, mode: Mode, console: Console, pace: Pace) -> None:
    """Do the part of a mode that CloudFormation cannot do, and undo that of the previous mode."""
    name, previous = stack.name, stack.parameters.get("PreviousDefaultAuthorizer", "")
    if mode == "default":
        iot_authorizer.set_default(aws, name)
        console.say(f"the account's default authorizer is {name}")
    elif done := iot_authorizer.give_back_default(aws, name, previous):
        console.say(done)
    if mode == "domain":
        console.say(f"the domain configuration {name} has the host name {domain.ensure(aws, name, pace)}")
    elif found := domain.describe(aws, name):
        console.say(
            f"the domain configuration {name} ({found.get('domainName')}) is kept, so that its devices stay "
            "connected; `mqtt443 cloud destroy` deletes it"
        )
