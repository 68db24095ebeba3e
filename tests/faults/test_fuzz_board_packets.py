"""Mutated packets of MQTT 3.1.1 and 5 for the board.

The board's code runs on real MicroPython. Seeded: MQTT443_SEED repeats a run. `board_fuzz` says how many cases.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.board_fuzz import INTERPRETERS, LONG, SHORT, check_error, run_cases
from tests.faults.conftest import Form
from tests.faults.mutations import mutated, pieces
from tests.support.mqtt import answers
from tests.support.mqtt.answers import MQTT_5, MQTT_311

LIFE = """
from mqtt443._port import phase
with phase():
    from mqtt443 import config_schema
    settings = config_schema.load()
from mqtt443.client import Client

class Transport:
    name = "tls"

    def open(self):
        stream = Stream(channel, "host", False, no_ticks)
        stream.deadline(1000, "connecting")
        return stream

    def check(self, stream):
        pass

client = Client(settings, Transport(), no_ticks)

def receive(topic, message):
    tell("topic", topic)
    tell("payload", message)

client.set_callback(receive)
client.on_puback = lambda pid, refusal: None

def case():
    refused = []
    discarded = client.discarded
    client.mqtt5 = cases.read(channel.sizes.pop(0)) == b"5"
    client.pid = 0
    try:
        client.connect()
        for step in (
            lambda: client.subscribe(b"commands/dev1", 1),
            lambda: client.publish(b"telemetry/dev1", b"{}", qos=1),
            client.ping,
            lambda: client.unsubscribe(b"commands/dev1"),
        ):
            try:
                step()
            except (errors.SubscribeRefused, errors.PublishRefused) as e:
                if not client.mqtt5 and isinstance(e, errors.PublishRefused):
                    raise RuntimeError("3.1.1 refuses no PUBLISH")
                refused.append(str(e))
            except ValueError as e:  # the server allows less than that
                refused.append(str(e))
        while True:
            client.wait(1000)
    except errors.Mqtt443Error as e:
        error = said(e)
    client.close()
    return {"error": error, "discarded": client.discarded - discarded, "refused": refused}
"""
MAX_BYTES = 1024


def text(source: random.Random) -> bytes:
    return source.choice((b"", b"not today", "é".encode(), b"x" * 300, b"\x1b[2J"))


def properties(source: random.Random, able: tuple[bytes, ...]) -> bytes:
    return b"".join(source.sample(able, source.randrange(len(able) + 1))) if source.random() < 0.4 else b""


def user(source: random.Random) -> bytes:
    key, value = text(source), text(source)
    return b"\x26" + len(key).to_bytes(2, "big") + key + len(value).to_bytes(2, "big") + value


def server_publish(source: random.Random, version: int) -> tuple[bytes, tuple[bytes, bytes] | None]:
    """A PUBLISH to the board, and what the board should deliver: topic and payload, or None if it is too large."""
    topic = source.choice((b"commands/dev1", b"t", "ä/ö".encode(), b"$aws/things/dev1/jobs/notify-next"))
    payload = source.randbytes(source.choice((0, 1, 20, 200, 200, 900, 5000)))
    qos = source.choice((0, 1))
    between = b""
    if version == MQTT_5:
        able = (b"\x01\1", b"\x02\0\0\0\x09", answers.text(3, b"text"), answers.text(8, b"r"), answers.text(9, b"id"))
        between = properties(source, (*able, user(source)))
        between = answers.variable(len(between)) + between
    identifier = source.randrange(1, 65536).to_bytes(2, "big") if qos else b""
    first = 0x30 | qos << 1 | source.choice((0, 1)) | (8 if qos and source.random() < 0.2 else 0)
    packet = answers.packet(first, len(topic).to_bytes(2, "big") + topic + identifier + between + payload)
    return packet, (topic, payload) if len(packet) <= MAX_BYTES else None


def server_life(source: random.Random, version: int) -> tuple[list[bytes], list[tuple[bytes, bytes]], bool]:
    """What a server sends in a life of a connection, packet by packet; the messages in it; whether it accepts."""
    packets: list[bytes] = []
    messages: list[tuple[bytes, bytes]] = []
    reason = b""
    if version == MQTT_5 and source.random() < 0.3:
        reason = answers.reason_string(source.choice(("busy\x1b[2J", "x" * 120, "é" * 130)))
    limits = b""
    if version == MQTT_5:
        able = (b"\x11\0\0\0\x10", b"\x13\0\x20", b"\x21\0\x08", b"\x22\0\x08", b"\x24\1", b"\x25\1", b"\x27\0\1\0\0")
        limits = properties(source, (*able, b"\x28\1", b"\x29\0", b"\x2a\1", user(source)))
    code = source.choice((0,) * 12 + ((0x87, 0x84, 0x88) if version == MQTT_5 else (1, 4, 5)))
    packets.append(answers.connack(version, session=not code and source.random() < 0.5, code=code, properties=limits))
    if code == 0x84:  # the board comes again with 3.1.1
        version = MQTT_311
        reason = b""
        packets.append(answers.connack(version))
    denied = 0x80 if version == MQTT_311 else source.choice((0x80, 0x87, 0x97))
    steps = [
        answers.suback(version, b"\0\1", source.choice((1, 1, 1, 0, denied)), reason),
        answers.puback(version, b"\0\2", source.choice((0, 0, 0, 0x10, 0x97)) if version == MQTT_5 else 0, reason),
        b"\xd0\0",
        answers.unsuback(version, b"\0\3"),
    ]
    for step in [*steps, b""]:
        for _ in range(source.choice((0, 0, 1, 2))):
            packet, message = server_publish(source, version)
            packets.append(packet)
            if message:
                messages.append(message)
        if source.random() < 0.1:
            packets.append(answers.puback(version, source.randbytes(2)))
        packets.append(step)
    if version == MQTT_5 and source.random() < 0.5:
        packets.append(answers.disconnect(source.choice((0, 0x8B, 0x8E, 0x9B, 0xFF)), reason))
    accepted = code in (0, 0x84)
    return packets, messages if accepted else [], accepted


def sent_packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    """First byte and body of each packet that the board sent; they must be whole."""
    at = 0
    while at < len(data):
        first, size, shift = data[at], 0, 0
        at += 1
        while True:
            size |= (data[at] & 0x7F) << shift
            shift += 7
            at += 1
            if data[at - 1] < 0x80:
                break
        assert at + size <= len(data), "the board sent a part of a packet"
        yield first, data[at : at + size]
        at += size


@pytest.mark.parametrize("name", INTERPRETERS)
def test_mutated_packets_end_in_an_error_of_the_tree(tmp_path: Path, form: Form, name: str) -> None:
    source = form.random("board packets " + name)
    config = {"endpoint": "h", "client_id": "dev1", "username": "u", "password": "p", "max_message_bytes": MAX_BYTES}
    (tmp_path / "config.json").write_text(json.dumps(config))
    arrived: list[list[bytes | None]] = []
    lives = []
    for _ in range(form.pick(SHORT, LONG)):
        version = source.choice((MQTT_311, MQTT_5))
        packets, messages, accepted = server_life(source, version)
        whole = source.random() < 0.2
        data = b"".join(packet if whole else mutated(source, packet) for packet in packets)
        if not whole and source.random() < 0.2:
            data = data[: source.randrange(len(data) + 1)]
        arrived.append([b"%d" % version, *pieces(source, data)])
        lives.append((whole, data, messages, accepted))
    delivered = 0
    for (whole, data, messages, accepted), case in zip(lives, run_cases(tmp_path, name, LIFE, arrived), strict=True):
        check_error(case)
        got = list(zip(case.all("topic"), case.all("payload"), strict=True))
        delivered += len(got)
        if whole:
            assert got == messages, case
        for topic, payload in got:  # nothing of another packet, or of none
            assert topic, case
            assert topic in data, case
            assert payload in data, case
        sent = list(sent_packets(b"".join(case.all("sent"))))
        if whole and accepted:  # it sent the last packet, so each one before got its answer
            assert any(first == 0xA2 for first, _ in sent), case
        acknowledged = [body for first, body in sent if first == 0x40]
        assert all(len(body) == 2 and any(body) for body in acknowledged), case
        assert len(acknowledged) <= len(got) + case.result["discarded"], case
    assert delivered > len(lives) // 4, "lives that end before their first message test nothing"
