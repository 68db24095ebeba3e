"""The Condition block of an AWS IoT policy statement: the few conditions that localcore evaluates.

Evaluated: StringEquals, StringNotEquals, StringLike, StringNotLike on `iot:ClientId` and `iot:DomainName`, and
IpAddress, NotIpAddress on `aws:SourceIp` (AWS IoT Developer Guide, "Basic AWS IoT Core policy variables").
Everything else, such as `iot:ConnectAttributes` and `iot:LastWillTopic`, is deliberately unsupported: such
conditions on iot:Connect are reported to disconnect live clients minutes later, so do not rely on them. An
unsupported condition fails closed in engine.py: its Allow does not apply, its Deny does.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

from mqtt443_tools.localcore.localcore_errors import PolicyError
from mqtt443_tools.localcore.policy.pattern import Pattern

STRING_KEYS = ("iot:clientid", "iot:domainname")
ADDRESS_KEY = "aws:sourceip"
# operator in lower case -> (negated, whether `*` and `?` are wildcards)
STRING_OPERATORS = {
    "stringequals": (False, False),
    "stringnotequals": (True, False),
    "stringlike": (False, True),
    "stringnotlike": (True, True),
}
ADDRESS_OPERATORS = {"ipaddress": False, "notipaddress": True}

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class StringTest:
    """One string operator on one key: met if any pattern matches or, if negated, if none does."""

    key: str
    patterns: tuple[Pattern, ...]
    negated: bool

    @property
    def variables(self) -> frozenset[str]:
        """The policy variables in the values."""
        return frozenset().union(*(pattern.variables for pattern in self.patterns))

    def holds(self, variables: Mapping[str, str]) -> bool:
        """Whether the condition is met; a key without a value meets only a negated test, as in IAM."""
        value = variables.get(self.key)
        if value is None:
            return self.negated
        return any(pattern.matches(value, variables) for pattern in self.patterns) is not self.negated


@dataclass(frozen=True)
class AddressTest:
    """IpAddress or NotIpAddress on aws:SourceIp."""

    networks: tuple[Network, ...]
    negated: bool
    variables: frozenset[str] = frozenset()

    def holds(self, variables: Mapping[str, str]) -> bool:
        """Whether the condition is met; a request without an address meets only NotIpAddress, as in IAM."""
        value = variables.get(ADDRESS_KEY)
        if value is None:
            return self.negated
        address = ipaddress.ip_address(value)  # from the listener, not from the client
        return any(address in network for network in self.networks) is not self.negated


Test = StringTest | AddressTest


@dataclass(frozen=True)
class Condition:
    """All tests of one Condition block, which must all be met, and the unsupported rest of the block."""

    tests: tuple[Test, ...] = ()
    unsupported: tuple[str, ...] = ()

    @property
    def variables(self) -> frozenset[str]:
        """The policy variables in the values."""
        return frozenset().union(*(test.variables for test in self.tests))

    def holds(self, variables: Mapping[str, str]) -> bool:
        """Whether every supported test is met; `variables` has lower-case names, all of `self.variables` among them."""
        return all(test.holds(variables) for test in self.tests)


def parse_condition(block: object) -> Condition:
    """Parse `{operator: {key: value or list of values}}`.

    Raises:
        PolicyError: the block has another shape, or a value that its operator cannot have.
    """
    tests: list[Test] = []
    unsupported: list[str] = []
    for operator, keys in _object(block, "Condition").items():
        for key, raw in _object(keys, f"Condition {operator}").items():
            name = f"{operator} on {key}"
            test = _test(operator.lower(), key.lower(), _values(raw, f"Condition {name}"))
            if test is None:
                unsupported.append(name)
            else:
                tests.append(test)
    return Condition(tuple(tests), tuple(unsupported))


def _test(operator: str, key: str, values: tuple[str, ...]) -> Test | None:
    if operator in STRING_OPERATORS and key in STRING_KEYS:
        negated, wildcards = STRING_OPERATORS[operator]
        return StringTest(key, tuple(Pattern.parse(value, wildcards=wildcards) for value in values), negated)
    if operator in ADDRESS_OPERATORS and key == ADDRESS_KEY:
        try:
            networks = tuple(ipaddress.ip_network(value, strict=False) for value in values)
        except ValueError:
            raise PolicyError("aws:SourceIp takes addresses and CIDR ranges") from None
        return AddressTest(networks, ADDRESS_OPERATORS[operator])
    return None


def _object(value: object, what: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise PolicyError(f"{what} must be an object")
    if not all(isinstance(key, str) and key.isprintable() for key in value):
        raise PolicyError(f"{what} has a name that is not printable text")
    return value


def _values(value: object, what: str) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(item, str) for item in values):
        raise PolicyError(f"{what} must be a string or a list of strings")
    return tuple(values)
