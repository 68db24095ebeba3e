"""CloudFormation change sets: made, shown, agreed to, executed; or thrown away with nothing left behind."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mqtt443_tools.cloud.aws import Aws
from mqtt443_tools.cloud.stacks import TAG, Stack, Stacks, one_line
from mqtt443_tools.cloud.talk import Talk
from mqtt443_tools.support.errors import CommandError

CHANGE_SET = "mqtt443"
_NO_CHANGES = ("didn't contain changes", "No updates are to be performed")


@dataclass(frozen=True)
class ChangeSet:
    """What would become of a stack; nothing has happened yet."""

    stack: str
    arn: str
    stack_arn: str
    is_create: bool
    lines: tuple[str, ...]


def apply(stacks: Stacks, name: str, template: str, parameters: Mapping[str, str], talk: Talk) -> Stack:
    """Bring a stack to a template, after its change set was shown and agreed to.

    :param template: its text
    :param parameters: the template's
    :raises CommandError: it was not agreed to, or it failed; AWS has then rolled back what was done
    """
    change_set = _prepare(stacks, name, template, parameters)
    if change_set is None:
        talk.say(f"stack {name}: nothing to change")
    else:
        _agree(stacks, change_set, talk)
        stacks.work(
            name,
            change_set.stack_arn,
            lambda: stacks.aws.call("cloudformation", "execute_change_set", ChangeSetName=change_set.arn),
            "CREATE_COMPLETE",
            "UPDATE_COMPLETE",
        )
    stack = stacks.find(name)
    if stack is None:
        raise CommandError(f"stack {name} was deleted in the meantime: run the command again")
    return stack


def _prepare(stacks: Stacks, name: str, template: str, parameters: Mapping[str, str]) -> ChangeSet | None:
    """Make a change set; None if there is nothing to change."""
    stack = stacks.find(name)
    is_create = stack is None or stack.is_new
    if stack is not None:
        _forget(stacks.aws, StackName=name, ChangeSetName=CHANGE_SET)  # left by an interrupted deploy
    made = stacks.aws.call(
        "cloudformation",
        "create_change_set",
        StackName=name,
        ChangeSetName=CHANGE_SET,
        ChangeSetType="CREATE" if is_create else "UPDATE",
        TemplateBody=template,
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        Capabilities=["CAPABILITY_IAM"],
        Tags=[{"Key": TAG, "Value": name}],
    )

    def ready() -> dict[str, Any] | None:
        described = stacks.aws.call("cloudformation", "describe_change_set", ChangeSetName=made["Id"])
        return described if described["Status"] in {"CREATE_COMPLETE", "FAILED"} else None

    described = stacks.until(ready, f"the change set of {name}")
    change_set = ChangeSet(name, made["Id"], made["StackId"], is_create, tuple(_lines(stacks.aws, made["Id"])))
    if described["Status"] == "FAILED":
        reason = described.get("StatusReason", "")
        _discard(stacks, change_set)
        if any(text in reason for text in _NO_CHANGES):
            return None
        raise CommandError(f"stack {name}: {one_line(reason)}")
    return change_set


def _lines(aws: Aws, arn: str) -> Iterator[str]:
    for each in aws.items("cloudformation", "describe_change_set", "Changes", ChangeSetName=arn):
        change = each["ResourceChange"]
        is_replaced = change.get("Replacement") in {"True", "Conditional"}
        what = f"{change['LogicalResourceId']} ({change['ResourceType']})"
        yield f"  {change['Action'].lower():<7}{what}{' by a new one' if is_replaced else ''}"


def _agree(stacks: Stacks, change_set: ChangeSet, talk: Talk) -> None:
    is_agreed = False
    try:
        talk.say(f"stack {change_set.stack}:")
        for line in change_set.lines or ("  outputs and tags only",):
            talk.say(line)
        is_agreed = talk.ask(f"{'Create' if change_set.is_create else 'Change'} stack {change_set.stack}?")
    finally:
        if not is_agreed:
            _discard(stacks, change_set)
    if not is_agreed:
        raise CommandError(f"stack {change_set.stack} stays as it is")


def _discard(stacks: Stacks, change_set: ChangeSet) -> None:
    """Forget a change set, and the empty stack that was made for it."""
    _forget(stacks.aws, ChangeSetName=change_set.arn)
    stack = stacks.find(change_set.stack)
    if stack is not None and stack.is_new:
        stacks.aws.call("cloudformation", "delete_stack", StackName=stack.arn)


def _forget(aws: Aws, **change_set: str) -> None:
    aws.find("cloudformation", "delete_change_set", "ChangeSetNotFound", "ChangeSetNotFoundException", **change_set)
