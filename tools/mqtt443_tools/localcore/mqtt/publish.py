"""Decides whether a message may be published. MQTT and HTTP share the rules; each reports a refusal in its own way."""

from __future__ import annotations

from mqtt443_tools.localcore.auth.access import Access
from mqtt443_tools.localcore.localcore_errors import PublishRefusedError, TopicError
from mqtt443_tools.localcore.mqtt.broker import Broker
from mqtt443_tools.localcore.mqtt.properties import Properties
from mqtt443_tools.localcore.mqtt.reason_codes import ReasonCode
from mqtt443_tools.localcore.mqtt.reserved import ReservedServices, explain_reserved
from mqtt443_tools.localcore.mqtt.session import Message
from mqtt443_tools.localcore.mqtt.topics import check_topic, is_basic_ingest, is_reserved
from mqtt443_tools.localcore.settings import Settings

MAX_CONTENT_TYPE_BYTES, MAX_PROPERTY_BYTES = 256, 8192
"""AWS's limits of content type, and of correlation data and user properties (General Reference)."""


def check_publish(
    topic: str, payload_bytes: int, *, retain: bool, access: Access, settings: Settings, services: ReservedServices
) -> None:
    """Check a publish against limits and policy. Raises PublishRefusedError.

    AWS does not retain messages on a `$` topic, so they are refused like any other use of a reserved topic.
    """
    try:
        check_topic(topic, max_bytes=settings.max_topic_bytes, max_slashes=settings.max_topic_slashes)
    except TopicError as error:
        code = ReasonCode.MALFORMED_PACKET if error.malformed else ReasonCode.TOPIC_NAME_INVALID
        raise PublishRefusedError("topic", f"topic: {error}", code) from None
    if payload_bytes > settings.max_payload_bytes:
        raise PublishRefusedError(
            "payload",
            f"a payload of {payload_bytes} bytes, the limit is {settings.max_payload_bytes}",
            ReasonCode.QUOTA_EXCEEDED,
        )
    verdict = access.publish(topic, retain=retain)
    if not verdict.allowed:
        raise PublishRefusedError("policy", verdict.explanation, ReasonCode.NOT_AUTHORIZED)
    if is_reserved(topic) and (retain or not (is_basic_ingest(topic) or services.takes(topic))):
        raise PublishRefusedError("reserved", explain_reserved(topic), ReasonCode.TOPIC_NAME_INVALID)


def check_properties(found: Properties, settings: Settings) -> None:
    """Check the properties of a publish or a will against limits. Raises PublishRefusedError."""
    sizes = (
        ("content type", len((found.content_type or "").encode()), MAX_CONTENT_TYPE_BYTES),
        ("correlation data", len(found.correlation_data or b""), MAX_PROPERTY_BYTES),
        (
            "user properties",
            sum(len(key.encode()) + len(value.encode()) for key, value in found.user_properties),
            MAX_PROPERTY_BYTES,
        ),
    )
    for name, size, limit in sizes:
        if size > limit:
            raise PublishRefusedError(
                "payload", f"{name} of {size} bytes, the limit is {limit}", ReasonCode.QUOTA_EXCEEDED
            )
    if found.response_topic is not None:
        try:
            check_topic(
                found.response_topic, max_bytes=settings.max_topic_bytes, max_slashes=settings.max_topic_slashes
            )
        except TopicError as error:
            code = ReasonCode.PROTOCOL_ERROR if error.malformed else ReasonCode.TOPIC_NAME_INVALID
            raise PublishRefusedError("topic", f"response topic: {error}", code) from None


def route(message: Message, broker: Broker, services: ReservedServices) -> None:
    """Pass an accepted message that did not come over MQTT to the subscribers, or to the service behind its topic.

    Answers that only a client would get go nowhere.
    """
    is_request = services.takes(message.topic)
    if not is_request or services.shows(message.topic):
        broker.publish(message)
    if is_request:
        services.request(message.topic, message.payload)
