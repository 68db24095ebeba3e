"""One MQTT 3.1.1 connection as AWS IoT Core treats it: from the first packet to the close.

Sans-I/O: bytes come in through `receive`, leave through a `Wire`, time comes from the clock. Subscribing is in
`subscribing.py`, the way out in `outbound.py`, the timers in `lifetimes.py`, the gate in `admission.py`.
"""

from __future__ import annotations

import asyncio
import traceback
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from mqtt443_tools.localcore.auth.access import Access
from mqtt443_tools.localcore.auth.peer import Peer
from mqtt443_tools.localcore.auth.registry import Refused
from mqtt443_tools.localcore.context import Shared
from mqtt443_tools.localcore.event_log import Journal
from mqtt443_tools.localcore.mqtt import packets
from mqtt443_tools.localcore.mqtt.connect import AdmissionRefusedError, Admitted
from mqtt443_tools.localcore.mqtt.delivery import Outbound
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
from mqtt443_tools.localcore.mqtt.publish import PublishRefusedError, check_publish
from mqtt443_tools.localcore.mqtt.session import Message, Session
from mqtt443_tools.localcore.mqtt.subscribe import SubscribeRefusedError, judge_filters
from mqtt443_tools.localcore.mqtt.timers import Lifetimes, effective_keep_alive_s
from mqtt443_tools.localcore.rate import RateWindow


class Wire(Protocol):
    """The way to the client, TLS or WebSocket."""

    def send(self, data: bytes) -> bool:
        """Send a packet; False means that the client does not read and the connection was aborted."""

    def close(self) -> None:
        """Close, after what was sent."""


@dataclass(frozen=True, slots=True)
class _Up:
    """What a connection has once it is accepted."""

    session: Session
    outbound: Outbound
    access: Access


class MqttConnection:
    """One connection; `open` turns False when it has ended, whoever ended it."""

    def __init__(self, wire: Wire, peer: Peer, journal: Journal, shared: Shared) -> None:
        self.open = True
        self._wire = wire
        self._peer = peer
        self._journal = journal
        self._shared = shared
        self._settings = shared.settings
        self._parser = packets.Parser(shared.settings.max_packet_bytes)
        self._publish_rate = RateWindow(shared.settings.publish_rate_per_s, shared.clock)
        self._lifetimes = Lifetimes(shared.settings, shared.clock, on_end=self.end, on_refresh=self._start_refresh)
        self._lifetimes.await_connect()
        self._up: _Up | None = None
        self._will: Message | None = None
        self._refreshing: asyncio.Task[None] | None = None

    async def receive(self, data: bytes) -> None:
        """Take bytes from the client and act on the packets they complete; only CONNECT takes time."""
        for packet in self._parser.feed(data):
            if not self.open:
                return
            self._lifetimes.heard()
            if self._up is None:
                await self._first(packet)
            else:
                self._handle(packet, self._up)

    def deliver(self, message: Message, qos: int) -> None:
        """Send a message of the broker."""
        if self._up is not None and self.open:
            self._up.outbound.deliver(message, qos)

    def end(self, reason: str, detail: str, *, send_will: bool = True) -> None:
        """Close the connection and, if it was up, leave the broker; the will is sent unless the client said goodbye."""
        if not self.open:
            return
        self.open = False
        self._lifetimes.close()
        if self._refreshing is not None:
            self._refreshing.cancel()
        self._journal.write("closed" if self._up else "refused", reason, detail)
        self._wire.close()
        if self._up is not None:
            self._up.outbound.close()
            will = self._will if send_will else None
            if will is not None:
                will = replace(will, received_at=self._shared.clock.time())
            self._shared.broker.detach(self._up.session.client_id, will)

    def fail(self, error: Exception) -> None:
        """End this connection, and no other, for an error of the endpoint itself."""
        self._shared.log("".join(traceback.format_exception(error)))
        self.end("SERVER_ERROR", f"internal error: {type(error).__name__}")

    def _send(self, data: bytes) -> None:
        if self.open and not self._wire.send(data):
            self.end("CONNECTION_LOST", f"the client does not read: {self._settings.max_write_buffer_bytes} bytes wait")

    async def _first(self, packet: Packet) -> None:
        """Take the packet that must be CONNECT [MQTT-3.1.0-1]."""
        self._lifetimes.connect_came()
        if isinstance(packet, Malformed):
            if packet.connack is not None:
                self._send(packets.connack(packet.connack))
            self.end("CLIENT_ERROR", packet.detail)
        elif not isinstance(packet, Connect):
            self.end("CLIENT_ERROR", f"{type(packet).__name__.upper()} came before CONNECT [MQTT-3.1.0-1]")
        else:
            self._journal.client_id = packet.client_id or None
            try:
                admitted = await self._shared.admission.admit(packet, self._peer)
            except AdmissionRefusedError as refused:
                if refused.connack and (refused.always_connack or self._settings.refusal == "connack"):
                    self._send(packets.connack(refused.connack))
                self.end(refused.reason, refused.detail)
            else:
                self._accept(packet, admitted)

    def _accept(self, connect: Connect, admitted: Admitted) -> None:
        if not self.open:  # the endpoint was stopped meanwhile
            return
        client_id, access = admitted.client_id, admitted.access
        self._journal.client_id = client_id
        session, present = self._shared.broker.attach(self, client_id, clean=connect.clean_session)
        outbound = Outbound(
            session,
            self._settings,
            self._shared.clock,
            send=self._send,
            may_receive=self._may_receive,
            on_drop=self._journal.dropped,
        )
        self._up = _Up(session, outbound, access)
        if (will := connect.will) is not None:
            self._will = self._message(will.topic, will.payload, will.qos, retain=will.retain)
        protocol = "MQTT over WebSocket" if self._peer.over_websocket else "MQTT"
        keep_alive_s = effective_keep_alive_s(connect.keep_alive_s, self._settings)
        found = "session present" if present else "new session"
        detail = f"{protocol}, authorizer {access.grant.authorizer.name}, keep alive {keep_alive_s} s, {found}"
        self._journal.write("accepted", "CONNECTED", detail)
        self._send(packets.connack(packets.ACCEPTED, session_present=present))
        if self.open:
            self._lifetimes.start(connect.keep_alive_s, access.grant, over_websocket=self._peer.over_websocket)
            outbound.resume()

    def _handle(self, packet: Packet, up: _Up) -> None:
        match packet:
            case Publish():
                self._publish(packet, up)
            case Puback():
                up.outbound.acknowledge(packet.packet_id)
            case Subscribe():
                self._subscribe(packet, up)
            case Unsubscribe():
                for topic_filter in packet.filters:
                    up.session.subscriptions.pop(topic_filter, None)
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
            self._journal.dropped("THROTTLED", f"over {self._settings.publish_rate_per_s} publishes a second")
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
        self._shared.broker.publish(self._message(packet.topic, packet.payload, packet.qos, retain=packet.retain))
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
            self._journal.dropped(reason, detail)

    def _subscribe(self, packet: Subscribe, up: _Up) -> None:
        try:
            codes = judge_filters(packet.filters, up.session, up.access, self._settings)
        except SubscribeRefusedError as refused:
            self.end(refused.reason, refused.detail)
            return
        if codes is None:
            self._journal.dropped("CLIENT_ERROR", "SUBSCRIBE with QoS 2 gets no SUBACK")
            return
        granted = []
        for (topic_filter, _), code in zip(packet.filters, codes, strict=True):
            if code == packets.SUBSCRIBE_REFUSED:
                self._journal.dropped("SUBSCRIBE_REFUSED", f"SUBACK 0x80 for {topic_filter}")
            else:
                up.session.subscriptions[topic_filter] = code  # replaces an earlier one [MQTT-3.8.4-3]
                granted.append((topic_filter, code))
        self._send(packets.suback(packet.packet_id, codes))  # [MQTT-3.8.4-1] [MQTT-3.8.4-5]
        for topic_filter, qos in granted:
            if (message := self._shared.broker.retained.for_filter(topic_filter)) is not None:
                self.deliver(message, min(qos, message.qos))  # RETAIN 1 [MQTT-3.3.1-8]

    def _may_receive(self, topic: str) -> bool:
        assert self._up is not None  # noqa: S101 - deliveries start after CONNACK
        verdict = self._up.access.receive(topic)
        if not verdict.allowed:
            self._journal.dropped("AUTHORIZATION_FAILURE", verdict.explanation)
        return verdict.allowed

    def _message(self, topic: str, payload: bytes, qos: int, *, retain: bool) -> Message:
        return Message(topic, payload, qos, retain, self._journal.client_id, self._shared.clock.time())

    def _start_refresh(self) -> None:
        self._refreshing = asyncio.get_running_loop().create_task(self._refresh())

    async def _refresh(self) -> None:
        """Ask the authorizer again; a refusal ends the connection."""
        try:
            problem = await self._ask_again()
        except Exception as error:
            self._refreshing = None
            self.fail(error)
            return
        self._refreshing = None
        if problem is not None:
            self.end("AUTH_ERROR", f"refresh: {problem}")

    async def _ask_again(self) -> str | None:
        """Take the new policy; return why the client may not stay, or None."""
        assert self._up is not None  # noqa: S101 - the timer starts after CONNACK
        access = self._up.access
        try:
            access.grant = await self._shared.registry.refresh(access.grant)
        except Refused as refused:
            return f"{refused.reason}: {refused.detail}"
        verdict = access.connect(self._up.session.client_id)
        if self._settings.recheck_connect and not verdict.allowed:
            return verdict.explanation
        self._lifetimes.refreshed(access.grant)
        return None
