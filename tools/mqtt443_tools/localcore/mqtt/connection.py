"""One MQTT 3.1.1 connection as AWS IoT Core treats it: from the first packet to the close.

Sans-I/O: bytes come in through `receive`; bytes and requests go out through a `Driver`; time comes from the clock.
Nothing here waits: the driver asks the authorizer and answers with `granted`, `not_granted`, `refreshed` or
`not_refreshed`. `connect` is the gate, `subscribe` judges filters, `delivery` sends messages, `timers` end a connection
that is silent or too old.
"""

from __future__ import annotations

import traceback
from collections import deque
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from mqtt443_tools.localcore.auth.access import Access
from mqtt443_tools.localcore.auth.peer import Peer
from mqtt443_tools.localcore.auth.registry import Grant, Request
from mqtt443_tools.localcore.context import Context
from mqtt443_tools.localcore.event_log import EventLog
from mqtt443_tools.localcore.localcore_errors import (
    AdmissionRefusedError,
    PublishRefusedError,
    Refused,
    SubscribeRefusedError,
)
from mqtt443_tools.localcore.mqtt import packets
from mqtt443_tools.localcore.mqtt.connect import Admitted
from mqtt443_tools.localcore.mqtt.delivery import Delivery
from mqtt443_tools.localcore.mqtt.packets import (
    Connect,
    Disconnect,
    Malformed,
    Packet,
    Pingreq,
    Puback,
    Publish,
    Qos2Flow,
    Subscribe,
    Unsubscribe,
)
from mqtt443_tools.localcore.mqtt.publish import check_publish
from mqtt443_tools.localcore.mqtt.session import Message, Session
from mqtt443_tools.localcore.mqtt.subscribe import judge_filters
from mqtt443_tools.localcore.mqtt.timers import Timers, effective_keep_alive_s
from mqtt443_tools.localcore.rate import RateWindow


class Driver(Protocol):
    """What carries out what a connection asks for."""

    def send(self, data: bytes) -> bool:
        """Send a packet; False means that the client does not read and the connection was aborted."""

    def authorize(self, request: Request) -> None:
        """Ask the authorizer about a CONNECT; answer with `granted` or `not_granted`."""

    def refresh(self, grant: Grant) -> None:
        """Ask the authorizer again for a connection that is up; answer with `refreshed` or `not_refreshed`."""

    def close(self) -> None:
        """Close, after what was sent; what was asked of the authorizer is no longer wanted."""


@dataclass(frozen=True, slots=True)
class _Up:
    """What a connection has once it is accepted."""

    session: Session
    delivery: Delivery
    access: Access


class MqttConnection:
    """One connection; `open` turns False when it has ended, whoever ended it."""

    def __init__(self, driver: Driver, peer: Peer, event_log: EventLog, context: Context) -> None:
        self.open = True
        self._driver = driver
        self._peer = peer
        self._event_log = event_log
        self._context = context
        self._settings = context.settings
        self._parser = packets.Parser(context.settings.max_packet_bytes)
        self._publish_rate = RateWindow(context.settings.publish_rate_per_s, context.clock)
        self._timers = Timers(context.settings, context.clock, on_end=self.end, on_refresh=self._start_refresh)
        self._timers.await_connect()
        self._up: _Up | None = None
        self._will: Message | None = None
        self._waiting: deque[Packet] = deque()
        self._authorizing: Connect | None = None  # the CONNECT that the authorizer is asked about

    def receive(self, data: bytes) -> None:
        """Take bytes from the client and act on the packets that they complete.

        Packets behind a CONNECT wait until the authorizer has answered.
        """
        self._waiting.extend(self._parser.feed(data))
        self._process()

    def granted(self, grant: Grant) -> None:
        """Go on with a CONNECT that the authorizer let in."""
        connect = self._end_authorizing()
        if connect is None:
            return
        try:
            admitted = self._context.admission.admit(connect, self._peer, grant)
        except AdmissionRefusedError as refused:
            self._refuse_connect(refused)
        else:
            self._accept(connect, admitted)
            self._process()

    def not_granted(self, refused: Refused) -> None:
        """Refuse a CONNECT that the authorizer did not let in."""
        if self._end_authorizing() is not None:
            self._refuse_connect(AdmissionRefusedError(refused.reason, refused.detail, packets.NOT_AUTHORIZED))

    def refreshed(self, grant: Grant) -> None:
        """Take the new policy of a connection that is up; it may end the connection."""
        if self._up is None or not self.open:
            return
        access = self._up.access
        access.grant = grant
        verdict = access.connect(self._up.session.client_id)
        if self._settings.recheck_connect and not verdict.allowed:
            self.end("AUTH_ERROR", f"refresh: {verdict.explanation}")
        else:
            self._timers.refreshed(grant)

    def not_refreshed(self, refused: Refused) -> None:
        """End a connection that the authorizer no longer lets in."""
        self.end("AUTH_ERROR", f"refresh: {refused.reason}: {refused.detail}")

    def deliver(self, message: Message, qos: int) -> None:
        """Send a message of the broker."""
        if self._up is not None and self.open:
            self._up.delivery.deliver(message, qos)

    def end(self, reason: str, detail: str, *, send_will: bool = True) -> None:
        """Close the connection and, if it was up, leave the broker; the will is sent unless the client said goodbye."""
        if not self.open:
            return
        self.open = False
        self._timers.close()
        self._event_log.write("closed" if self._up else "refused", reason, detail)
        self._driver.close()
        if self._up is not None:
            self._up.delivery.close()
            will = self._will if send_will else None
            if will is not None:
                will = replace(will, received_at=self._context.clock.time())
            self._context.broker.detach(self._up.session.client_id, will)

    def fail(self, error: Exception) -> None:
        """End this connection, and no other, for an error of the endpoint itself."""
        self._context.log("".join(traceback.format_exception(error)))
        self.end("SERVER_ERROR", f"internal error: {type(error).__name__}")

    def _send(self, data: bytes) -> None:
        if self.open and not self._driver.send(data):
            self.end("CONNECTION_LOST", f"the client does not read: {self._settings.max_write_buffer_bytes} bytes wait")

    def _process(self) -> None:
        while self._waiting and self.open and self._authorizing is None:
            packet = self._waiting.popleft()
            self._timers.heard()
            if self._up is None:
                self._first(packet)
            else:
                self._handle(packet, self._up)

    def _first(self, packet: Packet) -> None:
        """Take the packet that must be CONNECT [MQTT-3.1.0-1]."""
        self._timers.connect_came()
        if isinstance(packet, Malformed):
            if packet.connack is not None:
                self._send(packets.connack(packet.connack))
            self.end("CLIENT_ERROR", packet.detail)
        elif not isinstance(packet, Connect):
            self.end("CLIENT_ERROR", f"{type(packet).__name__.upper()} came before CONNECT [MQTT-3.1.0-1]")
        else:
            self._event_log.client_id = packet.client_id or None
            try:
                request = self._context.admission.request(packet, self._peer)
            except AdmissionRefusedError as refused:
                self._refuse_connect(refused)
            else:
                self._authorizing = packet
                self._driver.authorize(request)

    def _end_authorizing(self) -> Connect | None:
        """Return the CONNECT that waited for the authorizer; None if the connection has ended meanwhile."""
        connect, self._authorizing = self._authorizing, None
        return connect if self.open else None

    def _refuse_connect(self, refused: AdmissionRefusedError) -> None:
        if refused.connack and (refused.always_connack or self._settings.refusal == "connack"):
            self._send(packets.connack(refused.connack))
        self.end(refused.reason, refused.detail)

    def _accept(self, connect: Connect, admitted: Admitted) -> None:
        client_id, access = admitted.client_id, admitted.access
        self._event_log.client_id = client_id
        session, present = self._context.broker.attach(self, client_id, clean=connect.clean_session)
        delivery = Delivery(
            session,
            self._settings,
            self._context.clock,
            send=self._send,
            may_receive=self._may_receive,
            on_drop=self._event_log.dropped,
        )
        self._up = _Up(session, delivery, access)
        if (will := connect.will) is not None:
            self._will = self._message(will.topic, will.payload, will.qos, retain=will.retain)
        protocol = "MQTT over WebSocket" if self._peer.over_websocket else "MQTT"
        keep_alive_s = effective_keep_alive_s(connect.keep_alive_s, self._settings)
        found = "session present" if present else "new session"
        detail = f"{protocol}, authorizer {access.grant.authorizer.name}, keep alive {keep_alive_s} s, {found}"
        self._event_log.write("accepted", "CONNECTED", detail)
        self._send(packets.connack(packets.ACCEPTED, session_present=present))
        if self.open:
            self._timers.start(connect.keep_alive_s, access.grant, over_websocket=self._peer.over_websocket)
            delivery.resume()

    def _handle(self, packet: Packet, up: _Up) -> None:
        match packet:
            case Publish():
                self._publish(packet, up)
            case Puback():
                up.delivery.acknowledge(packet.packet_id)
            case Subscribe():
                self._subscribe(packet, up)
            case Unsubscribe():
                for topic_filter in packet.filters:
                    self._context.broker.subscriptions.remove(up.session, topic_filter)
                self._send(packets.unsuback(packet.packet_id))  # also for what was not subscribed [MQTT-3.10.4-5]
            case Pingreq():
                self._send(packets.PINGRESP_BYTES)  # [MQTT-3.12.4-1]
            case Disconnect():  # [MQTT-3.14.4-3]: the will goes with it
                self.end("CLIENT_INITIATED_DISCONNECT", "DISCONNECT", send_will=False)
            case Connect():
                self.end("CLIENT_ERROR", "a second CONNECT [MQTT-3.1.0-2]")
            case Qos2Flow():
                self._refuse(self._settings.qos2, "CLIENT_ERROR", f"packet type {packet.packet_type} belongs to QoS 2")
            case Malformed():
                self.end("CLIENT_ERROR", packet.detail)

    def _publish(self, packet: Publish, up: _Up) -> None:
        if not self._publish_rate.take():  # discarded; QoS 1 gets no PUBACK, so a client can send it again
            self._event_log.dropped("THROTTLED", f"over {self._settings.publish_rate_per_s} publishes a second")
            return
        if packet.qos == 2:
            self._refuse(self._settings.qos2, "CLIENT_ERROR", f"PUBLISH with QoS 2 on {packet.topic}")
            return
        try:
            check_publish(
                packet.topic,
                len(packet.payload),
                retain=packet.retain,
                access=up.access,
                settings=self._settings,
            )
        except PublishRefusedError as refused:
            self._refuse_publish(refused)
            return
        self._context.broker.publish(self._message(packet.topic, packet.payload, packet.qos, retain=packet.retain))
        if packet.packet_id is not None:
            self._send(packets.puback(packet.packet_id))

    def _refuse_publish(self, refused: PublishRefusedError) -> None:
        match refused.kind:
            case "topic":
                self.end("CLIENT_ERROR", refused.detail)
            case "payload":
                self._refuse(self._settings.over_payload, "CLIENT_ERROR", refused.detail)
            case "reserved":
                self._refuse(self._settings.reserved_topics, "CLIENT_ERROR", refused.detail)
            case "policy":
                self._refuse(self._settings.refused_publish, "AUTH_ERROR", refused.detail)

    def _refuse(self, action: Literal["close", "ignore"], reason: str, detail: str) -> None:
        """Close, or leave the packet unanswered, as the setting says."""
        if action == "close":
            self.end(reason, detail)
        else:
            self._event_log.dropped(reason, detail)

    def _subscribe(self, packet: Subscribe, up: _Up) -> None:
        try:
            codes = judge_filters(packet.filters, up.session, up.access, self._settings)
        except SubscribeRefusedError as refused:
            self.end(refused.reason, refused.detail)
            return
        if codes is None:
            self._event_log.dropped("CLIENT_ERROR", "SUBSCRIBE with QoS 2 gets no SUBACK")
            return
        granted = []
        for (topic_filter, _), code in zip(packet.filters, codes, strict=True):
            if code == packets.SUBSCRIBE_REFUSED:
                self._event_log.dropped("SUBSCRIBE_REFUSED", f"SUBACK 0x80 for {topic_filter}")
            else:
                self._context.broker.subscriptions.add(up.session, topic_filter, code)
                granted.append((topic_filter, code))
        self._send(packets.suback(packet.packet_id, codes))  # [MQTT-3.8.4-1] [MQTT-3.8.4-5]
        for topic_filter, qos in granted:
            if (message := self._context.broker.retained.for_filter(topic_filter)) is not None:
                self.deliver(message, min(qos, message.qos))  # RETAIN 1 [MQTT-3.3.1-8]

    def _may_receive(self, topic: str) -> bool:
        assert self._up is not None  # noqa: S101 - deliveries start after CONNACK
        verdict = self._up.access.receive(topic)
        if not verdict.allowed:
            self._event_log.dropped("AUTHORIZATION_FAILURE", verdict.explanation)
        return verdict.allowed

    def _message(self, topic: str, payload: bytes, qos: int, *, retain: bool) -> Message:
        return Message(topic, payload, qos, retain, self._event_log.client_id, self._context.clock.time())

    def _start_refresh(self) -> None:
        if self._up is not None:
            self._driver.refresh(self._up.access.grant)
