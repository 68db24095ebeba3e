"""Memory on the 32-bit interpreter, with the heap of a plain ESP32: it does not grow, and a publish costs little."""

import json
import socket
import ssl
import struct
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.faults.conftest import BOTH_VERSIONS, Form
from tests.firmware.micropython import prepare, run
from tests.firmware.servers import Handler, answer_mqtt, context, read_packet, serve_tls
from tests.support.board.interpreters import need
from tests.support.mqtt import answers

A_CONNECTION = 100  # messages acknowledged on each connection
LIMIT_S = 1800.0

# Connections differ only in how they end: the board leaves, with DISCONNECT or without, or the server does, with FIN or
# RST, while a message is in flight, which is sent again on the next connection.
ENDINGS = 4
FIRST_FAULT_BYTES = 512

# Allocated by a message on its way from outbox to PUBACK, in blocks of 16 bytes. Raise it only for a good
# reason: the collector has to find everything that was allocated, and the board stands still meanwhile.
# A message alone, and one of eight that go together. MicroPython 1.26 takes 274 and 251.
MESSAGE_BYTES = (296, 272)
# MicroPython 1.25, which is built where Debian has nothing newer, takes 421 and 386.
MESSAGE_BYTES_1_25 = (448, 410)

COMMON = """
import gc, json
from mqtt443 import errors, sender
from mqtt443._port import phase, ticks_ms
with phase():
    from mqtt443 import config_schema
    settings = config_schema.load()
from mqtt443.client import Client
from mqtt443.outbox import Outbox
from mqtt443.transport import Transport

settings.timeout_s = 3600
client = Client(settings, Transport(settings))
client.set_callback(print)
outbox = Outbox("outbox", 0, print)
PAYLOAD = b"x" * 100
acknowledged = 0

def sent(payload, refusal):
    global acknowledged
    acknowledged += 1

# AWS's pace, 64 times as fast.
link = sender.Sender(client, outbox, settings, sent, lambda: (ticks_ms() & 0xFFFFFF) << 6)

def send(count):
    # Up to eight at a time, as a backlog goes.
    wanted = acknowledged + count
    put = acknowledged + len(outbox.in_flight)
    while acknowledged < wanted:
        while put < wanted and put - acknowledged < 8:
            outbox.put(PAYLOAD)
            put += 1
        left_ms = link.pump()
        client.wait(1000 if left_ms is None else left_ms)
"""

GROWTH = """
from array import array
# What a first error leaves: names.
with phase():
    from mqtt443 import hints, tls_errors
heap = array("I", [0] * CONNECTIONS)
for n in range(CONNECTIONS):
    link.begin(client.connect())
    try:
        send(A_CONNECTION)
        if n % ENDINGS == 0:
            client.disconnect()
        elif n % ENDINGS > 1:
            send(1)
            raise ValueError("the server did not leave")
    except errors.ConnectionLost as e:
        if n % ENDINGS < 2:
            raise
        str(e)
    client.close()
    gc.collect()
    heap[n] = gc.mem_alloc()
print(json.dumps({"heap": list(heap), "acknowledged": acknowledged, "dropped": outbox.dropped}))
"""

ALLOCATION = """
link.begin(client.connect())
send(16)
told = []
for window, step in ((1, 1), (8, 8)):
    settings.window = window
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    for _ in range(48 // step):
        send(step)
    after = gc.mem_alloc()
    gc.enable()
    told.append((after - before) // 48)
client.disconnect()
import sys
print(json.dumps([told, sys.implementation.version[1]]))
"""


def measure(folder: Path, mqtt: str, ca: trustme.CA, handler: Handler, program: str, limit_s: float = 50.0) -> Any:
    """Run a program on the 32-bit interpreter; return the JSON of its last line."""
    with serve_tls(ca, context(ca), handler) as server:
        prepare(folder, server, transport="tls", mqtt=mqtt, keepalive_s=1200)
        output = run(need("alpn32"), folder, COMMON + program, limit_s)
        # Now and then the board closes without DISCONNECT.
        assert [error for error in server.errors if not isinstance(error, ConnectionError | ssl.SSLError)] == []
    return json.loads(output.splitlines()[-1])


class Endings:
    """A server that acknowledges a number of messages per connection, ends it as ENDINGS says, and counts messages."""

    def __init__(self) -> None:
        self.connections = 0
        self.published = 0

    def __call__(self, connection: ssl.SSLSocket) -> None:
        n, here, version = self.connections, 0, answers.MQTT_311
        self.connections += 1
        while packet := read_packet(connection):
            if packet[0] == 0x10:
                version = answers.level(packet)
                connection.sendall(answers.connack(version, properties=b"\x22\0\x08"))
            elif packet[0] == 0x32:
                if here == A_CONNECTION and n % ENDINGS > 1:
                    if n % ENDINGS == 2:
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return
                here += 1
                self.published += 1
                connection.sendall(answers.puback(version, answers.published(version, packet).identifier))
            elif packet[0] == 0xE0:
                return


@BOTH_VERSIONS
def test_heap_does_not_grow_with_messages_and_connections(
    tmp_path: Path, form: Form, mqtt: str, capsys: pytest.CaptureFixture[str]
) -> None:
    connections = form.pick(20, 1000)
    server = Endings()
    program = f"CONNECTIONS, A_CONNECTION, ENDINGS = {connections}, {A_CONNECTION}, {ENDINGS}\n{GROWTH}"
    said = measure(tmp_path, mqtt, trustme.CA(), server, program, form.pick(50, int(LIMIT_S)))
    heap = said["heap"]
    with capsys.disabled():
        print(f"\n{said['acknowledged']} messages on {connections} connections: heap in use {heap[0]} bytes after the")
        print(f"first {A_CONNECTION}, {heap[-1]} in the end, {max(heap)} at most")
    assert server.connections == connections
    assert said["acknowledged"] == connections * A_CONNECTION
    assert said["dropped"] == 0
    # What a first fault leaves, and a message that is in flight at the end of some connections.
    assert max(heap) <= heap[0] + FIRST_FAULT_BYTES, heap
    for n in range(2 * ENDINGS, connections):
        assert heap[n] <= heap[ENDINGS + n % ENDINGS], f"it grew by connection {n}: {heap}"


@BOTH_VERSIONS
def test_message_allocates_next_to_nothing_besides_its_payload(
    tmp_path: Path, mqtt: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (alone, eight), minor = measure(tmp_path, mqtt, trustme.CA(), answer_mqtt, ALLOCATION)
    with capsys.disabled():
        print(f"\nallocated from outbox to PUBACK: {alone} bytes a message alone, {eight} where eight go together")
    most_alone, most_of_eight = MESSAGE_BYTES_1_25 if minor == 25 else MESSAGE_BYTES
    assert alone <= most_alone
    assert eight <= most_of_eight
