"""An accepted client: passes each of its packets to the part that handles it, until the connection ends."""

from __future__ import annotations

from mqtt443_tools.localcore.mqtt.capabilities import outbound_for, window
from mqtt443_tools.localcore.mqtt.delivery import Delivery
from mqtt443_tools.localcore.mqtt.encoder import PINGRESP_BYTES
from mqtt443_tools.localcore.mqtt.link import Link
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
from mqtt443_tools.localcore.mqtt.publishing import Publishing
from mqtt443_tools.localcore.mqtt.reason_codes import ReasonCode
from mqtt443_tools.localcore.mqtt.session import Message
from mqtt443_tools.localcore.mqtt.subscribe import Subscribing


class AcceptedClient:
    """One client between CONNACK and the end of its connection.

    Args:
        connect: its CONNECT.
        link: the state that the parts of its connection share.

    Attributes:
        delivery: takes messages from the broker.
    """

    __slots__ = ("_publishing", "_subscribing", "_will", "delivery", "link")

    def __init__(self, connect: Connect, link: Link) -> None:
        self.link = link
        self._will = connect.will
        self._publishing = Publishing(link)
        self._subscribing = Subscribing(link)
        self.delivery = Delivery(
            link.session,
            link.settings,
            link.context.clock,
            outbound=outbound_for(connect, link.settings, link.context.clock),
            window=window(connect, link.settings),
            send=link.send,
            access=link.access,
            on_drop=link.event_log.dropped,
        )

    def resume(self) -> None:
        """Send the messages waiting in its session."""
        self.delivery.resume()
        self.link.context.broker.send_shared(self.link.session, tuple(self.link.session.subscriptions))

    def close(self, *, send_will: bool) -> tuple[Message | None, int]:
        """Stop; return the will to send, if any, and its delay in seconds."""
        self.delivery.close()
        if self._will is None or not send_will:
            return None, 0
        will = Message.of(self._will, self.link.session.client_id, self.link.context.clock.time())
        return will, self._will.properties.will_delay_s or 0

    def handle(self, packet: Packet) -> None:
        """Handle a packet that came after CONNECT."""
        match packet:
            case Publish():
                self._publishing.receive(packet)
            case Puback():
                self.delivery.acknowledge(packet.packet_id)
            case Subscribe():
                self._subscribing.subscribe(packet)
            case Unsubscribe():
                self._subscribing.unsubscribe(packet)
            case Pingreq():
                self.link.send(PINGRESP_BYTES)  # [MQTT-3.12.4-1]
            case Disconnect():
                self._disconnected(packet)
            case Connect():
                self.link.end("CLIENT_ERROR", "a second CONNECT [MQTT-3.1.0-2]")
            case Qos2Flow():
                detail = f"packet type {packet.packet_type} belongs to QoS 2"
                if self.link.settings.qos2 == "close":
                    self.link.end("CLIENT_ERROR", detail)
                else:
                    self.link.event_log.dropped("CLIENT_ERROR", detail)
            case Malformed():
                self.link.end("CLIENT_ERROR", packet.detail, code=packet.reason_code)

    def _disconnected(self, packet: Disconnect) -> None:
        """Handle a DISCONNECT [MQTT-3.14.4-3]: it discards the will, unless it asks for it to be sent (MQTT 5)."""
        expiry_s = packet.properties.session_expiry_s
        if expiry_s is not None:
            if expiry_s and not self.link.session.expiry_s:
                detail = "a session expiry in DISCONNECT for a session that had none [MQTT5-3.1.2-23]"
                self.link.end("CLIENT_ERROR", detail)
                return
            self.link.session.expiry_s = min(expiry_s, self.link.settings.session_expiry_s)
        code = packet.reason_code
        said = "" if code == ReasonCode.SUCCESS else f", reason code {code:#04x}"
        said += "" if packet.properties.reason_string is None else f": {packet.properties.reason_string}"
        self.link.end("CLIENT_INITIATED_DISCONNECT", f"DISCONNECT{said}", send_will=code != ReasonCode.SUCCESS)
