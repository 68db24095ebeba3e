"""Runs on MicroPython, in a separate folder: one client, one task, and the result as one line of JSON.

`measure.py ours|umqtt TASK COUNT`; config.json and ca.der are in the working directory. In addition to the board's
keys, config.json may have "bench": {"window": messages in flight}.
"""

import gc
import json
import sys
import time

PAYLOAD = b"x" * 100
FLASH = "/flash"
# The messages that an outbox keeps in RAM: 4,096 bytes of payload.
IN_MEMORY = 40


class Umqtt:
    """Unchanged umqtt.simple over a plain TLS socket; it has no ALPN, so config.json names a domain listener."""

    def __init__(self, config, options):
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
        self.window = 1
        self.on_sent = None

    def close(self):
        """Close without DISCONNECT."""
        self._client.sock.close()

    def queue(self, folder=""):
        """Do nothing: umqtt has no outbox."""

    def send(self, count):
        """Publish count messages, each after the PUBACK of the previous one."""
        for _ in range(count):
            self.publish(topic, PAYLOAD, False, 1)
            if self.on_sent:
                self.on_sent(PAYLOAD)


class Ours:
    """The board's client, with its outbox and sender if `queue` is called."""

    def __init__(self, config, options):
        from mqtt443._port import phase
        from mqtt443.client import Client
        from mqtt443.transport import Transport

        with phase():  # as on a board
            from mqtt443.config_schema import validate

            self._config = checked = validate(config)
        checked.window = self.window = options.get("window", 8)
        self._client = client = Client(checked, Transport(checked))
        client.set_callback(lambda topic, message: None)
        self.connect = client.connect
        self.publish = client.publish
        self.disconnect = client.disconnect
        self.close = client.close
        self.on_sent = None

    def queue(self, folder=""):
        """Create the outbox, on flash if a folder is given, and the sender."""
        from mqtt443.outbox import Outbox
        from mqtt443.sender import Sender

        self.outbox = Outbox(folder, 262144 if folder else 0, fail)
        self._sender = Sender(self._client, self.outbox, self._config, self._sent)

    def _sent(self, payload, refusal):
        self._acknowledged += 1
        if self.on_sent:
            self.on_sent(payload)

    def send(self, count, filled=0):
        """Publish count messages through outbox and sender; `filled` of them are already in the outbox."""
        self._acknowledged = 0
        self._sender.begin(False)
        outbox, put = self.outbox.put, filled
        while self._acknowledged < count:
            while put < count and put - self._acknowledged < IN_MEMORY:
                put += 1
                outbox(PAYLOAD)
            left_ms = self._sender.pump()
            self._client.wait(1000 if left_ms is None else left_ms)
        if self.outbox.dropped or not self.outbox.empty():
            fail("the outbox dropped or kept a message")


def fail(text):
    """Exit with an error."""
    raise SystemExit(text)


class RamDisk:
    """A block device in RAM with the block size of an ESP32's flash."""

    def __init__(self, blocks):
        self._data = bytearray(blocks * 4096)

    def readblocks(self, block, buf, offset=0):
        """Read at an offset of a block."""
        at = block * 4096 + offset
        buf[:] = memoryview(self._data)[at : at + len(buf)]

    def writeblocks(self, block, buf, offset=None):
        """Write at an offset of a block."""
        at = block * 4096 + (offset or 0)
        self._data[at : at + len(buf)] = buf

    def ioctl(self, op, arg):
        """Return the number of blocks (4) or their size in bytes (5); other operations do nothing."""
        return {4: len(self._data) // 4096, 5: 4096}.get(op, 0)


def connect(client, count):
    """Connect, publish count messages (QoS 1; negative: -count messages with QoS 0), and close without DISCONNECT."""
    client.connect()
    for _ in range(abs(count)):
        client.publish(topic, PAYLOAD, False, 1 if count > 0 else 0)
    time.sleep_ms(50)  # with QoS 0 nothing says when the last record has passed
    client.close()


def round_trips(client, count):
    """Return the microseconds from publish to PUBACK of count messages."""
    client.connect()
    took = []
    for _ in range(count):
        began = time.ticks_us()
        client.publish(topic, PAYLOAD, False, 1)
        took.append(time.ticks_diff(time.ticks_us(), began))
    client.disconnect()
    return took


def rate(client, count):
    """Return the milliseconds in which count QoS 1 messages were acknowledged, after those of the first window."""
    took = [0, 0]

    def sent(_):
        took[0] += 1
        if took[0] == client.window:
            took[1] = time.ticks_ms()

    client.on_sent = sent
    client.connect()
    client.queue()
    client.send(client.window + count)
    took = time.ticks_diff(time.ticks_ms(), took[1])
    client.disconnect()
    return took


def backlog(client, count):
    """Return the milliseconds from the first of count QoS 1 messages to the last PUBACK."""
    client.connect()
    client.queue()
    began = time.ticks_ms()
    client.send(count)
    took = time.ticks_diff(time.ticks_ms(), began)
    client.close()
    return took


def flash_backlog(client, count):
    """Like backlog, with all messages in segments on littlefs, as after a restart during an outage."""
    import vfs

    disk = RamDisk(128)
    vfs.VfsLfs2.mkfs(disk)
    vfs.mount(vfs.VfsLfs2(disk), FLASH)
    client.queue(FLASH + "/outbox")
    for _ in range(count):
        client.outbox.put(PAYLOAD)
    if not client.outbox.save():
        fail("not saved")
    client.queue(FLASH + "/outbox")
    client.connect()
    began = time.ticks_ms()
    client.send(count, count)
    took = time.ticks_diff(time.ticks_ms(), began)
    client.close()
    return took


def allocate(client, count):
    """Return the bytes of heap that one QoS 1 `publish` allocates, without payload and topic."""
    client.connect()
    client.publish(topic, PAYLOAD, False, 1)
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    for _ in range(count):
        client.publish(topic, PAYLOAD, False, 1)
    after = gc.mem_alloc()
    gc.enable()
    client.disconnect()
    return (after - before) // count


def allocate_queued(client, count):
    """Return the bytes of heap that one message allocates in outbox and sender, without its payload."""
    client.connect()
    client.queue()
    client.send(1)
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    for _ in range(count):
        client.send(1)
    after = gc.mem_alloc()
    gc.enable()
    client.disconnect()
    return (after - before) // count


def hold(client, count):
    """Return the bytes of heap that a connected client holds after count messages, without umqtt."""
    client.connect()
    client.queue()
    client.send(count)
    gc.collect()
    held = gc.mem_alloc() - before
    client.disconnect()
    return held


TASKS = (connect, round_trips, rate, backlog, flash_backlog, allocate, allocate_queued, hold)

import umqtt.simple  # noqa: E402, F401 - frozen on a board, so not counted

with open("config.json") as file:
    settings = json.load(file)
options = settings.pop("bench", {})
topic = b"telemetry/" + settings["client_id"].encode()
task = {task.__name__: task for task in TASKS}[sys.argv[2]]
kind = Ours if sys.argv[1] == "ours" else Umqtt
gc.collect()
before = gc.mem_alloc()
print(json.dumps(task(kind(settings, options), int(sys.argv[3]))))
