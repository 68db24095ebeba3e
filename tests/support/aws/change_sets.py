"""CloudFormation's change sets in memory, over moto's stacks.

moto has change sets, but a stack made by one has no outputs, and a second one makes a second stack of the same name.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import yaml
from moto.backends import get_backend

from tests.support.aws.stubs import ACCOUNT, REGION, THROUGH, Answers, Refuse, new_session


class _Loader(yaml.CSafeLoader):
    """Reads a template; what a tag such as !Ref means does not matter here."""


_Loader.add_multi_constructor("!", lambda _loader, _suffix, _node: None)


@cache
def loads(template: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load(template, _Loader)
    return loaded


ARN = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}"
NOTHING = "The submitted information didn't contain changes. Submit different information to create a change set."


class ChangeSets:
    """Answers for change sets.

    Attributes:
        moto: a client that reaches moto alone.
        sets: the open ones, by ARN.
        reviewed: ARNs of the stacks that have nothing but a change set, by name.
    """

    def __init__(self, answers: Answers) -> None:
        self.moto = new_session().client("cloudformation")
        self.sets: dict[str, dict[str, Any]] = {}
        self.reviewed: dict[str, str] = {}
        self._made = 0
        self._deployed: dict[str, tuple[str, Any]] = {}
        for operation in ("create", "describe", "execute", "delete"):
            answers.on("cloudformation", f"{operation}_change_set", getattr(self, f"_{operation}"))
        answers.on("cloudformation", "describe_stacks", self._describe_stacks)
        answers.on("cloudformation", "describe_stack_events", self._describe_events)
        answers.on("cloudformation", "delete_stack", self._delete_stack)

    def _create(
        self, StackName: str, ChangeSetName: str, ChangeSetType: str, TemplateBody: str, Parameters: Any, **more: Any
    ) -> dict[str, str]:
        arn = _stack_arn(StackName)
        if (arn is None) != (ChangeSetType == "CREATE"):
            raise Refuse("ValidationError", f"Stack [{StackName}] cannot have a {ChangeSetType} change set now")
        if any(each["stack"] == StackName and each["name"] == ChangeSetName for each in self.sets.values()):
            raise Refuse("AlreadyExistsException", f"ChangeSet {ChangeSetName} already exists")
        if arn is None:
            arn = self.reviewed.setdefault(StackName, f"{ARN}:stack/{StackName}/reviewed")
        self._made += 1
        change_set = f"{ARN}:changeSet/{ChangeSetName}/{self._made}"
        effective = _effective(TemplateBody, Parameters)
        changed = self._deployed.get(StackName) != (TemplateBody, effective)
        self.sets[change_set] = {
            "stack": StackName,
            "name": ChangeSetName,
            "arn": arn,
            "type": ChangeSetType,
            "changed": changed,
            "body": {"TemplateBody": TemplateBody, "Parameters": Parameters, **more},
        }
        return {"Id": change_set, "StackId": arn}

    def _describe(self, ChangeSetName: str, **_: Any) -> dict[str, Any]:
        found = self._find(ChangeSetName)
        action = "Add" if found["type"] == "CREATE" else "Modify"
        resources = loads(found["body"]["TemplateBody"])["Resources"]
        return {
            "ChangeSetId": ChangeSetName,
            "ChangeSetName": found["name"],
            "StackId": found["arn"],
            "StackName": found["stack"],
            "Status": "CREATE_COMPLETE" if found["changed"] else "FAILED",
            "StatusReason": "" if found["changed"] else NOTHING,
            "Changes": [
                {
                    "Type": "Resource",
                    "ResourceChange": {
                        "Action": action,
                        "LogicalResourceId": str(name),
                        "ResourceType": str(resource["Type"]),
                    },
                }
                for name, resource in resources.items()
                if found["changed"]
            ],
        }

    def _execute(self, ChangeSetName: str) -> None:
        found = self._find(ChangeSetName)
        assert found["changed"], "AWS executes no failed change set"
        del self.sets[ChangeSetName]
        self.reviewed.pop(found["stack"], None)
        make = self.moto.create_stack if found["type"] == "CREATE" else self.moto.update_stack
        retained = found["body"]["TemplateBody"].replace("RetainExceptOnCreate", "Retain")  # moto knows only these
        make(StackName=found["stack"], **{**found["body"], "TemplateBody": retained})
        template, parameters = found["body"]["TemplateBody"], found["body"]["Parameters"]
        self._deployed[found["stack"]] = (template, _effective(template, parameters))

    def _delete(self, ChangeSetName: str, StackName: str | None = None) -> None:
        for arn, each in list(self.sets.items()):
            if ChangeSetName in {arn, each["name"]} and StackName in {None, each["stack"]}:
                del self.sets[arn]

    def _find(self, arn: str) -> dict[str, Any]:
        if arn not in self.sets:
            raise Refuse("ChangeSetNotFound", f"ChangeSet [{arn}] does not exist", 404)
        return self.sets[arn]

    def _describe_stacks(self, StackName: str) -> Any:
        for name, arn in self.reviewed.items():
            if StackName in {name, arn}:
                made = {"CreationTime": "2026-11-01T12:00:00Z"}
                return {"Stacks": [{"StackId": arn, "StackName": name, "StackStatus": "REVIEW_IN_PROGRESS", **made}]}
        if StackName.endswith("/reviewed"):  # executed: moto gave it another ARN
            found = self.moto.describe_stacks(StackName=StackName.split("/")[-2])
            return {"Stacks": found["Stacks"]}
        return THROUGH

    def _describe_events(self, StackName: str, **_: Any) -> Any:
        if StackName in self.reviewed.values():
            return {"StackEvents": []}
        if StackName.endswith("/reviewed"):
            found = self.moto.describe_stack_events(StackName=StackName.split("/")[-2])
            return {"StackEvents": found["StackEvents"]}
        return THROUGH

    def _delete_stack(self, StackName: str) -> Any:
        for name, arn in list(self.reviewed.items()):
            if StackName in {name, arn}:
                del self.reviewed[name]
                return {}
        self._deployed.pop(StackName.split("/")[-2] if "/" in StackName else StackName, None)
        return THROUGH


def _effective(template: str, parameters: Any) -> dict[str, str]:
    """A template's parameters, with their defaults."""
    known = loads(template).get("Parameters", {})
    defaults = {str(name): str(each["Default"]) for name, each in known.items() if "Default" in each}
    return {**defaults, **{each["ParameterKey"]: each["ParameterValue"] for each in parameters}}


def set_status(name: str, status: str) -> None:
    """Leave a stack in a state that moto does not get into."""
    for stack in get_backend("cloudformation")[ACCOUNT][REGION].stacks.values():
        if stack.name == name:
            stack.status = status


def _stack_arn(name: str) -> str | None:
    for stack in get_backend("cloudformation")[ACCOUNT][REGION].stacks.values():
        if stack.name == name:
            return str(stack.stack_id)
    return None
