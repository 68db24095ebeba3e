"""May this message be published? One answer for MQTT and HTTP; how a refusal looks is theirs."""

from __future__ import annotations

from mqtt443_tools.localcore.auth.access import Access
from mqtt443_tools.localcore.localcore_errors import PublishRefusedError, TopicError
from mqtt443_tools.localcore.mqtt.topics import check_topic, is_basic_ingest, is_reserved
from mqtt443_tools.localcore.settings import Settings


def check_publish(topic: str, payload_bytes: int, *, retain: bool, access: Access, settings: Settings) -> None:
    """Judge a publish against limits and policy. Raises PublishRefusedError.

    A retained message on a `$` topic is not kept at AWS, so it is refused like any other use of a reserved topic.
    """
    try:
        check_topic(topic, max_bytes=settings.max_topic_bytes, max_slashes=settings.max_topic_slashes)
    except TopicError as error:
        raise PublishRefusedError("topic", f"topic: {error}") from None
    if payload_bytes > settings.max_payload_bytes:
        raise PublishRefusedError(
            "payload", f"a payload of {payload_bytes} bytes, the limit is {settings.max_payload_bytes}"
        )
    verdict = access.publish(topic, retain=retain)
    if not verdict.allowed:
        raise PublishRefusedError("policy", verdict.explanation)
    if is_reserved(topic) and (retain or not is_basic_ingest(topic)):
        raise PublishRefusedError("reserved", f"{topic} is reserved; reserved topics are not emulated")
