"""A message is encoded once for all clients that get the same bytes, and equals one that is encoded for each."""

from __future__ import annotations

import dataclasses
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mqtt443_tools.localcore.mqtt import encoder, packet_types
from mqtt443_tools.localcore.mqtt.outbound import MAX_VARIANTS, SharedOutbound
from mqtt443_tools.localcore.mqtt.packets import Publish
from mqtt443_tools.localcore.mqtt.session import Message

from tests.support.mqtt.packets5 import found, words

FORWARDED = found(
    packet_types.PUBLISH, "topic_alias", "message_expiry_s", "subscription_identifier", "authentication_data"
)
messages = st.builds(
    Message,
    words,
    st.binary(max_size=200),
    st.integers(0, 1),
    st.booleans(),
    st.none(),
    st.just(0.0),
    FORWARDED,
)
turns = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.none() | st.integers(1, 0xFFFF),
        st.booleans(),
        st.none() | st.integers(1, 3),
        st.booleans(),
        st.none() | st.integers(0, 99),
    ),
    min_size=1,
    max_size=12,
)
Turn = tuple[int, int | None, bool, int | None, bool, int | None]


@pytest.mark.parametrize("version", [4, 5])
@given(st.lists(messages, min_size=3, max_size=3), turns)
def test_every_packet_equals_one_encoded_alone(version: Literal[4, 5], sent: list[Message], turns: list[Turn]) -> None:
    shared = SharedOutbound(version)
    for index, packet_id, dup, alias, named, left_s in turns:
        message, qos = sent[index], 0 if packet_id is None else 1
        again = dup and qos == 1
        properties = dataclasses.replace(message.properties, topic_alias=alias, message_expiry_s=left_s)
        topic = message.topic if named else ""
        alone = Publish(topic, message.payload, qos, message.retain, again, packet_id, properties)
        packet = shared.encode(message, qos, packet_id, dup=again, alias=alias, named=named, left_s=left_s)
        assert packet == encoder.publish(alone, version)


def test_encodings_of_one_message_are_bounded() -> None:
    shared = SharedOutbound(5)
    message = Message("t", b"x", 0, False, None, 0.0)
    for left_s in range(2 * MAX_VARIANTS):
        shared.encode(message, 0, left_s=left_s)
        kept = shared._last[False]
        assert kept is not None
        assert len(kept.variants) <= MAX_VARIANTS
