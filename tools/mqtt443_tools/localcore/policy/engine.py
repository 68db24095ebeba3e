"""AWS IoT policy documents: parsed strictly, evaluated Deny first and denied by default.

The language is IAM's as far as the AWS IoT Developer Guide documents it ("AWS IoT Core policies", "AWS IoT Core
policy actions", "AWS IoT Core action resources"): Version, Statement, Effect, Action, Resource, Condition.
Where the guide is silent, these rules apply:

- Version must be 2012-10-17: in the older language `${iot:ClientId}` would be plain text.
- Actions are case-insensitive (IAM User Guide, "IAM JSON policy elements: Action"); resources are case-sensitive.
- NotAction, NotResource, Principal and unknown elements are refused: no AWS IoT page documents them.
- A statement with a variable that has no value does not apply (IAM User Guide, "Variables and tags").
  Under plain CUSTOM_AUTH no certificate or Thing is attached, so `iot:Connection.Thing.*` never has one.
- A Condition that condition.py does not support fails closed: its Allow does not apply, its Deny does.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mqtt443_tools.localcore.localcore_errors import PolicyError
from mqtt443_tools.localcore.policy.condition import Condition, parse_condition
from mqtt443_tools.localcore.policy.pattern import Pattern

__all__ = ["PolicyError", "PolicySet", "Verdict"]

VERSION = "2012-10-17"
EFFECTS = ("Allow", "Deny")
DOCUMENT_ELEMENTS = ("Version", "Id", "Statement")
STATEMENT_ELEMENTS = ("Sid", "Effect", "Action", "Resource", "Condition")
KNOWN_VARIABLES = frozenset({"iot:clientid", "aws:sourceip", "iot:domainname"})
_ACTION = re.compile(r"\*|[A-Za-z0-9-]+:[A-Za-z0-9*?]+")
_MAX_NOTES = 3
_UNCONDITIONAL = Condition()
_NO_VARIABLES: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Verdict:
    """What the policies say about one action: `explanation` is one line for the log."""

    allowed: bool
    explanation: str


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement.

    Attributes:
        where: names it in messages, such as `statement 2`.
        effect: one of EFFECTS.
        actions: in lower case.
        resources: ARNs.
        condition: must hold as well.
        variables: the policy variables in the resources and in the condition.
    """

    where: str
    effect: str
    actions: tuple[Pattern, ...]
    resources: tuple[Pattern, ...]
    condition: Condition
    variables: frozenset[str]

    @property
    def denies(self) -> bool:
        """Whether the effect is Deny."""
        return self.effect == "Deny"

    @property
    def warnings(self) -> list[str]:
        """The parts of this statement that localcore cannot evaluate, one line each."""
        if not self.variables and not self.condition.unsupported:
            return []
        lines = [
            f"variable ${{{name}}} has no value here, so the statement does not apply"
            for name in sorted(self.variables - KNOWN_VARIABLES)
        ]
        outcome = "its Deny applies without it" if self.denies else "its Allow does not apply"
        lines += [f"condition {name} is not evaluated here, so {outcome}" for name in self.condition.unsupported]
        return [f"{self.where}: {line}" for line in lines]

    def is_about(self, action: str) -> bool:
        """Whether the statement contains this action, given in lower case."""
        return any(pattern.matches(action, {}) for pattern in self.actions)

    def outcome(self, resource: str, variables: Mapping[str, str]) -> tuple[bool, str]:
        """Whether the statement applies to this resource; if not, the reason, if there is one to report."""
        missing = self.variables - variables.keys()
        if missing:
            return False, f"variable ${{{min(missing)}}} has no value"
        if not any(pattern.matches(resource, variables) for pattern in self.resources):
            return False, ""
        if not self.condition.holds(variables):
            return False, "its condition is not met"
        if self.condition.unsupported and not self.denies:
            return False, f"condition {self.condition.unsupported[0]} is not evaluated here"
        return True, ""


@dataclass(frozen=True)
class PolicySet:
    """All documents of one grant, evaluated together."""

    statements: tuple[Statement, ...] = ()

    @classmethod
    def from_documents(cls, documents: Sequence[object]) -> PolicySet:
        """Parse policy documents, each as the object in its JSON text.

        Args:
            documents: any number of documents; the caller limits their number and size.

        Raises:
            PolicyError: one of them is not a valid policy; the message names the statement and the rule.
        """
        statements: list[Statement] = []
        for number, document in enumerate(documents, 1):
            statements += _parse_document(document, f"document {number}" if len(documents) > 1 else "")
        return cls(tuple(statements))

    @property
    def warnings(self) -> tuple[str, ...]:
        """The parts of these documents that localcore cannot evaluate, one line each, for the log."""
        return tuple(line for statement in self.statements for line in statement.warnings)

    def evaluate(self, action: str, resource: str, variables: Mapping[str, str]) -> Verdict:
        """Decide one action.

        Args:
            action: such as `iot:Publish`.
            resource: the full ARN, such as `arn:aws:iot:eu-west-1:123456789012:topic/x`.
            variables: values of `iot:ClientId`, `aws:SourceIp`, `iot:DomainName`, as far as the request has them.
        """
        known = {name.lower(): value for name, value in variables.items()}
        wanted, action = f"{action} on {resource}", action.lower()
        allowed_by: Statement | None = None
        notes: list[str] = []
        for statement in self.statements:
            if not statement.is_about(action):
                continue
            applies, reason = statement.outcome(resource, known)
            if applies and statement.denies:
                return Verdict(False, f"{statement.where} denies {wanted}")
            if applies:
                allowed_by = allowed_by or statement
            elif reason and not statement.denies:
                notes.append(f"{statement.where} does not apply: {reason}")
        if allowed_by:
            return Verdict(True, f"{allowed_by.where} allows {wanted}")
        return Verdict(False, "; ".join([f"no statement allows {wanted}", *notes[:_MAX_NOTES]]))


def _parse_document(document: object, name: str) -> list[Statement]:
    where = name or "policy document"
    if not isinstance(document, dict):
        raise PolicyError(f"{where} must be an object")
    _refuse_unknown(document, DOCUMENT_ELEMENTS, where)
    if document.get("Version") != VERSION:
        raise PolicyError(f'{where}: Version must be "{VERSION}"')
    if "Statement" not in document:
        raise PolicyError(f"{where}: Statement is missing")
    listed = document["Statement"]
    return [
        _parse_statement(item, f"{name}, statement {number}" if name else f"statement {number}")
        for number, item in enumerate(listed if isinstance(listed, list) else [listed], 1)
    ]


def _parse_statement(item: object, where: str) -> Statement:
    if not isinstance(item, dict):
        raise PolicyError(f"{where} must be an object")
    _refuse_unknown(item, STATEMENT_ELEMENTS, where)
    effect = item.get("Effect")
    if effect not in EFFECTS:
        raise PolicyError(f"{where}: Effect must be Allow or Deny")
    if not isinstance(item.get("Sid", ""), str):
        raise PolicyError(f"{where}: Sid must be a string")
    actions = tuple(map(_action, _strings(item, "Action", where)))
    if None in actions:
        raise PolicyError(f"{where}: every Action must be * or service:name, such as iot:Publish")
    resources = _strings(item, "Resource", where)
    if not all(resource == "*" or resource.startswith("arn:") for resource in resources):
        raise PolicyError(f"{where}: every Resource must be * or an ARN")
    try:
        condition = parse_condition(item["Condition"]) if "Condition" in item else _UNCONDITIONAL
        patterns = tuple(map(Pattern.parse, resources))
    except PolicyError as error:
        raise PolicyError(f"{where}: {error}") from None
    variables = _NO_VARIABLES
    if condition is not _UNCONDITIONAL or any(pattern.literal is None for pattern in patterns):
        variables = condition.variables.union(*(pattern.variables for pattern in patterns))
    return Statement(where, effect, tuple(filter(None, actions)), patterns, condition, variables)


@functools.lru_cache(maxsize=256)
def _action(text: str) -> Pattern | None:
    """Parse an action, None if it is not one; all policies use the same few, so the latest ones are remembered."""
    return Pattern.parse(text.lower()) if _ACTION.fullmatch(text) else None


def _strings(item: dict[str, object], element: str, where: str) -> list[str]:
    value = item.get(element)
    values: list[object] = value if isinstance(value, list) else [value]
    strings = [one for one in values if isinstance(one, str) and one]
    if not strings or len(strings) != len(values):
        raise PolicyError(f"{where}: {element} must be a string or a list of strings, not empty")
    return strings


def _refuse_unknown(item: dict[str, object], known: Sequence[str], where: str) -> None:
    if not all(key in known for key in item):
        raise PolicyError(f"{where}: only {', '.join(known)} are known elements of an AWS IoT policy")
