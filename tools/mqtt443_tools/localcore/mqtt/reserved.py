"""Topics that begin with `$`: which of them AWS serves, so that a refusal here says what it would be there.

From "Reserved topics" and "Basic Ingest" in the Developer Guide.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol


class ReservedServices(Protocol):
    """The services behind the reserved topics, as the broker sees them."""

    def serves(self, topic: str) -> bool:
        """Return whether a reserved filter belongs to one of them."""

    def takes(self, topic: str) -> bool:
        """Return whether clients may publish on a reserved topic."""

    def shows(self, topic: str) -> bool:
        """Return whether what a client publishes there goes to subscribers too."""

    def request(self, topic: str, payload: bytes) -> Sequence[tuple[str, bytes]]:
        """Take what a client published there; return the answers for it alone, each a topic and a payload."""


class NoServices:
    """An endpoint without such services."""

    def serves(self, topic: str) -> bool:  # noqa: ARG002
        """Serve nothing."""
        return False

    takes = shows = serves

    def request(self, topic: str, payload: bytes) -> Sequence[tuple[str, bytes]]:  # noqa: ARG002
        """Answer nothing."""
        return ()


SERVED_BY_AWS = (
    (re.compile(r"\$aws/things/[^/]+/jobs(/|$)"), "jobs"),
    (re.compile(r"\$aws/things/[^/]+/streams(/|$)"), "file streams"),
    (re.compile(r"\$aws/things/[^/]+/defender(/|$)"), "Device Defender"),
    (re.compile(r"\$aws/events/presence(/|$)"), "presence events"),
    (re.compile(r"\$aws/events(/|$)"), "events"),
    (re.compile(r"\$aws/rules/[^/]+/?$"), "Basic Ingest without a topic behind the rule"),
    (re.compile(r"\$aws/commands(/|$)"), "remote commands"),
    (re.compile(r"\$aws/(certificates|provisioning-templates)(/|$)"), "fleet provisioning"),
    (re.compile(r"\$aws/device_location(/|$)"), "device location"),
    (re.compile(r"\$aws/sitewise(/|$)"), "asset properties"),
)


SHADOW = re.compile(r"\$aws/things/[^/]+/shadow(/|$)")
PRESENCE_FILTER = re.compile(r"\$aws/events/presence/.+")


def is_presence_filter(topic_filter: str) -> bool:
    """Tell whether a filter can match lifecycle events, which clients may subscribe to but not publish."""
    return PRESENCE_FILTER.fullmatch(topic_filter) is not None


FOR_DEVICES = re.compile(r"\$aws/things/[^/]+/(jobs/notify-next|streams/[^/]+/data/json)")


def is_for_devices(topic: str) -> bool:
    """Tell whether messages on a topic carry job documents, which may hold a password, or blocks of files."""
    return topic[0] == "$" and FOR_DEVICES.fullmatch(topic) is not None


def explain_reserved(topic: str) -> str:
    """Say why a `$` topic or filter is refused: AWS serves it and localcore does not, or AWS keeps it for itself."""
    if is_presence_filter(topic):
        return f"{topic} is reserved: lifecycle events are only for subscribers"
    if SHADOW.match(topic):
        return f"{topic} is reserved: publish shadow requests on get, update or delete; the rest is for subscribers"
    for pattern, what in SERVED_BY_AWS:
        if pattern.match(topic):
            return f"AWS serves {topic} ({what}), localcore does not"
    return f"{topic} is reserved: AWS keeps topics that begin with $ for itself"
