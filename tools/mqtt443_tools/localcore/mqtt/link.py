"""The state that the parts of one accepted connection share: session, permissions, and how to answer or close."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from mqtt443_tools.localcore.auth.access import Access
from mqtt443_tools.localcore.context import Context
from mqtt443_tools.localcore.event_log import EventLog
from mqtt443_tools.localcore.mqtt.client_answers import Answers
from mqtt443_tools.localcore.mqtt.session import Session
from mqtt443_tools.localcore.settings import Settings


class End(Protocol):
    """Closes the connection."""

    def __call__(self, reason: str, detail: str, *, code: int | None = None, send_will: bool = True) -> None:
        """Close with one of AWS's disconnect reasons; `code` overrides the MQTT 5 reason code that goes with it."""


@dataclass(frozen=True, slots=True)
class Link:
    """One accepted connection, as seen by its parts.

    Args:
        context: the state that all connections share.
        event_log: takes the events about this one.
        answers: in the client's version.
        session: of the client.
        access: what the client may do.
        send: sends a packet; None sends nothing.
        end: closes the connection.
    """

    context: Context
    event_log: EventLog
    answers: Answers
    session: Session
    access: Access
    send: Callable[[bytes | None], None]
    end: End

    @property
    def settings(self) -> Settings:
        """The settings of this endpoint."""
        return self.context.settings

    @property
    def is_5(self) -> bool:
        """Return whether the client speaks MQTT 5."""
        return self.answers.version == 5
