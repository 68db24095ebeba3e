"""SUBSCRIBE and UNSUBSCRIBE of a connected client: syntax, QoS 2, policy and limits, then the answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mqtt443_tools.localcore.localcore_errors import SubscribeRefusedError, TopicError
from mqtt443_tools.localcore.mqtt.link import Link
from mqtt443_tools.localcore.mqtt.packets import (
    NO_LOCAL,
    QOS_BITS,
    RETAIN_AS_PUBLISHED,
    RETAIN_HANDLING_SHIFT,
    SUBSCRIBE_REFUSED,
    Subscribe,
    Unsubscribe,
)
from mqtt443_tools.localcore.mqtt.reason_codes import ReasonCode
from mqtt443_tools.localcore.mqtt.reserved import explain_reserved, is_presence_filter
from mqtt443_tools.localcore.mqtt.topics import check_filter, is_reserved, is_shared, split_share

KEPT_OPTIONS = QOS_BITS | NO_LOCAL | RETAIN_AS_PUBLISHED
SEND_RETAINED, SEND_RETAINED_IF_NEW = 0, 1
"""Values of Retain Handling (MQTT 5, clause 3.8.3.1); 2 sends none."""


class FilterVerdict(NamedTuple):
    """The answer to one topic filter: a reason code of MQTT 5, and for a refusal one line for people."""

    code: int
    detail: str = ""

    @property
    def refused(self) -> bool:
        """Return whether the filter is refused."""
        return self.code >= ReasonCode.UNSPECIFIED_ERROR


class Subscribing:
    """The subscriptions of one connection."""

    __slots__ = ("_link",)

    def __init__(self, link: Link) -> None:
        self._link = link

    def subscribe(self, packet: Subscribe) -> None:
        """Handle a SUBSCRIBE: all filters are checked before any of them takes effect."""
        link = self._link
        if packet.properties.subscription_identifier is not None:
            detail = "a subscription identifier, which AWS does not support"
            link.end("CLIENT_ERROR", detail, code=ReasonCode.SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED)
            return
        try:
            verdicts = self._judge(packet.filters)
        except SubscribeRefusedError as refused:
            link.end(refused.reason, refused.detail, code=refused.reason_code)
            return
        if verdicts is None:
            link.event_log.dropped("CLIENT_ERROR", "SUBSCRIBE with QoS 2 gets no SUBACK")
            return
        retained = []
        for (topic_filter, options), verdict in zip(packet.filters, verdicts, strict=True):
            if verdict.refused:
                code = verdict.code if link.is_5 else SUBSCRIBE_REFUSED
                detail = f"SUBACK {code:#04x} for {topic_filter}: {verdict.detail}"
                link.event_log.dropped("SUBSCRIBE_REFUSED", detail, topic_filter)
                continue
            is_new = topic_filter not in link.session.subscriptions
            link.context.broker.subscribe(link.session, topic_filter, options & KEPT_OPTIONS)
            handling = options >> RETAIN_HANDLING_SHIFT
            if is_shared(topic_filter):
                continue  # gets no retained messages (Developer Guide, "Shared subscriptions")
            if handling == SEND_RETAINED or (handling == SEND_RETAINED_IF_NEW and is_new):
                retained.append((topic_filter, options & QOS_BITS))
        detail = "; ".join(dict.fromkeys(verdict.detail for verdict in verdicts if verdict.detail))
        codes = [verdict.code for verdict in verdicts]
        link.send(link.answers.suback(packet.packet_id, codes, detail))  # [MQTT-3.8.4-1] [MQTT-3.8.4-5]
        link.context.broker.send_shared(link.session, [topic_filter for topic_filter, _ in packet.filters])
        for topic_filter, qos in retained:
            link.context.broker.send_retained(link.session.client_id, topic_filter, qos)  # RETAIN 1 [MQTT-3.3.1-8]

    def unsubscribe(self, packet: Unsubscribe) -> None:
        """Handle an UNSUBSCRIBE; filters without a subscription are answered too [MQTT-3.10.4-5]."""
        link = self._link
        codes: list[int] = []
        details = []
        try:
            for topic_filter in packet.filters:
                if (problem := self._check(topic_filter)) is not None:
                    codes.append(problem.code)
                    details.append(problem.detail)
                elif topic_filter in link.session.subscriptions:
                    codes.append(ReasonCode.SUCCESS)
                else:
                    codes.append(ReasonCode.NO_SUBSCRIPTION_EXISTED)
        except SubscribeRefusedError as refused:
            link.end(refused.reason, refused.detail, code=refused.reason_code)
            return
        for topic_filter in packet.filters:
            link.context.broker.unsubscribe(link.session, topic_filter)
        link.send(link.answers.unsuback(packet.packet_id, codes, "; ".join(details)))

    def _judge(self, filters: Sequence[tuple[str, int]]) -> list[FilterVerdict] | None:
        """Return the answers in the order of the filters, or None if no SUBACK may be sent.

        Raises SubscribeRefusedError if the connection must be closed.
        """
        link, settings = self._link, self._link.settings
        over = f"{len(filters)} filters in a SUBSCRIBE, the limit is {settings.max_filters}"
        if len(filters) > settings.max_filters and settings.over_filters == "close":
            raise SubscribeRefusedError("CLIENT_ERROR", over, ReasonCode.QUOTA_EXCEEDED)
        if any(options & QOS_BITS == 2 for _, options in filters):
            if settings.qos2 == "close":
                detail = "SUBSCRIBE with QoS 2, which AWS does not support"
                raise SubscribeRefusedError("CLIENT_ERROR", detail, ReasonCode.QOS_NOT_SUPPORTED)
            return None
        subscribed = set(link.session.subscriptions)
        verdicts = []
        for index, (topic_filter, options) in enumerate(filters):
            if options & NO_LOCAL and is_shared(topic_filter):
                detail = f"No Local with a shared subscription [MQTT5-3.8.3-4]: {topic_filter}"
                raise SubscribeRefusedError("CLIENT_ERROR", detail, ReasonCode.PROTOCOL_ERROR)
            verdict = self._judge_filter(topic_filter) or FilterVerdict(options & QOS_BITS)
            if not verdict.refused:
                if index >= settings.max_filters:
                    verdict = FilterVerdict(ReasonCode.QUOTA_EXCEEDED, over)
                elif topic_filter not in subscribed and (over_quota := self._over_quota(topic_filter, subscribed)):
                    verdict = FilterVerdict(ReasonCode.QUOTA_EXCEEDED, over_quota)
                else:
                    subscribed.add(topic_filter)
            verdicts.append(verdict)
        return verdicts

    def _over_quota(self, topic_filter: str, subscribed: set[str]) -> str | None:
        """Return which quota leaves no room for another subscription."""
        settings, groups = self._link.settings, self._link.context.broker.shared.groups
        if len(subscribed) >= settings.max_subscriptions:
            return f"over {settings.max_subscriptions} subscriptions of one connection"
        if is_shared(topic_filter):
            if (group := groups.get(topic_filter)) is not None and len(group.members) >= settings.max_group_members:
                return f"over {settings.max_group_members} members of {topic_filter}"
            if group is None and len(groups) >= settings.max_shared_groups:
                return f"over {settings.max_shared_groups} shared subscription groups"
        return None

    def _judge_filter(self, topic_filter: str) -> FilterVerdict | None:
        """Return why a filter is refused. Raises SubscribeRefusedError."""
        if (problem := self._check(topic_filter)) is not None:
            return problem
        settings = self._link.settings
        bare = split_share(topic_filter)[1] if is_shared(topic_filter) else topic_filter
        if is_reserved(bare) and not (self._link.context.services.serves(topic_filter) or is_presence_filter(bare)):
            detail = explain_reserved(topic_filter)
            closes = settings.reserved_topics == "close"
            return self._refused("CLIENT_ERROR", detail, ReasonCode.TOPIC_FILTER_INVALID, closes_311=closes)
        verdict = self._link.access.subscribe(topic_filter)
        if verdict.allowed:
            return None
        closes = settings.refused_subscribe == "close"
        return self._refused("AUTH_ERROR", verdict.explanation, ReasonCode.NOT_AUTHORIZED, closes_311=closes)

    def _check(self, topic_filter: str) -> FilterVerdict | None:
        """Check the syntax and the size of a filter. Raises SubscribeRefusedError."""
        settings = self._link.settings
        try:
            check_filter(topic_filter, max_bytes=settings.max_topic_bytes, max_slashes=settings.max_topic_slashes)
        except TopicError as error:
            detail = f"topic filter: {error}"
            if error.malformed:
                raise SubscribeRefusedError("CLIENT_ERROR", detail, ReasonCode.MALFORMED_PACKET) from None
            return self._refused("CLIENT_ERROR", detail, ReasonCode.TOPIC_FILTER_INVALID, closes_311=True)
        return None

    def _refused(self, reason: str, detail: str, code: ReasonCode, *, closes_311: bool) -> FilterVerdict:
        """Return the refusal of a filter; raise SubscribeRefusedError if it closes the connection in this version."""
        closes = self._link.settings.mqtt5_refused_subscribe == "disconnect" if self._link.is_5 else closes_311
        if closes:
            raise SubscribeRefusedError(reason, detail, code)
        return FilterVerdict(code, detail)
