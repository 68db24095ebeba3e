"""CloudFormation stacks: find one, wait until AWS has finished, delete it, and say in one line why it failed.

Change sets are in change_sets.py; the templates say what is in the stacks.
"""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from mqtt443_tools.cloud.aws import Aws, AwsError, missing_permission
from mqtt443_tools.support.errors import CommandError, UsageError

DEADLINE_S = 1800.0
INTERVAL_S = 3.0
TAG = "mqtt443"
MAX_EVENTS = 500
MAX_REASON_CHARS = 600

_NAME = re.compile(r"[a-zA-Z][-a-zA-Z0-9]{0,99}")  # CreateStack, leaving room for the suffix of the second stack
_CANCELLED = "cancelled"  # "Resource creation cancelled": the consequence of another resource's failure

# A first deploy that failed, or a destroy that did: nothing can be updated then, only deleted.
_DEAD = {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"}
_REVIEW = "REVIEW_IN_PROGRESS"  # a change set was made for a new stack, and never executed

T = TypeVar("T")


class Pace(NamedTuple):
    """The seams of waiting: `now` returns monotonic seconds."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] = time.sleep


@dataclass(frozen=True)
class Stack:
    """A stack as AWS describes it."""

    name: str
    arn: str
    status: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_new(self) -> bool:
        """Whether nothing of it was ever created."""
        return self.status == _REVIEW

    @property
    def is_dead(self) -> bool:
        """Whether it can only be deleted."""
        return self.status in _DEAD

    @property
    def is_busy(self) -> bool:
        """Whether AWS is at work on it."""
        return self.status.endswith("_IN_PROGRESS") and not self.is_new


def store_name(name: str) -> str:
    """The name of the stack with the table and the code, which belongs to the authorizer's stack of this name."""
    return f"{name}-store"


def check_name(name: str) -> None:
    """Raise UsageError for a name that a stack or an authorizer cannot have."""
    if not _NAME.fullmatch(name):
        raise UsageError(f"--stack {name}: use letters, digits and -, a letter first, at most 100 characters")


class Stacks:
    """The stacks of one account and region.

    Args:
        say: takes one line of progress.
    """

    def __init__(self, aws: Aws, say: Callable[[str], object], pace: Pace) -> None:
        self.aws = aws
        self._say = say
        self._pace = pace

    def find(self, name: str) -> Stack | None:
        """Describe a stack of ours, by name or ARN; None if there is none.

        Raises:
            AwsError: also if the stack of this name is not mqtt443's.
        """
        try:
            (found,) = self.aws.call("cloudformation", "describe_stacks", StackName=name)["Stacks"]
        except AwsError as error:
            if error.code == "ValidationError" and "does not exist" in str(error):
                return None
            raise
        stack = Stack(
            name=found["StackName"],
            arn=found["StackId"],
            status=found["StackStatus"],
            parameters={each["ParameterKey"]: each["ParameterValue"] for each in found.get("Parameters", ())},
            outputs={each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", ())},
        )
        if stack.status == "DELETE_COMPLETE":
            return None
        if not stack.is_new and not any(tag["Key"] == TAG for tag in found.get("Tags", ())):
            raise AwsError("Taken", f"the stack {name} is not mqtt443's: choose another name with --stack")
        return stack

    def settled(self, name: str) -> Stack | None:
        """Describe a stack once AWS has finished with it, and repair an update that could not be rolled back.

        Raises:
            CommandError: it cannot be repaired.
        """
        stack = self.find(name)
        if stack is not None and stack.is_busy:
            self._say(f"stack {name}: waiting for AWS ({stack.status})")
            stack = self._wait(stack.arn, seen=self._newest_event(stack.arn))
        if stack is not None and stack.status == "UPDATE_ROLLBACK_FAILED":
            arn = stack.arn
            self._say(f"stack {name}: finishing a failed rollback")
            stack = self.work(
                name,
                arn,
                lambda: self.aws.call("cloudformation", "continue_update_rollback", StackName=arn),
                "UPDATE_ROLLBACK_COMPLETE",
            )
        return stack

    def work(self, name: str, arn: str, start: Callable[[], object], *ends: str) -> Stack | None:
        """Start an operation on a stack, and report what happens until AWS has finished.

        Args:
            name: of the stack.
            arn: the stack's.
            start: calls AWS.
            ends: the statuses that mean success; none for a stack that is being deleted, which returns None.

        Raises:
            CommandError: it failed; the text is the first cause.
        """
        seen = self._newest_event(arn)
        start()
        stack = self._wait(arn, seen)
        if (stack.status if stack else None) not in (ends or {None}):
            raise self._failure(name, arn, seen)
        return stack

    def delete(self, stack: Stack) -> None:
        """Delete a stack and wait until it is gone.

        Raises:
            CommandError: a resource could not be deleted.
        """
        self.work(stack.name, stack.arn, lambda: self.aws.call("cloudformation", "delete_stack", StackName=stack.arn))

    def protect(self, name: str, *, on: bool) -> None:
        """Switch a stack's termination protection."""
        self.aws.call("cloudformation", "update_termination_protection", StackName=name, EnableTerminationProtection=on)

    def resources(self, name: str) -> list[dict[str, Any]]:
        """Return the summaries of a stack's resources."""
        return list(self.aws.items("cloudformation", "list_stack_resources", "StackResourceSummaries", StackName=name))

    def until(self, look: Callable[[], T | None], what: str) -> T:
        """Poll until there is a result.

        Raises:
            CommandError: after half an hour.
        """
        deadline = self._pace.now() + DEADLINE_S
        while (found := look()) is None:
            if self._pace.now() >= deadline:
                raise CommandError(f"{what} was not ready within {DEADLINE_S / 60:.0f} minutes: run the command again")
            self._pace.sleep(INTERVAL_S)
        return found

    def _wait(self, arn: str, seen: str) -> Stack | None:
        """Report what happens until AWS has finished; None if the stack is gone."""

        def ended() -> tuple[Stack | None] | None:
            nonlocal seen
            for event in self._events_since(arn, seen):
                seen = event["EventId"]
                self._say(f"  {event['LogicalResourceId']}: {event['ResourceStatus'].lower().replace('_', ' ')}")
            stack = self.find(arn)
            return None if stack is not None and stack.is_busy else (stack,)

        return self.until(ended, f"stack {arn}")[0]

    def _events_since(self, arn: str, seen: str) -> list[dict[str, Any]]:
        """Return the events after `seen`, oldest first."""
        events: list[dict[str, Any]] = []
        for event in self.aws.items("cloudformation", "describe_stack_events", "StackEvents", StackName=arn):
            if event["EventId"] == seen or len(events) == MAX_EVENTS:
                break
            events.append(event)
        return events[::-1]

    def _newest_event(self, arn: str) -> str:
        newest = next(self.aws.items("cloudformation", "describe_stack_events", "StackEvents", StackName=arn), None)
        return "" if newest is None else str(newest["EventId"])

    def _failure(self, name: str, arn: str, seen: str) -> CommandError:
        """Return the first cause among the events, with what to do about it."""
        for event in self._events_since(arn, seen):
            reason = one_line(event.get("ResourceStatusReason", ""))
            if event["ResourceStatus"].endswith("_FAILED") and reason and _CANCELLED not in reason:
                if action := missing_permission(reason):
                    reason = f"the permission {action} is missing; add it (the list is in docs/aws.md)"
                return CommandError(
                    f"stack {name}: {event['LogicalResourceId']}: {reason}; fix that, then run the command again"
                )
        return CommandError(f"stack {name}: it failed, and AWS gives no reason: see its events in the AWS console")


def one_line(text: str) -> str:
    """Return what AWS says in a form that fits an error message."""
    return " ".join(text.split())[:MAX_REASON_CHARS].rstrip(". ")
