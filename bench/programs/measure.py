"""Runs on MicroPython: one client, ours or umqtt's, does one task and says as JSON what it took.

Arguments: the client (`ours` or `umqtt`), the task, a count. config.json and ca.der lie in the working directory.
"""

import gc
import json
import sys
import time

TOPIC = b"telemetry/bench-0123456789abcdef"
PAYLOAD = b"x" * 100


class Umqtt:
    """umqtt.simple as it is, over a plain TLS socket; it cannot do ALPN, so config.json names a domain listener."""

    def __init__(self, config):
        from umqtt.simple import MQTTClient

        with open("ca.der", "rb") as file:
            tls = {"cadata": file.read(), "server_hostname": config["endpoint"]}
        self._client = client = MQTTClient(
            config["client_id"].encode(),
            config["endpoint"],
            config["port"],
            config["username"].encode(),
            config["password"].encode(),
            config["keepalive_s"],
            ssl=True,
            ssl_params=tls,
        )
        self.connect = client.connect
        self.publish = client.publish
        self.disconnect = client.disconnect

    def close(self):
        """Close without DISCONNECT."""
        self._client.sock.close()


class Ours:
    """The board's client."""

    def __init__(self, config):
        from mqtt443.client import Client
        from mqtt443.config import validate
        from mqtt443.transport import Transport

        checked = validate(config)
        client = Client(checked, Transport(checked))
        client.set_callback(lambda topic, message: None)
        self.connect = client.connect
        self.publish = client.publish
        self.disconnect = client.disconnect
        self.close = client.close


def connect(client, count):
    """Connect, publish count messages with the QoS given by its sign (negative: 0), and leave without a word."""
    client.connect()
    for _ in range(abs(count)):
        client.publish(TOPIC, PAYLOAD, False, 1 if count > 0 else 0)
    time.sleep_ms(50)  # with QoS 0 nothing tells when the last record has passed
    client.close()


def round_trips(client, count):
    """Return microseconds from publish to PUBACK, count times."""
    client.connect()
    took = []
    for _ in range(count):
        began = time.ticks_us()
        client.publish(TOPIC, PAYLOAD, False, 1)
        took.append(time.ticks_diff(time.ticks_us(), began))
    client.disconnect()
    return took


def send(client, count):
    """Return milliseconds from the first of count QoS 1 messages to the last PUBACK, one after another."""
    client.connect()
    began = time.ticks_ms()
    for _ in range(count):
        client.publish(TOPIC, PAYLOAD, False, 1)
    took = time.ticks_diff(time.ticks_ms(), began)
    client.disconnect()
    return took


def allocate(client, count):
    """Return bytes of heap that one QoS 1 publish allocates, its payload and topic apart."""
    client.connect()
    client.publish(TOPIC, PAYLOAD, False, 1)
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    for _ in range(count):
        client.publish(TOPIC, PAYLOAD, False, 1)
    after = gc.mem_alloc()
    gc.enable()
    client.disconnect()
    return (after - before) // count


def hold(client, count):
    """Return bytes of heap that the client holds while connected, count messages later, umqtt apart."""
    client.connect()
    for _ in range(count):
        client.publish(TOPIC, PAYLOAD, False, 1)
    gc.collect()
    held = gc.mem_alloc() - before
    client.disconnect()
    return held


TASKS = (connect, round_trips, send, allocate, hold)

import umqtt.simple  # noqa: E402, F401 - it is frozen on a board: not counted

with open("config.json") as file:
    settings = json.load(file)
gc.collect()
before = gc.mem_alloc()
task = {task.__name__: task for task in TASKS}[sys.argv[2]]
print(json.dumps(task((Ours if sys.argv[1] == "ours" else Umqtt)(settings), int(sys.argv[3]))))
