"""Patterns of AWS IoT policies: wildcards, escapes and policy variables, as in `.../topic/${iot:ClientId}/*`.

`*` matches any run of characters (including `/` and `:`), `?` matches one character; MQTT's `+` and `#` are ordinary
characters here. `${*}`, `${?}` and `${$}` stand for the character itself, and `${name}` for a value of the request,
which is always literal: a `*` in a client id is not a wildcard. Sources: AWS IoT Developer Guide, "AWS IoT Core
policy variables" and "Using wildcard characters in MQTT and AWS IoT Core policies"; IAM User Guide, "IAM
policy elements: Variables and tags". engine.py decides what a pattern is compared with.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mqtt443_tools.localcore.localcore_errors import PolicyError

ESCAPED = ("*", "?", "$")


class Wildcard(enum.Enum):
    """The two wildcards of a policy."""

    ANY = "*"
    ONE = "?"


@dataclass(frozen=True, slots=True)
class Variable:
    """A policy variable; `name` in lower case, since condition keys are case-insensitive."""

    name: str


Element = str | Wildcard | Variable
"""A run of characters that stand for themselves, one wildcard, or one variable."""

_SPECIAL = re.compile(r"\$\{|[*?]")
_VARIABLE = re.compile(r"\$\{")


@dataclass(frozen=True, slots=True)
class Pattern:
    """One Resource, Action or condition value, parsed."""

    elements: tuple[Element, ...]

    @classmethod
    def parse(cls, text: str, *, wildcards: bool = True) -> Pattern:
        """Parse `text`; without `wildcards`, `*` and `?` are plain characters (StringEquals).

        Raises:
            PolicyError: a `${` that is never closed, or a name that is empty or not printable.
        """
        return cls(tuple(_elements(text, wildcards)))

    @property
    def variables(self) -> frozenset[str]:
        """The names of all variables in the pattern, in lower case."""
        return frozenset(element.name for element in self.elements if isinstance(element, Variable))

    @property
    def literal(self) -> str | None:
        """The only text that matches, for a pattern that is one run of characters, as most patterns are."""
        only = self.elements[0] if len(self.elements) == 1 else None
        return only if isinstance(only, str) else None

    def matches(self, text: str, variables: Mapping[str, str]) -> bool:
        """Whether the whole of `text` matches; `variables` has lower-case names, all of `self.variables` among them."""
        literal = self.literal
        if literal is not None:
            return text == literal
        resolved: list[str | Wildcard] = []
        for element in self.elements:
            match element:
                case Variable():
                    resolved.extend(variables[element.name])
                case Wildcard():
                    resolved.append(element)
                case str():
                    resolved.extend(element)
        return glob_matches(resolved, text)


def _elements(text: str, wildcards: bool) -> Iterator[Element]:
    """Yield the elements of a pattern: most patterns are one run, so the cost depends on the special characters."""
    special = _SPECIAL if wildcards else _VARIABLE
    at = 0
    while (found := special.search(text, at)) is not None:
        if found.start() > at:
            yield text[at : found.start()]
        at = found.end()
        if found[0] != "${":
            yield Wildcard(found[0])
            continue
        end = text.find("}", at)
        name = text[at:end] if end > 0 else ""
        if not name or not name.isprintable():
            raise PolicyError("a policy variable is not closed or has no proper name: write ${name}")
        yield name if name in ESCAPED else Variable(name.lower())
        at = end + 1
    if at < len(text):
        yield text[at:]


def glob_matches(pattern: Sequence[str | Wildcard], text: str) -> bool:
    """Whether all of `text` matches `pattern`, whose items are single characters and wildcards.

    Only the last `*` is ever retried, so the work is bounded by len(pattern) * len(text), no matter how many wildcards
    a hostile pattern contains.
    """
    at = seen = 0
    star, star_seen = -1, 0
    while seen < len(text):
        item = pattern[at] if at < len(pattern) else None
        if item is Wildcard.ANY:
            star, star_seen = at, seen
            at += 1
        elif item is Wildcard.ONE or item == text[seen]:
            at += 1
            seen += 1
        elif star >= 0:
            star_seen += 1
            at, seen = star + 1, star_seen
        else:
            return False
    return all(item is Wildcard.ANY for item in pattern[at:])
