"""Parses a client's bytes into MQTT packets, in both versions. No I/O, no policy.

The parser holds at most one packet, refuses a packet that is too large as soon as it sees the header, and never raises:
an unacceptable packet comes out as a `Malformed`, after the packets before it. The connection decides whether a
well-formed packet is allowed (topics, QoS 2, order). Clauses are those of MQTT 3.1.1; `MQTT5-` marks the others.
"""

from __future__ import annotations

from mqtt443_tools.localcore.localcore_errors import MalformedPacketError
from mqtt443_tools.localcore.mqtt import packet_types as types
from mqtt443_tools.localcore.mqtt import properties
from mqtt443_tools.localcore.mqtt.fields import Body
from mqtt443_tools.localcore.mqtt.packets import (
    QOS_BITS,
    RETAIN_HANDLING_SHIFT,
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
    Version,
    Will,
)
from mqtt443_tools.localcore.mqtt.properties import NONE, Properties
from mqtt443_tools.localcore.mqtt.reason_codes import ReasonCode

FROM_CLIENT = {
    *(types.CONNECT, types.PUBLISH, types.PUBACK, types.PUBREC, types.PUBREL, types.PUBCOMP),
    *(types.SUBSCRIBE, types.UNSUBSCRIBE, types.PINGREQ, types.DISCONNECT),
}
FIXED_FLAGS = {types.PUBREL: 0b0010, types.SUBSCRIBE: 0b0010, types.UNSUBSCRIBE: 0b0010}
"""Flags that the fixed header must carry [MQTT-2.2.2-1]; all other types have 0, except PUBLISH, whose flags vary."""

CLIENT_DISCONNECT_CODES = {0x00, 0x04, *range(0x80, 0x84), 0x90, *range(0x93, 0x9A)}
"""Reason codes that a client may send in DISCONNECT (MQTT 5, table 3-10)."""


class Parser:
    """Cuts a stream of bytes into packets.

    Args:
        max_packet_bytes: longest packet body to accept; the parser never holds more than this plus one chunk.

    Attributes:
        version: of the client; known once the protocol level of its CONNECT is read, even if the rest is malformed.
    """

    def __init__(self, max_packet_bytes: int) -> None:
        self.version: Version = 4
        self._max_packet_bytes = max_packet_bytes
        self._buffer = bytearray()
        self._broken = False

    @property
    def buffered(self) -> int:
        """Bytes of an incomplete packet."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[Packet]:
        """Process bytes; return the packets that they complete. After a Malformed, everything is ignored."""
        packets: list[Packet] = []
        if self._broken:
            return packets
        self._buffer += data
        start = 0
        try:
            while (frame := self._frame(start)) is not None:
                first_byte, body_start, end = frame
                packets.append(self._decode(first_byte, bytes(self._buffer[body_start:end])))
                start = end
        except MalformedPacketError as error:
            packets.append(Malformed(str(error), error.reason_code))
            self._broken = True
            start = len(self._buffer)
        del self._buffer[:start]
        return packets

    def _frame(self, start: int) -> tuple[int, int, int] | None:
        """Return (first byte, start of the body, its end) of the packet at `start`, or None if it is incomplete."""
        if start >= len(self._buffer):
            return None
        first_byte = self._buffer[start]
        _check_first_byte(first_byte)
        length = 0
        for i in range(4):
            if start + 1 + i >= len(self._buffer):
                return None
            byte = self._buffer[start + 1 + i]
            length |= (byte & 0x7F) << (7 * i)
            if not byte & 0x80:
                break
        else:
            raise MalformedPacketError("the remaining length takes more than four bytes (section 2.2.3)")
        if length > self._max_packet_bytes:
            raise MalformedPacketError(
                f"a packet of {length} bytes, the limit is {self._max_packet_bytes}", ReasonCode.PACKET_TOO_LARGE
            )
        body = start + 2 + i
        return (first_byte, body, body + length) if body + length <= len(self._buffer) else None

    def _decode(self, first_byte: int, data: bytes) -> Packet:
        packet_type, body, version = first_byte >> 4, Body(data), self.version
        packet: Packet
        if packet_type == types.PUBLISH:
            return _publish(first_byte & 0x0F, body, version)
        if packet_type == types.PUBACK:
            packet = Puback(body.packet_id(), *_reason(body, packet_type, version))
        elif packet_type == types.SUBSCRIBE:
            packet = _subscribe(body, version)
        elif packet_type == types.UNSUBSCRIBE:
            packet = _unsubscribe(body, version)
        elif packet_type == types.PINGREQ:
            packet = Pingreq()
        elif packet_type == types.DISCONNECT:
            packet = _disconnect(body, version)
        elif packet_type == types.CONNECT:
            packet = self._connect(body)
        else:
            body.packet_id()
            _reason(body, packet_type, version)
            packet = Qos2Flow(packet_type)
        if body.left:
            raise MalformedPacketError(f"{body.left} bytes too many in packet type {packet_type}")
        return packet

    def _connect(self, body: Body) -> Connect:
        self._read_version(body)
        flags, keep_alive_s = body.byte("connect flags"), body.short("keep alive")
        has_will, will_qos, will_retain = bool(flags & 0x04), flags >> 3 & 0x03, bool(flags & 0x20)
        if flags & 0x01:
            raise MalformedPacketError("the reserved connect flag is set [MQTT-3.1.2-3]")
        if not has_will and (will_qos or will_retain):
            raise MalformedPacketError("will QoS or will retain without a will [MQTT-3.1.2-13] [MQTT-3.1.2-15]")
        if will_qos == 3:
            raise MalformedPacketError("will QoS 3 [MQTT-3.1.2-14]")
        if flags & 0x40 and not flags & 0x80 and self.version == 4:
            raise MalformedPacketError("a password without a user name [MQTT-3.1.2-22]")
        found = self._properties(body, types.CONNECT)
        client_id = body.string("client id")
        will = self._will(body, will_qos, retain=will_retain) if has_will else None
        username = body.string("user name") if flags & 0x80 else None
        password = body.binary("password") if flags & 0x40 else None
        return Connect(client_id, bool(flags & 0x02), keep_alive_s, username, password, will, self.version, found)

    def _read_version(self, body: Body) -> None:
        """Read protocol name and level; other versions are refused in a form that they understand."""
        name, level = body.string("protocol name"), body.byte("protocol level")
        if name != "MQTT" and (name, level) != ("MQIsdp", 3):
            raise MalformedPacketError(f"protocol name {name[:16]!r}, not MQTT [MQTT-3.1.2-1]")
        self.version = 4 if level < 5 else 5
        if level not in {4, 5}:
            said = "MQTT 3.1" if level == 3 else f"protocol level {level}"
            raise MalformedPacketError(
                f"{said}: this endpoint speaks MQTT 3.1.1 and MQTT 5 [MQTT-3.1.2-2]",
                ReasonCode.UNSUPPORTED_PROTOCOL_VERSION,
            )

    def _will(self, body: Body, qos: int, *, retain: bool) -> Will:
        found = self._properties(body, types.WILL)
        return Will(body.string("will topic"), body.binary("will message"), qos, retain, found)

    def _properties(self, body: Body, packet_type: int) -> Properties:
        found = properties.decode(body, packet_type) if self.version == 5 else NONE
        if found.authentication_data is not None and found.authentication_method is None:
            raise MalformedPacketError(
                "authentication data without a method (MQTT 5, clause 3.1.2.11.10)", ReasonCode.PROTOCOL_ERROR
            )
        return found


def _check_first_byte(first_byte: int) -> None:
    packet_type, flags = first_byte >> 4, first_byte & 0x0F
    if packet_type not in FROM_CLIENT:
        why = "AWS does not support AUTH" if packet_type == types.AUTH else "table 2.1"
        detail = f"packet type {packet_type} is not for a client to send ({why})"
        raise MalformedPacketError(detail, ReasonCode.PROTOCOL_ERROR)
    if packet_type != types.PUBLISH and flags != FIXED_FLAGS.get(packet_type, 0):
        raise MalformedPacketError(f"flags {flags:04b} on packet type {packet_type} [MQTT-2.2.2-2]")


def _publish(flags: int, body: Body, version: Version) -> Publish:
    qos, dup = flags >> 1 & 0x03, bool(flags & 0x08)
    if qos == 3:
        raise MalformedPacketError("QoS 3 [MQTT-3.3.1-4]")
    if dup and qos == 0:
        raise MalformedPacketError("DUP with QoS 0 [MQTT-3.3.1-2]")
    topic = body.string("topic")
    packet_id = body.packet_id() if qos else None
    if version == 4:
        return Publish(topic, body.rest(), qos, bool(flags & 0x01), dup, packet_id)
    found = properties.decode(body, types.PUBLISH)
    if found.topic_alias == 0:
        raise MalformedPacketError("topic alias 0 [MQTT5-3.3.2-8]", ReasonCode.TOPIC_ALIAS_INVALID)
    if found.subscription_identifier is not None:
        raise MalformedPacketError("a subscription identifier from a client [MQTT5-3.3.4-6]", ReasonCode.PROTOCOL_ERROR)
    return Publish(topic, body.rest(), qos, bool(flags & 0x01), dup, packet_id, found)


def _reason(body: Body, packet_type: int, version: Version) -> tuple[int, Properties]:
    """Read the optional fields that MQTT 5 allows after the packet identifier: a reason code, then properties."""
    code = body.byte("reason code") if version == 5 and body.left else ReasonCode.SUCCESS
    return code, properties.decode(body, packet_type) if version == 5 and body.left else NONE


def _disconnect(body: Body, version: Version) -> Disconnect:
    code, found = _reason(body, types.DISCONNECT, version)
    if code not in CLIENT_DISCONNECT_CODES:
        raise MalformedPacketError(f"reason code {code:#04x} is not for a client's DISCONNECT [MQTT5-3.14.2-1]")
    if found.server_reference is not None:
        raise MalformedPacketError("a server reference from a client (MQTT 5, clause 3.14.2.2.5)")
    return Disconnect(code, found)


def _subscribe(body: Body, version: Version) -> Subscribe:
    packet_id = body.packet_id()
    found = properties.decode(body, types.SUBSCRIBE) if version == 5 else NONE
    filters = []
    while body.left:
        topic_filter, options = body.string("topic filter"), body.byte("subscription options")
        _check_options(options, version)
        filters.append((topic_filter, options))
    if not filters:
        raise MalformedPacketError("SUBSCRIBE without a topic filter [MQTT-3.8.3-3]", ReasonCode.PROTOCOL_ERROR)
    return Subscribe(packet_id, tuple(filters), found)


def _check_options(options: int, version: Version) -> None:
    if options & QOS_BITS == 3 or options > (0x02 if version == 4 else 0x3F):
        raise MalformedPacketError(f"subscription options {options:#04x} [MQTT-3.8.3-4] [MQTT5-3.8.3-5]")
    if options >> RETAIN_HANDLING_SHIFT == 3:
        raise MalformedPacketError("retain handling 3 (MQTT 5, clause 3.8.3.1)", ReasonCode.PROTOCOL_ERROR)


def _unsubscribe(body: Body, version: Version) -> Unsubscribe:
    packet_id = body.packet_id()
    found = properties.decode(body, types.UNSUBSCRIBE) if version == 5 else NONE
    filters = []
    while body.left:
        filters.append(body.string("topic filter"))
    if not filters:
        raise MalformedPacketError("UNSUBSCRIBE without a topic filter [MQTT-3.10.3-2]", ReasonCode.PROTOCOL_ERROR)
    return Unsubscribe(packet_id, tuple(filters), found)
