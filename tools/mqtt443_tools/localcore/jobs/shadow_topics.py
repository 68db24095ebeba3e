"""The MQTT side of shadows: requests on reserved topics, answers to all subscribers.

Developer Guide, "Device Shadow MQTT topics" and "Device Shadow error messages".
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable

from mqtt443_tools.localcore.jobs.request_fields import compact_json
from mqtt443_tools.localcore.jobs.service_errors import ServiceError
from mqtt443_tools.localcore.jobs.shadow_document import Json, check_token, parse_document
from mqtt443_tools.localcore.jobs.shadows import CLASSIC, Shadows, topic_prefix

SHADOW_REQUEST = re.compile(
    r"\$aws/things/([a-zA-Z0-9:_-]{1,128})/shadow(?:/name/([$a-zA-Z0-9:_-]{1,64}))?/(get|update|delete)"
)
STATUS = {
    "InvalidRequest": 400,
    "ResourceNotFound": 404,
    "Conflict": 409,
    "RequestEntityTooLarge": 413,
    "UnsupportedDocumentEncoding": 415,
    "Throttling": 429,
    "InternalFailure": 500,
}


class ShadowTopics:
    """Answers the requests that clients publish on the topics of shadows.

    Args:
        shadows: the stored shadows.
        publish: publishes a message to its subscribers.
        log: called with a line if a shadow could not be stored.
    """

    def __init__(self, shadows: Shadows, publish: Callable[[str, bytes], None], log: Callable[[str], None]) -> None:
        self._shadows = shadows
        self._publish = publish
        self._log = log

    def request(self, found: re.Match[str], payload: bytes) -> None:
        """Handle a request on a topic that SHADOW_REQUEST matches."""
        thing, name, verb = found.group(1), found.group(2) or CLASSIC, found.group(3)
        topic = f"{topic_prefix(thing, name)}/{verb}"
        request: Json = {}
        try:
            self._shadows.check_rate(thing)
            if verb == "update":
                request = parse_document(payload)
                self._shadows.update(thing, name, request)
            elif verb == "get":
                request = parse_document(payload) if payload else {}
                self._publish(f"{topic}/accepted", self._shadows.get(thing, name, request))
            else:
                request = _lenient(payload)
                self._shadows.delete(thing, name, request)
        except ServiceError as error:
            self._reject(topic, error, request)
        except sqlite3.Error as error:
            self._log(f"{topic}: {error}")
            self._reject(topic, ServiceError("InternalFailure", "Internal service failure"), request)

    def _reject(self, topic: str, error: ServiceError, request: Json) -> None:
        rejected: Json = {"code": STATUS[error.code], "message": error.message}
        try:
            token = check_token(request)
        except ServiceError:
            token = None
        self._publish(f"{topic}/rejected", compact_json(rejected | ({} if token is None else {"clientToken": token})))


def _lenient(payload: bytes) -> Json:
    """Parse the body of a delete request, in which only the client token counts."""
    try:
        return parse_document(payload)
    except ServiceError:
        return {}
