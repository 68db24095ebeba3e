"""How devices come to the authorizer: what each mode needs beside the stack, and what leaving it undoes.

`default` makes it the account's default authorizer, and `named` leaves that alone, so that devices name it; `domain`
gives devices a host name of their own (domain.py).
"""

from mqtt443_tools.cloud import domain, iot_authorizer
from mqtt443_tools.cloud.aws import Aws
from mqtt443_tools.cloud.deploy_options import Mode
from mqtt443_tools.cloud.stacks import Pace, Stack
from mqtt443_tools.cloud.talk import Talk
from mqtt443_tools.support.errors import CommandError


def previous_default(aws: Aws, name: str, mode: Mode, before: Stack | None, talk: Talk) -> str:
    """Give the default authorizer to remember; asks before somebody else's is replaced."""
    remembered = before.parameters.get("PreviousDefaultAuthorizer", "") if before else ""
    if mode != "default":
        return remembered
    current = iot_authorizer.default_name(aws)
    if current in (None, name):
        return remembered
    talk.say(f"the account's default authorizer is {current}; devices that name none would come to {name} instead")
    if not talk.ask(f"Replace the default authorizer {current} (destroy puts it back)?"):
        raise CommandError(f"the default authorizer stays {current}: deploy with --mode named or --mode domain")
    return current or ""


def enter(aws: Aws, stack: Stack, mode: Mode, talk: Talk, pace: Pace) -> None:
    """Do what belongs to the mode and is not CloudFormation's, and undo what belonged to the mode before."""
    name, previous = stack.name, stack.parameters.get("PreviousDefaultAuthorizer", "")
    if mode == "default":
        iot_authorizer.set_default(aws, name)
        talk.say(f"the account's default authorizer is {name}")
    elif said := iot_authorizer.give_back_default(aws, name, previous):
        talk.say(said)
    if mode == "domain":
        talk.say(f"the domain configuration {name} has the host name {domain.ensure(aws, name, pace)}")
    elif found := domain.describe(aws, name):
        talk.say(
            f"the domain configuration {name} ({found.get('domainName')}) stays as it is, so that its devices go on; "
            "destroy takes it away"
        )
