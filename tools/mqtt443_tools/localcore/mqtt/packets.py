"""MQTT 3.1.1 control packets: bytes from a client to packets, and answers to bytes. No I/O, no policy.

The parser holds at most one packet, refuses one that is too large from its header on, and never raises: what it cannot
accept comes out as a `Malformed`, in order, after the packets before it. Whether a well-formed packet is allowed here
(topics, QoS 2, order) is decided by the connection.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mqtt443_tools.localcore.localcore_errors import MalformedPacketError
from mqtt443_tools.localcore.mqtt.fields import Body, encode_length, string

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = 1, 2, 3, 4, 5, 6, 7
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT = 8, 9, 10, 11, 12, 13, 14

FROM_CLIENT = {CONNECT, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, UNSUBSCRIBE, PINGREQ, DISCONNECT}
FIXED_FLAGS = {PUBREL: 0b0010, SUBSCRIBE: 0b0010, UNSUBSCRIBE: 0b0010}
"""Flags that the fixed header must carry [MQTT-2.2.2-1]; 0 for the others, but PUBLISH, where they mean something."""

ACCEPTED, BAD_LEVEL, ID_REJECTED, NOT_AUTHORIZED = 0, 1, 2, 5
"""CONNACK return codes (MQTT 3.1.1, table 3.1)."""

SUBSCRIBE_REFUSED = 0x80


@dataclass(frozen=True, slots=True)
class Will:
    """The message that a client leaves behind."""

    topic: str
    payload: bytes
    qos: int
    retain: bool


@dataclass(frozen=True, slots=True)
class Connect:
    """CONNECT. `keep_alive_s` is 0..65535 as sent; the password stays out of the repr."""

    client_id: str
    clean_session: bool
    keep_alive_s: int
    username: str | None
    password: bytes | None = field(repr=False)
    will: Will | None


@dataclass(frozen=True, slots=True)
class Publish:
    """PUBLISH; `packet_id` is None with QoS 0."""

    topic: str
    payload: bytes
    qos: int
    retain: bool = False
    dup: bool = False
    packet_id: int | None = None


@dataclass(frozen=True, slots=True)
class Puback:
    """PUBACK."""

    packet_id: int


@dataclass(frozen=True, slots=True)
class Subscribe:
    """SUBSCRIBE: filters with the QoS asked for, in order."""

    packet_id: int
    filters: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """UNSUBSCRIBE."""

    packet_id: int
    filters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pingreq:
    """PINGREQ."""


@dataclass(frozen=True, slots=True)
class Disconnect:
    """DISCONNECT."""


@dataclass(frozen=True, slots=True)
class Qos2Flow:
    """PUBREC, PUBREL or PUBCOMP, which AWS does not support."""

    packet_type: int


@dataclass(frozen=True, slots=True)
class Malformed:
    """Bytes that are no packet. `connack` is the return code to send before the close, if there is one."""

    detail: str
    connack: int | None = None


Packet = Connect | Publish | Puback | Subscribe | Unsubscribe | Pingreq | Disconnect | Qos2Flow | Malformed


class Parser:
    """Cuts a stream of bytes into packets.

    Args:
        max_packet_bytes: longest packet body to accept; no more than this and one chunk is ever held.
    """

    def __init__(self, max_packet_bytes: int) -> None:
        self._max_packet_bytes = max_packet_bytes
        self._buffer = bytearray()
        self._broken = False

    @property
    def buffered(self) -> int:
        """Bytes held of a packet that is not complete."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[Packet]:
        """Take bytes; return the packets they complete. After a Malformed, everything is ignored."""
        packets: list[Packet] = []
        if self._broken:
            return packets
        self._buffer += data
        start = 0
        try:
            while (frame := self._frame(start)) is not None:
                first_byte, body_start, end = frame
                packets.append(_decode(first_byte, bytes(self._buffer[body_start:end])))
                start = end
        except MalformedPacketError as error:
            packets.append(Malformed(str(error), error.connack))
            self._broken = True
            start = len(self._buffer)
        del self._buffer[:start]
        return packets

    def _frame(self, start: int) -> tuple[int, int, int] | None:
        """Return (first byte, start of the body, its end) of the packet at `start`, or None if it is not all here."""
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
            raise MalformedPacketError(f"a packet of {length} bytes, the limit is {self._max_packet_bytes}")
        body = start + 2 + i
        return (first_byte, body, body + length) if body + length <= len(self._buffer) else None


def _check_first_byte(first_byte: int) -> None:
    packet_type, flags = first_byte >> 4, first_byte & 0x0F
    if packet_type not in FROM_CLIENT:
        raise MalformedPacketError(f"packet type {packet_type} is not for a client to send (table 2.1)")
    if packet_type != PUBLISH and flags != FIXED_FLAGS.get(packet_type, 0):
        raise MalformedPacketError(f"flags {flags:04b} on packet type {packet_type} [MQTT-2.2.2-2]")


def _decode(first_byte: int, data: bytes) -> Packet:
    packet_type, body = first_byte >> 4, Body(data)
    packet: Packet
    if packet_type == CONNECT:
        packet = _connect(body)
    elif packet_type == PUBLISH:
        return _publish(first_byte & 0x0F, body)
    elif packet_type == PUBACK:
        packet = Puback(body.packet_id())
    elif packet_type == SUBSCRIBE:
        packet = _subscribe(body)
    elif packet_type == UNSUBSCRIBE:
        packet = _unsubscribe(body)
    elif packet_type == PINGREQ:
        packet = Pingreq()
    elif packet_type == DISCONNECT:
        packet = Disconnect()
    else:
        body.packet_id()
        packet = Qos2Flow(packet_type)
    if body.left:
        raise MalformedPacketError(f"{body.left} bytes too many in packet type {packet_type}")
    return packet


def _connect(body: Body) -> Connect:
    name, level = body.string("protocol name"), body.byte("protocol level")
    if name != "MQTT":
        raise MalformedPacketError(f"protocol name {name[:16]!r}, not MQTT [MQTT-3.1.2-1]")
    if level != 4:
        said = "MQTT 5" if level == 5 else f"protocol level {level}"
        raise MalformedPacketError(f"{said}: this endpoint speaks MQTT 3.1.1, level 4 [MQTT-3.1.2-2]", BAD_LEVEL)
    flags, keep_alive_s = body.byte("connect flags"), body.short("keep alive")
    has_will, will_qos, will_retain = bool(flags & 0x04), flags >> 3 & 0x03, bool(flags & 0x20)
    if flags & 0x01:
        raise MalformedPacketError("the reserved connect flag is set [MQTT-3.1.2-3]")
    if not has_will and (will_qos or will_retain):
        raise MalformedPacketError("will QoS or will retain without a will [MQTT-3.1.2-13] [MQTT-3.1.2-15]")
    if will_qos == 3:
        raise MalformedPacketError("will QoS 3 [MQTT-3.1.2-14]")
    if flags & 0x40 and not flags & 0x80:
        raise MalformedPacketError("a password without a user name [MQTT-3.1.2-22]")
    client_id = body.string("client id")
    will = Will(body.string("will topic"), body.binary("will message"), will_qos, will_retain) if has_will else None
    username = body.string("user name") if flags & 0x80 else None
    password = body.binary("password") if flags & 0x40 else None
    return Connect(client_id, bool(flags & 0x02), keep_alive_s, username, password, will)


def _publish(flags: int, body: Body) -> Publish:
    qos, dup = flags >> 1 & 0x03, bool(flags & 0x08)
    if qos == 3:
        raise MalformedPacketError("QoS 3 [MQTT-3.3.1-4]")
    if dup and qos == 0:
        raise MalformedPacketError("DUP with QoS 0 [MQTT-3.3.1-2]")
    topic = body.string("topic")
    packet_id = body.packet_id() if qos else None
    return Publish(topic, body.rest(), qos, bool(flags & 0x01), dup, packet_id)


def _subscribe(body: Body) -> Subscribe:
    packet_id = body.packet_id()
    filters = []
    while body.left:
        topic_filter, qos = body.string("topic filter"), body.byte("requested QoS")
        if qos > 2:
            raise MalformedPacketError(f"requested QoS byte {qos:#04x} [MQTT-3.8.3-4]")
        filters.append((topic_filter, qos))
    if not filters:
        raise MalformedPacketError("SUBSCRIBE without a topic filter [MQTT-3.8.3-3]")
    return Subscribe(packet_id, tuple(filters))


def _unsubscribe(body: Body) -> Unsubscribe:
    packet_id = body.packet_id()
    filters = []
    while body.left:
        filters.append(body.string("topic filter"))
    if not filters:
        raise MalformedPacketError("UNSUBSCRIBE without a topic filter [MQTT-3.10.3-2]")
    return Unsubscribe(packet_id, tuple(filters))


def connack(return_code: int, *, session_present: bool = False) -> bytes:
    """Encode a CONNACK."""
    return bytes((CONNACK << 4, 2, session_present, return_code))


def publish(packet: Publish) -> bytes:
    """Encode a PUBLISH."""
    flags = packet.dup << 3 | packet.qos << 1 | packet.retain
    packet_id = b"" if packet.packet_id is None else packet.packet_id.to_bytes(2, "big")
    topic = string(packet.topic)
    length = encode_length(len(topic) + len(packet_id) + len(packet.payload))
    return b"".join((bytes((PUBLISH << 4 | flags,)), length, topic, packet_id, packet.payload))


def puback(packet_id: int) -> bytes:
    """Encode a PUBACK."""
    return bytes((PUBACK << 4, 2)) + packet_id.to_bytes(2, "big")


def suback(packet_id: int, return_codes: list[int]) -> bytes:
    """Encode a SUBACK; `return_codes` are the granted QoS or SUBSCRIBE_REFUSED, in the order of the filters."""
    length = encode_length(2 + len(return_codes))
    return bytes((SUBACK << 4,)) + length + packet_id.to_bytes(2, "big") + bytes(return_codes)


def unsuback(packet_id: int) -> bytes:
    """Encode an UNSUBACK."""
    return bytes((UNSUBACK << 4, 2)) + packet_id.to_bytes(2, "big")


PINGRESP_BYTES = bytes((PINGRESP << 4, 0))
