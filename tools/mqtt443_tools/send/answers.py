"""Commands and answers in the form that boards use, see docs/commands.md. Other modules transport them.

The answer comes on one of the board's usual topics, so only its `request_id` identifies it.
"""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mqtt443_tools.support.errors import UsageError

MAX_COMMAND_BYTES = 16 * 1024
RESERVED = ("command", "request_id")


@dataclass(frozen=True)
class Answer:
    """What a board answered.

    Attributes:
        report: the values; empty for a command that returns none.
        refused: the reason for a refusal, else None.
    """

    report: Mapping[str, Any]
    refused: str | None


def parse_arguments(texts: Iterable[str]) -> dict[str, Any]:
    """Parse `key=value` words; a value that is not JSON is text.

    Raises:
        UsageError: a word has no key, or one that the command itself uses.
    """
    arguments: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise UsageError(f"{text}: expected key=value, such as interval_s=5")
        if key in RESERVED or key in arguments:
            raise UsageError(f"{text}: {key} {'has a meaning of its own' if key in RESERVED else 'is given twice'}")
        try:
            arguments[key] = json.loads(value, parse_constant=_no_json)
        except (ValueError, RecursionError):
            arguments[key] = value
    return arguments


def encode(command: str, arguments: Mapping[str, Any], request_id: str) -> bytes:
    """Return the payload of a command. Raises UsageError for one that is too long."""
    payload = json.dumps({"command": command, "request_id": request_id, **arguments}, ensure_ascii=False).encode()
    if len(payload) > MAX_COMMAND_BYTES:
        raise UsageError(f"the command has {len(payload):,} bytes; the limit is {MAX_COMMAND_BYTES:,}")
    return payload


def answer_filters(client_id: str, publish: Sequence[str]) -> list[str]:
    """Return the topic filters on which an answer can come.

    Args:
        client_id: of the device.
        publish: topics of its own.
    """
    # At AWS, a/# does not match a (Developer Guide, "MQTT topics").
    return [f"telemetry/{client_id}", f"telemetry/{client_id}/#", *publish]


def find_answer(messages: Iterable[Mapping[str, Any]], client_id: str, request_id: str) -> Answer | None:
    """Return the answer among messages, None if they end without one.

    Args:
        messages: as `watch` yields them.
        client_id: of the board, to compare if the publisher is known.
        request_id: of the command.
    """
    for message in messages:
        if message.get("client_id", "") not in (client_id, None):
            continue
        try:
            values = json.loads(base64.b64decode(message["payload"]))
        except (ValueError, RecursionError):
            continue
        if not isinstance(values, dict) or values.get("request_id") != request_id:
            continue
        if isinstance(refused := values.get("refused"), str):
            return Answer({}, refused)
        if isinstance(report := values.get("report"), dict):  # the command itself has neither
            return Answer(report, None)
    return None


def _no_json(text: str) -> None:
    raise ValueError(text)  # NaN and the infinities are not JSON
