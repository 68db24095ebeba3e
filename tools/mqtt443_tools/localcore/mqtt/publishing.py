"""PUBLISH from a connected client: topic aliases, rate, QoS 2, limits, policy, and the answer to each."""

from __future__ import annotations

from dataclasses import replace

from mqtt443_tools.localcore.faults import FAULT_INJECTED, Fault, explained
from mqtt443_tools.localcore.localcore_errors import PublishRefusedError
from mqtt443_tools.localcore.mqtt.link import Link
from mqtt443_tools.localcore.mqtt.packets import Publish
from mqtt443_tools.localcore.mqtt.properties import NONE
from mqtt443_tools.localcore.mqtt.publish import check_properties, check_publish
from mqtt443_tools.localcore.mqtt.reason_codes import ReasonCode
from mqtt443_tools.localcore.mqtt.session import Message
from mqtt443_tools.localcore.rate import RateWindow


class Publishing:
    """The publishes of one connection."""

    __slots__ = ("_aliases", "_faults", "_is_5", "_link", "_rate", "_settings", "_unanswered")

    def __init__(self, link: Link) -> None:
        self._link = link
        self._settings = link.settings
        self._faults = link.context.faults
        self._is_5 = link.is_5
        self._rate = RateWindow(link.settings.publish_rate_per_s, link.context.clock)
        self._aliases: dict[int, str] = {}
        self._unanswered: set[int] = set()  # packet identifiers of MQTT 5 without a PUBACK so far, at most a window

    def receive(self, packet: Publish) -> None:
        """Handle a PUBLISH: route it, or refuse it as the settings and the version require."""
        link, settings = self._link, self._settings
        if self._is_5:
            resolved = self._resolve(packet)
            if resolved is None or not self._may_use(packet.packet_id):
                return
            packet = resolved
        if not self._rate.take():
            detail = f"over {settings.publish_rate_per_s} publishes per second, topic {packet.topic}"
            self._throttled(packet, "THROTTLED", detail)
            return
        if self._faults.active and self._suffers(packet):
            return
        if packet.qos == 2:
            detail = f"PUBLISH with QoS 2 on {packet.topic}"
            self._close_or_ignore(settings.qos2, packet, "CLIENT_ERROR", detail, ReasonCode.QOS_NOT_SUPPORTED)
            return
        try:
            check_publish(
                packet.topic,
                len(packet.payload),
                retain=packet.retain,
                access=link.access,
                settings=settings,
                services=link.context.services,
            )
            if packet.properties is not NONE:
                check_properties(packet.properties, settings)
        except PublishRefusedError as refused:
            self._refuse(packet, refused)
            return
        services = link.context.services
        is_request = packet.topic[0] == "$" and services.takes(packet.topic)
        if not is_request or services.shows(packet.topic):
            link.context.broker.publish(Message.of(packet, link.session.client_id, link.context.clock.time()))
        if packet.packet_id is not None:
            self._acknowledge(packet.packet_id, packet.topic)
        if is_request:
            for topic, payload in services.request(packet.topic, packet.payload):
                link.context.broker.answer(link.session.client_id, topic, payload)

    def _acknowledge(self, packet_id: int, topic: str) -> None:
        if self._faults.hits(self._link.session.client_id, Fault.LOSE_PUBACKS):
            detail = explained(Fault.LOSE_PUBACKS, f"the PUBACK of a PUBLISH on {topic} is lost")
            self._link.event_log.dropped(FAULT_INJECTED, detail, topic)
        else:
            self._link.send(self._link.answers.puback(packet_id))

    def _suffers(self, packet: Publish) -> bool:
        """Apply a fault of this client to a publish; return False if none is on."""
        client_id = self._link.session.client_id
        if self._faults.hits(client_id, Fault.DROP):
            self._link.end(
                FAULT_INJECTED, explained(Fault.DROP, f"the connection is cut at a PUBLISH on {packet.topic}")
            )
        elif self._faults.hits(client_id, Fault.THROTTLE):
            detail = explained(Fault.THROTTLE, f"a PUBLISH on {packet.topic} is discarded")
            self._throttled(packet, FAULT_INJECTED, detail)
        else:
            return False
        return True

    def _resolve(self, packet: Publish) -> Publish | None:
        """Replace a topic alias with its topic (MQTT 5, clause 3.3.2.3.4); None if that closed the connection."""
        alias = packet.properties.topic_alias
        if alias is None:
            if packet.topic:
                return packet
            detail = "a PUBLISH without topic and topic alias (MQTT 5, clause 3.3.2.1)"
            self._link.end("CLIENT_ERROR", detail, code=ReasonCode.PROTOCOL_ERROR)
        elif alias > self._settings.mqtt5_topic_aliases:
            detail = f"topic alias {alias}, the limit is {self._settings.mqtt5_topic_aliases}"
            self._link.end("CLIENT_ERROR", detail, code=ReasonCode.TOPIC_ALIAS_INVALID)
        elif packet.topic:
            self._aliases[alias] = packet.topic
            return packet
        elif alias in self._aliases:
            return replace(packet, topic=self._aliases[alias])
        else:
            detail = f"topic alias {alias} has no topic yet"
            self._link.end("CLIENT_ERROR", detail, code=ReasonCode.PROTOCOL_ERROR)
        return None

    def _may_use(self, packet_id: int | None) -> bool:
        """Return whether an MQTT 5 client may use this packet identifier; answer if it may not."""
        link, unanswered = self._link, self._unanswered
        if packet_id is None or not unanswered:
            return True
        if packet_id in unanswered:
            detail = f"packet identifier {packet_id} has had no PUBACK yet"
            link.event_log.dropped("CLIENT_ERROR", detail)
            link.send(link.answers.puback(packet_id, ReasonCode.PACKET_IDENTIFIER_IN_USE, detail))
            unanswered.discard(packet_id)  # any PUBACK frees it, even a refusal (MQTT 5, clause 2.2.1)
            return False
        if len(unanswered) >= link.settings.max_in_flight:
            detail = f"over {link.settings.max_in_flight} publishes without PUBACK"
            link.end("CLIENT_ERROR", detail, code=ReasonCode.RECEIVE_MAXIMUM_EXCEEDED)
            return False
        return True

    def _throttled(self, packet: Publish, reason: str, detail: str) -> None:
        """Discard; QoS 1 gets no PUBACK, so that the client can resend, or 0x97 in MQTT 5 if the setting says so."""
        link = self._link
        link.event_log.dropped(reason, detail, packet.topic)
        if packet.packet_id is not None and self._is_5:
            if link.settings.mqtt5_throttled_publish == "puback":
                link.send(link.answers.puback(packet.packet_id, ReasonCode.QUOTA_EXCEEDED, detail))
            else:
                self._unanswered.add(packet.packet_id)

    def _refuse(self, packet: Publish, refused: PublishRefusedError) -> None:
        settings = self._settings
        reason = "AUTH_ERROR" if refused.kind == "policy" else "CLIENT_ERROR"
        if self._is_5 and refused.reason_code not in {ReasonCode.MALFORMED_PACKET, ReasonCode.PROTOCOL_ERROR}:
            self._refuse_5(packet, reason, refused)
            return
        action = {
            "topic": "close",
            "payload": settings.over_payload,
            "reserved": settings.reserved_topics,
            "policy": settings.refused_publish,
        }[refused.kind]
        self._close_or_ignore(action, packet, reason, refused.detail, refused.reason_code)

    def _refuse_5(self, packet: Publish, reason: str, refused: PublishRefusedError) -> None:
        settings = self._settings
        if packet.packet_id is not None and settings.mqtt5_refused_publish == "puback":
            self._link.event_log.dropped(reason, refused.detail, packet.topic)
            self._link.send(self._link.answers.puback(packet.packet_id, refused.reason_code, refused.detail))
        elif packet.packet_id is None and settings.mqtt5_refused_qos0 == "ignore":
            self._link.event_log.dropped(reason, refused.detail, packet.topic)
        else:
            self._link.end(reason, refused.detail, code=refused.reason_code)

    def _close_or_ignore(self, action: str, packet: Publish, reason: str, detail: str, code: int) -> None:
        """Close, or leave the packet unanswered, as the setting says."""
        if action == "close":
            self._link.end(reason, detail, code=code)
            return
        self._link.event_log.dropped(reason, detail, packet.topic)
        if packet.packet_id is not None and self._is_5:
            self._unanswered.add(packet.packet_id)
