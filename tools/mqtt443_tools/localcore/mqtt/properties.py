"""MQTT 5 properties: their identifiers, packets and encoding (clause 2.2.2.2). No I/O, no policy.

The fields of `Properties` are the table of the standard. What a property means depends on its packet.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from enum import Enum
from typing import Any

from mqtt443_tools.localcore.localcore_errors import MalformedPacketError
from mqtt443_tools.localcore.mqtt.fields import Body, binary, encode_length, string
from mqtt443_tools.localcore.mqtt.packet_types import (
    AUTH,
    CONNACK,
    CONNECT,
    DISCONNECT,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    SUBACK,
    SUBSCRIBE,
    UNSUBACK,
    UNSUBSCRIBE,
    WILL,
)
from mqtt443_tools.localcore.mqtt.reason_codes import ReasonCode

ACKS = (PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK)
EVERYWHERE = (CONNECT, CONNACK, PUBLISH, WILL, *ACKS, SUBSCRIBE, UNSUBSCRIBE, DISCONNECT, AUTH)


class Kind(Enum):
    """The data types of clause 1.5."""

    BYTE = "byte"
    TWO = "two byte integer"
    FOUR = "four byte integer"
    VARIABLE = "variable byte integer"
    BINARY = "binary data"
    STRING = "UTF-8 string"
    PAIR = "UTF-8 string pair"


FLAG = (0, 1)


def _property(number: int, kind: Kind, *packets: int, allowed: tuple[int, int] | None = None) -> Any:
    """A property: its identifier, data type, the packets that may carry it, and the range of its value."""
    metadata = {"number": number, "kind": kind, "packets": frozenset(packets), "allowed": allowed}
    return dataclasses.field(default=() if kind is Kind.PAIR else None, metadata=metadata)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Properties:
    """The properties of one packet; None if absent. Times are in seconds."""

    payload_format: int | None = _property(0x01, Kind.BYTE, PUBLISH, WILL, allowed=FLAG)
    message_expiry_s: int | None = _property(0x02, Kind.FOUR, PUBLISH, WILL)
    content_type: str | None = _property(0x03, Kind.STRING, PUBLISH, WILL)
    response_topic: str | None = _property(0x08, Kind.STRING, PUBLISH, WILL)
    correlation_data: bytes | None = _property(0x09, Kind.BINARY, PUBLISH, WILL)
    subscription_identifier: int | None = _property(0x0B, Kind.VARIABLE, PUBLISH, SUBSCRIBE, allowed=(1, 268_435_455))
    session_expiry_s: int | None = _property(0x11, Kind.FOUR, CONNECT, CONNACK, DISCONNECT)
    assigned_client_id: str | None = _property(0x12, Kind.STRING, CONNACK)
    server_keep_alive_s: int | None = _property(0x13, Kind.TWO, CONNACK)
    authentication_method: str | None = _property(0x15, Kind.STRING, CONNECT, CONNACK, AUTH)
    authentication_data: bytes | None = _property(0x16, Kind.BINARY, CONNECT, CONNACK, AUTH)
    request_problem_information: int | None = _property(0x17, Kind.BYTE, CONNECT, allowed=FLAG)
    will_delay_s: int | None = _property(0x18, Kind.FOUR, WILL)
    request_response_information: int | None = _property(0x19, Kind.BYTE, CONNECT, allowed=FLAG)
    response_information: str | None = _property(0x1A, Kind.STRING, CONNACK)
    server_reference: str | None = _property(0x1C, Kind.STRING, CONNACK, DISCONNECT)
    reason_string: str | None = _property(0x1F, Kind.STRING, CONNACK, *ACKS, DISCONNECT, AUTH)
    receive_maximum: int | None = _property(0x21, Kind.TWO, CONNECT, CONNACK, allowed=(1, 0xFFFF))
    topic_alias_maximum: int | None = _property(0x22, Kind.TWO, CONNECT, CONNACK)
    topic_alias: int | None = _property(0x23, Kind.TWO, PUBLISH)
    maximum_qos: int | None = _property(0x24, Kind.BYTE, CONNACK, allowed=FLAG)
    retain_available: int | None = _property(0x25, Kind.BYTE, CONNACK, allowed=FLAG)
    user_properties: tuple[tuple[str, str], ...] = _property(0x26, Kind.PAIR, *EVERYWHERE)
    maximum_packet_bytes: int | None = _property(0x27, Kind.FOUR, CONNECT, CONNACK, allowed=(1, 0xFFFF_FFFF))
    wildcard_subscription_available: int | None = _property(0x28, Kind.BYTE, CONNACK, allowed=FLAG)
    subscription_identifier_available: int | None = _property(0x29, Kind.BYTE, CONNACK, allowed=FLAG)
    shared_subscription_available: int | None = _property(0x2A, Kind.BYTE, CONNACK, allowed=FLAG)


NONE = Properties()
TABLE = dataclasses.fields(Properties)
_BY_NUMBER = {field.metadata["number"]: field for field in TABLE}

_READ: dict[Kind, Callable[[Body, str], Any]] = {
    Kind.BYTE: Body.byte,
    Kind.TWO: Body.short,
    Kind.FOUR: Body.long,
    Kind.VARIABLE: Body.variable,
    Kind.BINARY: Body.binary,
    Kind.STRING: Body.string,
    Kind.PAIR: Body.pair,
}
_WRITE: dict[Kind, Callable[[Any], bytes]] = {
    Kind.BYTE: lambda value: bytes((value,)),
    Kind.TWO: lambda value: value.to_bytes(2, "big"),
    Kind.FOUR: lambda value: value.to_bytes(4, "big"),
    Kind.VARIABLE: encode_length,
    Kind.BINARY: binary,
    Kind.STRING: string,
    Kind.PAIR: lambda value: string(value[0]) + string(value[1]),
}


def decode(body: Body, packet: int) -> Properties:
    """Read the next properties in a packet.

    Args:
        body: of the packet, at the property length.
        packet: type of the packet, or WILL.

    Raises:
        MalformedPacketError: a property is unknown, misplaced, cut off or ill-formed (0x81), comes twice, or has a
            forbidden value (0x82).
    """
    length = body.variable("property length")
    if not length:
        return NONE
    block = body.section(length, "properties")
    values: dict[str, Any] = {}
    while block.left:
        number = block.variable("property identifier")
        field = _BY_NUMBER.get(number)
        if field is None:
            raise MalformedPacketError(f"property {number:#04x} does not exist (MQTT 5, clause 2.2.2.2)")
        name, rule = field.name, field.metadata
        if packet not in rule["packets"]:
            raise MalformedPacketError(f"the property {name} does not belong in this packet (MQTT 5, clause 2.2.2.2)")
        value = _READ[rule["kind"]](block, name)
        if rule["kind"] is Kind.PAIR:
            values[name] = (*values.get(name, ()), value)
            continue
        if name in values:
            raise MalformedPacketError(f"the property {name} comes twice", ReasonCode.PROTOCOL_ERROR)
        if (allowed := rule["allowed"]) is not None and not allowed[0] <= value <= allowed[1]:
            raise MalformedPacketError(f"the property {name} is {value}", ReasonCode.PROTOCOL_ERROR)
        values[name] = value
    return Properties(**values)


def encode(properties: Properties) -> bytes:
    """Return the bytes of properties, with their length before them."""
    if properties is NONE:
        return b"\0"
    block = encode_block(properties)
    return encode_length(len(block)) + block


def encode_block(properties: Properties) -> bytes:
    """Return the bytes of properties without their length."""
    out = bytearray()
    for field in TABLE:
        value = getattr(properties, field.name)
        number, write = field.metadata["number"], _WRITE[field.metadata["kind"]]
        if field.metadata["kind"] is Kind.PAIR:
            for pair in value:
                out.append(number)
                out += write(pair)
        elif value is not None:
            out.append(number)
            out += write(value)
    return bytes(out)
