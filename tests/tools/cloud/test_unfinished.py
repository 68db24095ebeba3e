"""What interruptions and failures leave behind, and that the next run finishes the work."""

from __future__ import annotations

from typing import Any

import pytest
from mqtt443_tools.cloud import change_sets
from mqtt443_tools.cloud.aws import Aws
from mqtt443_tools.cloud.stacks import DEADLINE_S, Stacks
from mqtt443_tools.support.errors import CommandError

from tests.support.aws.account import STACK, Cloud, Patience
from tests.support.aws.change_sets import set_status
from tests.support.aws.stubs import REGION, Answers, Refuse
from tests.support.console import ScriptedConsole

pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse:UserWarning")

STEPS = [
    ("cloudformation", "create_change_set", 0),
    ("cloudformation", "execute_change_set", 0),
    ("cloudformation", "update_termination_protection", 0),
    ("s3", "put_object", 0),
    ("cloudformation", "create_change_set", 1),
    ("cloudformation", "execute_change_set", 1),
    ("iot", "set_default_authorizer", 0),
    ("iot", "test_invoke_authorizer", 0),
]


@pytest.mark.parametrize(("service", "operation", "number"), STEPS, ids=[f"{one}-{n}" for _, one, n in STEPS])
def test_deploy_interrupted_before_any_step_is_finished_by_the_next(
    cloud: Cloud, service: str, operation: str, number: int
) -> None:
    with cloud.answers.interrupted(service, operation, number):
        cloud.deploy()
    cloud.deploy()
    assert set(cloud.stacks()) == {STACK, "mqtt443-store"}
    assert cloud.iot.default == STACK
    assert cloud.change_sets.sets == {}


@pytest.mark.parametrize("status", ["ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"])
def test_failed_stack_is_deleted_and_created_again(cloud: Cloud, status: str) -> None:
    cloud.deploy()
    set_status(STACK, status)
    cloud.deploy()
    assert f"stack mqtt443: deleting what a failed run left behind ({status})" in cloud.said
    assert cloud.stacks() == {"mqtt443-store": "CREATE_COMPLETE", "mqtt443": "CREATE_COMPLETE"}


def test_store_whose_first_deploy_failed_is_created_again(cloud: Cloud) -> None:
    cloud.deploy()
    cloud.destroy()
    set_status("mqtt443-store", "ROLLBACK_COMPLETE")
    cloud.deploy()
    assert cloud.stacks()["mqtt443-store"] == "CREATE_COMPLETE"


def test_half_deleted_store_is_not_restored(cloud: Cloud) -> None:
    cloud.deploy()
    set_status("mqtt443-store", "DELETE_FAILED")
    with pytest.raises(CommandError, match="half deleted: run `mqtt443 cloud destroy --stack mqtt443 --delete-table`"):
        cloud.deploy()


@pytest.mark.parametrize(
    ("busy", "then"),
    [
        ("UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"),
        ("UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE"),
        ("CREATE_IN_PROGRESS", "CREATE_COMPLETE"),
        ("ROLLBACK_IN_PROGRESS", "ROLLBACK_COMPLETE"),
    ],
)
def test_busy_stack_is_waited_for(cloud: Cloud, busy: str, then: str) -> None:
    cloud.deploy()
    set_status(STACK, busy)
    cloud.patience.on_sleep = lambda: set_status(STACK, then)
    cloud.deploy()
    assert f"stack mqtt443: waiting for AWS ({busy})" in cloud.said
    assert cloud.stacks()[STACK].endswith("_COMPLETE")
    assert "ROLLBACK" not in cloud.stacks()[STACK] or then == "UPDATE_ROLLBACK_COMPLETE"


def test_failed_rollback_is_finished_first(cloud: Cloud) -> None:
    cloud.deploy()
    set_status(STACK, "UPDATE_ROLLBACK_FAILED")
    cloud.answers.on(
        "cloudformation",
        "continue_update_rollback",
        lambda **_: set_status(STACK, "UPDATE_ROLLBACK_COMPLETE"),
    )
    cloud.deploy()
    assert "stack mqtt443: finishing a failed rollback" in cloud.said


STACK_ARN = f"arn:aws:cloudformation:{REGION}:123456789012:stack/mqtt443/1"


class Scripted:
    """A stack whose statuses and events a test writes down."""

    def __init__(self, *statuses: str, events: list[tuple[str, str, str]]) -> None:
        self.answers = Answers(is_alone=True)
        self.said: list[str] = []
        self.patience = Patience()
        self.stacks = Stacks(Aws(self.answers.session), self.said.append, self.patience.pace())
        self._statuses = list(statuses)
        self._events = [
            {
                "StackId": STACK_ARN,
                "StackName": STACK,
                "EventId": str(number),
                "Timestamp": "2026-11-01T12:00:00Z",
                "LogicalResourceId": resource,
                "ResourceStatus": status,
                "ResourceStatusReason": reason,
            }
            for number, (resource, status, reason) in enumerate(events)
        ]
        self._happened = 0
        self.answers.on("cloudformation", "describe_stacks", lambda **_: self._describe())
        self.answers.on("cloudformation", "describe_stack_events", lambda **_: self._event_page())
        self.answers.on("cloudformation", "delete_change_set", {})
        self.answers.on("cloudformation", "create_change_set", {"Id": "arn:set", "StackId": STACK_ARN})
        self.answers.on(
            "cloudformation", "describe_change_set", {"Status": "CREATE_COMPLETE", "Changes": [], "StackId": STACK_ARN}
        )
        self.answers.on("cloudformation", "execute_change_set", self._execute)

    def apply(self) -> None:
        change_sets.apply(self.stacks, STACK, "template", {}, ScriptedConsole(self.said))

    def _execute(self, **_: str) -> None:
        self._happened = len(self._events)

    def _event_page(self) -> dict[str, Any]:
        return {"StackEvents": self._events[: self._happened][::-1]}

    def _describe(self) -> dict[str, Any]:
        status = self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0]
        tags = [{"Key": "mqtt443", "Value": STACK}]
        made = {"CreationTime": "2026-11-01T12:00:00Z", "Tags": tags}
        return {"Stacks": [{"StackId": STACK_ARN, "StackName": STACK, "StackStatus": status, **made}]}


def test_first_cause_of_a_failure_is_named(environment: None) -> None:
    scripted = Scripted(
        "CREATE_COMPLETE",
        "UPDATE_ROLLBACK_COMPLETE",
        events=[
            ("Function", "UPDATE_IN_PROGRESS", ""),
            ("Function", "UPDATE_FAILED", "Code: the runtime\nis not there."),
            ("RefusedAlarm", "UPDATE_FAILED", "Resource update cancelled"),
            (STACK, "UPDATE_ROLLBACK_IN_PROGRESS", "The following resource(s) failed to update: [Function]."),
        ],
    )
    with pytest.raises(CommandError) as raised:
        scripted.apply()
    assert str(raised.value) == (
        "stack mqtt443: Function: Code: the runtime is not there; fix that, then run the command again"
    )
    assert "  Function: update failed" in scripted.said


def test_missing_permission_within_a_stack_is_named(environment: None) -> None:
    reason = (
        "Resource handler returned message: User: arn:aws:iam::123456789012:user/me is not authorized to perform: "
        "iam:CreateRole on resource: arn:aws:iam::123456789012:role/x because no identity-based policy allows it"
    )
    scripted = Scripted("CREATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", events=[("Role", "CREATE_FAILED", reason)])
    with pytest.raises(CommandError, match="Role: the permission iam:CreateRole is missing; add it"):
        scripted.apply()


def test_failure_without_a_reason_is_reported(environment: None) -> None:
    with pytest.raises(CommandError, match="AWS gives no reason"):
        Scripted("CREATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", events=[]).apply()


def test_endless_operation_is_given_up_at_the_deadline(environment: None) -> None:
    scripted = Scripted("CREATE_COMPLETE", "UPDATE_IN_PROGRESS", events=[])
    with pytest.raises(CommandError, match="was not ready within 30 minutes: run the command again"):
        scripted.apply()
    assert DEADLINE_S <= scripted.patience.now_s < DEADLINE_S + 10


def test_failed_change_set_says_why(environment: None) -> None:
    scripted = Scripted("CREATE_COMPLETE", events=[])
    failed = {"Status": "FAILED", "StatusReason": "Template error: no.", "Changes": [], "StackId": STACK_ARN}
    scripted.answers.on("cloudformation", "describe_change_set", failed)
    with pytest.raises(CommandError, match=r"stack mqtt443: Template error: no$"):
        scripted.apply()


def test_change_set_deleted_elsewhere_is_not_executed(environment: None) -> None:
    scripted = Scripted("CREATE_COMPLETE", events=[])
    scripted.answers.on("cloudformation", "execute_change_set", Refuse("ChangeSetNotFound", "gone", 404))
    with pytest.raises(CommandError, match="ChangeSetNotFound"):
        scripted.apply()
