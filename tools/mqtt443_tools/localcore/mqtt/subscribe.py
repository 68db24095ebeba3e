"""Judges the topic filters of a SUBSCRIBE: syntax, QoS 2, policy, limits. Changes nothing."""

from __future__ import annotations

from collections.abc import Sequence

from mqtt443_tools.localcore.auth.access import Access
from mqtt443_tools.localcore.localcore_errors import SubscribeRefusedError, TopicError
from mqtt443_tools.localcore.mqtt.packets import SUBSCRIBE_REFUSED
from mqtt443_tools.localcore.mqtt.session import Session
from mqtt443_tools.localcore.mqtt.topics import check_filter, is_reserved
from mqtt443_tools.localcore.settings import Settings


def judge_filters(
    filters: Sequence[tuple[str, int]], session: Session, access: Access, settings: Settings
) -> list[int] | None:
    """Return the SUBACK's return codes in the order of the filters, or None if there must be no SUBACK.

    Raises SubscribeRefusedError where the connection must be closed.
    """
    if len(filters) > settings.max_filters and settings.over_filters == "close":
        raise SubscribeRefusedError(
            "CLIENT_ERROR", f"{len(filters)} filters in a SUBSCRIBE, the limit is {settings.max_filters}"
        )
    if any(qos == 2 for _, qos in filters):
        if settings.qos2 == "close":
            raise SubscribeRefusedError("CLIENT_ERROR", "SUBSCRIBE with QoS 2, which AWS does not support")
        return None
    subscribed = set(session.subscriptions)
    codes = []
    for index, (topic_filter, qos) in enumerate(filters):
        allowed = _allowed(topic_filter, access, settings)
        room = index < settings.max_filters and len(subscribed | {topic_filter}) <= settings.max_subscriptions
        if allowed and room:
            subscribed.add(topic_filter)
        codes.append(qos if allowed and room else SUBSCRIBE_REFUSED)
    return codes


def _allowed(topic_filter: str, access: Access, settings: Settings) -> bool:
    try:
        check_filter(topic_filter, max_bytes=settings.max_topic_bytes, max_slashes=settings.max_topic_slashes)
    except TopicError as error:
        raise SubscribeRefusedError("CLIENT_ERROR", f"topic filter: {error}") from None
    if is_reserved(topic_filter):
        if settings.reserved_topics == "close":
            raise SubscribeRefusedError("CLIENT_ERROR", f"{topic_filter} is reserved; reserved topics are not emulated")
        return False
    verdict = access.subscribe(topic_filter)
    if not verdict.allowed and settings.refused_subscribe == "close":
        raise SubscribeRefusedError("AUTH_ERROR", verdict.explanation)
    return verdict.allowed
