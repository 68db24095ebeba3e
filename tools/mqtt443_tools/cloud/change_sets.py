"""CloudFormation change sets: created, shown, approved, executed; or discarded without a trace."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mqtt443_tools.cloud.aws import Aws
from mqtt443_tools.cloud.stacks import TAG, Stack, Stacks, one_line
from mqtt443_tools.support.console import Console
from mqtt443_tools.support.errors import CommandError

CHANGE_SET = "mqtt443"
_NO_CHANGES = ("didn't contain changes", "No updates are to be performed")


@dataclass(frozen=True)
class ChangeSet:
    """What would change in a stack; nothing has happened yet."""

    stack: str
    arn: str
    stack_arn: str
    is_create: bool
    lines: tuple[str, ...]


def apply(stacks: Stacks, name: str, template: str, parameters: Mapping[str, str], console: Console) -> Stack:
    """Bring a stack to a template, after its change set was shown and agreed to.

    Args:
        stacks: of the account.
        name: of the stack.
        template: its text.
        parameters: the template's.
        console: for output and questions.

    Raises:
        CommandError: the user declined, or it failed; AWS has then rolled back the changes.
    """
    change_set = _prepare(stacks, name, template, parameters)
    if change_set is None:
        console.say(f"stack {name}: nothing to change")
    else:
        _approve(stacks, change_set, console)
        stacks.work(
            name,
            change_set.stack_arn,
            lambda: stacks.aws.call("cloudformation", "execute_change_set", ChangeSetName=change_set.arn),
            "CREATE_COMPLETE",
            "UPDATE_COMPLETE",
        )
    stack = stacks.find(name)
    if stack is None:
        raise CommandError(f"stack {name} was deleted meanwhile: run the command again")
    return stack


def _prepare(stacks: Stacks, name: str, template: str, parameters: Mapping[str, str]) -> ChangeSet | None:
    """Create a change set; None if there is nothing to change."""
    stack = stacks.find(name)
    is_create = stack is None or stack.is_new
    if stack is not None:
        _delete(stacks.aws, StackName=name, ChangeSetName=CHANGE_SET)  # left by an interrupted deploy
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
        yield f"  {change['Action'].lower():<7}{what}{', replaced' if is_replaced else ''}"


def _approve(stacks: Stacks, change_set: ChangeSet, console: Console) -> None:
    is_approved = False
    try:
        console.say(f"stack {change_set.stack}:")
        for line in change_set.lines or ("  outputs and tags only",):
            console.say(line)
        is_approved = console.confirm(f"{'Create' if change_set.is_create else 'Change'} stack {change_set.stack}?")
    finally:
        if not is_approved:
            _discard(stacks, change_set)
    if not is_approved:
        raise CommandError(f"stack {change_set.stack} was not changed")


def _discard(stacks: Stacks, change_set: ChangeSet) -> None:
    """Delete a change set, and the empty stack that was created for it."""
    _delete(stacks.aws, ChangeSetName=change_set.arn)
    stack = stacks.find(change_set.stack)
    if stack is not None and stack.is_new:
        stacks.aws.call("cloudformation", "delete_stack", StackName=stack.arn)


def _delete(aws: Aws, **change_set: str) -> None:
    aws.find("cloudformation", "delete_change_set", "ChangeSetNotFound", "ChangeSetNotFoundException", **change_set)
