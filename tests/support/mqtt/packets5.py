"""MQTT 5 packets for property-based tests: any packet, and its bytes as sent by a client."""

from __future__ import annotations

import dataclasses
from typing import Any

from hypothesis import strategies as st
from mqtt443_tools.localcore.mqtt import packet_types, properties
from mqtt443_tools.localcore.mqtt.packets import (
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Puback,
    Publish,
    Subscribe,
    Unsubscribe,
    Will,
)
from mqtt443_tools.localcore.mqtt.properties import Kind, Properties

from tests.support.mqtt.client import PINGREQ
from tests.support.mqtt.client5 import (
    connect5,
    disconnect5,
    puback5,
    publish5,
    subscribe5,
    unsubscribe5,
)

PAHO_NAMES = {
    "payload_format": "PayloadFormatIndicator",
    "message_expiry_s": "MessageExpiryInterval",
    "session_expiry_s": "SessionExpiryInterval",
    "assigned_client_id": "AssignedClientIdentifier",
    "server_keep_alive_s": "ServerKeepAlive",
    "request_problem_information": "RequestProblemInformation",
    "will_delay_s": "WillDelayInterval",
    "request_response_information": "RequestResponseInformation",
    "maximum_qos": "MaximumQoS",
    "user_properties": "UserProperty",
    "maximum_packet_bytes": "MaximumPacketSize",
}
PAHO_BOUNDS = {"maximum_packet_bytes": (1, 268_435_455), "topic_alias": (1, 0xFFFF)}
BY_NUMBER = {field.metadata["number"]: field for field in properties.TABLE}

words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
ids = st.integers(1, 0xFFFF)


def paho_name(name: str) -> str:
    return PAHO_NAMES.get(name, name.title().replace("_", ""))


def values(field: dataclasses.Field[Any]) -> st.SearchStrategy[Any]:
    """Any value that a property may have and paho accepts."""
    low, high = PAHO_BOUNDS.get(field.name) or field.metadata["allowed"] or (0, None)
    tops = {Kind.BYTE: 0xFF, Kind.TWO: 0xFFFF, Kind.FOUR: 0xFFFF_FFFF, Kind.VARIABLE: 268_435_455}
    match field.metadata["kind"]:
        case Kind.BINARY:
            return st.binary(max_size=20)
        case Kind.STRING:
            return words
        case Kind.PAIR:
            return st.lists(st.tuples(words, words), max_size=3).map(tuple)
        case kind:
            return st.integers(low, tops[kind] if high is None else high)


def found(packet_type: int, *without: str) -> st.SearchStrategy[Properties]:
    """Any properties that a packet may carry."""
    fields = [f for f in properties.TABLE if packet_type in f.metadata["packets"] and f.name not in without]
    chosen = {
        field.name: values(field) if field.metadata["kind"] is Kind.PAIR else st.none() | values(field)
        for field in fields
    }
    return st.builds(Properties, **chosen)


def named(found: Properties) -> dict[str, Any]:
    """The present properties, under paho's names."""
    return {
        paho_name(field.name): list(value) if field.metadata["kind"] is Kind.PAIR else value
        for field in properties.TABLE
        if (value := getattr(found, field.name)) not in (None, ())
    }


NOT_FROM_CLIENTS = ("authentication_data", "server_reference", "subscription_identifier")
wills = st.builds(Will, words, st.binary(max_size=40), st.integers(0, 2), st.booleans(), found(packet_types.WILL))
connects = st.builds(
    Connect,
    words,
    st.booleans(),
    st.integers(0, 0xFFFF),
    st.none() | words,
    st.none() | st.binary(max_size=40),
    st.none() | wills,
    st.just(5),
    found(packet_types.CONNECT, *NOT_FROM_CLIENTS),
)
publish_found = found(packet_types.PUBLISH, "topic_alias", *NOT_FROM_CLIENTS)
publishes = st.builds(
    Publish, words, st.binary(max_size=60), st.just(0), st.booleans(), st.just(False), st.none(), publish_found
) | st.builds(
    Publish, words, st.binary(max_size=60), st.integers(1, 2), st.booleans(), st.booleans(), ids, publish_found
)
pubacks = st.builds(Puback, ids, st.sampled_from([0x00, 0x10, 0x80, 0x87, 0x97]), found(packet_types.PUBACK))
options = st.builds(
    lambda qos, bits, handling: qos | bits << 2 | handling << 4, st.integers(0, 2), st.integers(0, 3), st.integers(0, 2)
)
subscribes = st.builds(
    Subscribe,
    ids,
    st.lists(st.tuples(words, options), min_size=1, max_size=5).map(tuple),
    found(packet_types.SUBSCRIBE),
)
unsubscribes = st.builds(
    Unsubscribe, ids, st.lists(words, min_size=1, max_size=5).map(tuple), found(packet_types.UNSUBSCRIBE)
)
disconnects = st.builds(
    Disconnect, st.sampled_from([0x00, 0x04, 0x80, 0x93]), found(packet_types.DISCONNECT, *NOT_FROM_CLIENTS)
)
streams = st.lists(st.one_of(publishes, pubacks, subscribes, unsubscribes, disconnects, st.just(Pingreq())), max_size=5)


def encode(packet: Packet) -> bytes:
    """The bytes of `packet`, by the tests' own encoder."""
    match packet:
        case Connect(client_id, clean, keep_alive_s, username, password, will, _, found):
            sent = None if will is None else (will.topic, will.payload, will.qos, will.retain)
            return connect5(
                client_id,
                username,
                password,
                clean=clean,
                keep_alive_s=keep_alive_s,
                will=sent,
                will_found={} if will is None else named(will.properties),
                **named(found),
            )
        case Publish(topic, payload, qos, retain, dup, packet_id, found):
            return publish5(topic, payload, qos, retain=retain, dup=dup, packet_id=packet_id or 0, **named(found))
        case Puback(packet_id, code, found):
            return puback5(packet_id, code, **named(found))
        case Subscribe(packet_id, filters, found):
            return subscribe5(*filters, packet_id=packet_id, **named(found))
        case Unsubscribe(packet_id, filters, found):
            return unsubscribe5(*filters, packet_id=packet_id, **named(found))
        case Disconnect(code, found):
            return disconnect5(code, **named(found))
    return PINGREQ
