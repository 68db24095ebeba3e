"""The jobs `files` and `package`: fetch the bundle, unpack it, and put it in place after a reset.

Imported on demand by `jobs`. A bundle is in the document itself, or in a stream (AWS IoT developer guide, "Using AWS
IoT MQTT-based file delivery in devices"), which the board requests block by block. Unlike answers about jobs,
blocks come only to those who have subscribed ("Reserved topics", MQTT-based file delivery).
"""

import binascii

from . import errors
from ._port import const, phase
from .bundle import Bundle, Spoiled
from .job_end import fail, refuse
from .job_record import save

# AWS allows blocks of 256 to 131,072 bytes; blocks larger than this are no faster here.
_LEAST_BLOCK_BYTES = const(256)
_MOST_BLOCK_BYTES = const(4096)
# Bytes of a packet with a block besides topic and Base64: its header, and the JSON around the block.
_AROUND_BYTES = const(100)
_TRIES = const(5)  # attempts, for a block that does not come and for a file that arrives damaged
_REPORT_BYTES = const(16384)


def fetch(jobs, document):
    """Bring the whole bundle of document onto flash: files to be swapped in, or the package into the other slot.

    jobs: a `Jobs`. Raises Finished, OSError if the flash fails, and errors of the connection.
    """
    app = jobs.app
    record = jobs.record
    values = document.get("bundle")
    package = None
    if record["action"] == "package":
        with phase():
            from .slots import SLOTS, running_slot

            package = SLOTS["b" if running_slot() == "a" else "a"] + "/mqtt443"
    bundle = Bundle(app.root, values, package)
    block_bytes = _block_bytes(app, values["stream"]) if "stream" in values else None
    if record.get("step") != "download" or record.get("sha256") != values["sha256"] or not block_bytes:
        jobs.step("download", sha256=values["sha256"])
        bundle.wipe()
    try:
        for left in range(_TRIES, -1, -1):
            try:
                bundle.open()
                if block_bytes:
                    _download(jobs, bundle, values["stream"], block_bytes)
                else:
                    bundle.feed(_decode(values["data"]))
                break
            except Spoiled as e:
                app.log("%s: wrong SHA-256" % e.args[0])
                if not left or not block_bytes:
                    fail("%s: wrong SHA-256", e.args[0])
        bundle.check()
    except OSError as e:
        if not isinstance(e, errors.Mqtt443Error):
            bundle.wipe()
        raise


def _decode(text):
    try:
        return binascii.a2b_base64(text)
    except (ValueError, TypeError):
        refuse("bundle: data is not Base64")


def _topic(app, stream):
    if not isinstance(stream, str) or not 0 < len(stream) <= 128 or "/" in stream or "+" in stream or "#" in stream:
        refuse("bundle: no stream of that name")
    return "$aws/things/%s/streams/%s/" % (app.config.client_id, stream)


def _block_bytes(app, stream):
    """Return the size of the largest block whose packet fits max_message_bytes."""
    most = len(app.client.packets._in)  # max_message_bytes
    around = _AROUND_BYTES + len(_topic(app, stream)) + len("data/json")
    block = min((most - around) // 4 * 3, _MOST_BLOCK_BYTES)
    if block < _LEAST_BLOCK_BYTES:
        refuse("max_message_bytes must be at least %d", around + (_LEAST_BLOCK_BYTES + 2) // 3 * 4 + 3)
    return block // 64 * 64


def _download(jobs, bundle, stream, block_bytes):
    """Request block after block until the bundle is complete."""
    app = jobs.app
    topic = _topic(app, stream)
    jobs.expected = topic.encode()
    _subscribe(jobs, topic + "+/json")
    tries = 0
    reported = bundle.at
    while bundle.at < bundle.size:
        number = bundle.at // block_bytes
        expected = min(block_bytes, bundle.size - number * block_bytes)
        del jobs.replies[:]
        jobs.publish(topic + "get/json", {"c": "b", "f": 0, "l": block_bytes, "o": number, "n": 1})
        try:
            block = _await(jobs, number, (block_bytes, expected))
        except MemoryError:
            if block_bytes == _LEAST_BLOCK_BYTES:
                raise
            block_bytes = _LEAST_BLOCK_BYTES  # slower, but fits into a fragmented heap
            app.log("blocks of %d bytes, for lack of memory" % block_bytes)
            continue
        if block is None or len(block) != expected:
            tries += 1
            if tries == _TRIES:
                fail("block %d of the stream did not come", number)
            continue
        tries = 0
        bundle.feed(memoryview(block)[bundle.at % block_bytes :])
        if bundle.done - reported >= _REPORT_BYTES:
            reported = bundle.done
            jobs.report("IN_PROGRESS", {"step": "download", "done": str(reported)})
            jobs.expected = topic.encode()


def _subscribe(jobs, topic):
    """Subscribe to the topics of a stream; fail the job if the server denies that, twice if it does so by closing."""
    denials = jobs.record.get("denied", 0)
    if denials < 2:
        try:
            jobs.app.client.subscribe(topic)
            return
        except OSError as e:
            if getattr(e, "closed", False):  # AWS's way to refuse; a reset comes from the network
                jobs.record["denied"] = denials + 1
                save(jobs.app.root, jobs.record)
                raise
            if not getattr(e, "is_refusal", False):
                raise
    fail("the server does not let this board subscribe to %s", topic)


def _await(jobs, number, sizes):
    """Return the bytes of that block, None if it does not arrive in time.

    sizes: the allowed values of its member `l`: the size of a full block, and of the last one, which is shorter.
    """
    while True:
        reply = jobs.wait(jobs.app.client.timeout_ms)
        if reply is None:
            return None
        topic, values = reply
        if topic.endswith("/rejected/json"):
            fail("stream: %s %s", str(values.get("o"))[:32], str(values.get("m"))[:100])
        # Another block, repeated or late.
        if values.get("f") == 0 and values.get("l") in sizes and values.get("i") == number:
            try:
                return binascii.a2b_base64(values.get("p"))
            except (ValueError, TypeError):
                return None
