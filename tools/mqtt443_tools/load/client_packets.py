"""The few MQTT 3.1.1 packets that a load client needs, so that it is faster than a general one."""

from __future__ import annotations

from mqtt443_tools.localcore.mqtt.fields import encode_length, string

CONNACK, PUBLISH, PUBACK, SUBACK = 2, 3, 4, 9
PINGREQ = b"\xc0\x00"
DISCONNECT = b"\xe0\x00"


def connect(client_id: str, username: str | None, password: str | None, keep_alive_s: int) -> bytes:
    """Encode a CONNECT with a clean session."""
    flags = 0x02 | (username is not None) << 7 | (password is not None) << 6
    fields = [string("MQTT"), bytes((4, flags)), keep_alive_s.to_bytes(2, "big"), string(client_id)]
    fields += [string(text) for text in (username, password) if text is not None]
    return whole(0x10, b"".join(fields))


def subscribe(packet_id: int, topic_filter: str, qos: int) -> bytes:
    """Encode a SUBSCRIBE to one filter."""
    return whole(0x82, packet_id.to_bytes(2, "big") + string(topic_filter) + bytes((qos,)))


def publish(topic: bytes, payload: bytes, packet_id: int | None) -> bytes:
    """Encode a PUBLISH at QoS 1, or at QoS 0 without a packet identifier; `topic` is encoded by `string`."""
    if packet_id is None:
        return whole(0x30, topic + payload)
    return whole(0x32, topic + packet_id.to_bytes(2, "big") + payload)


def puback(packet_id: int) -> bytes:
    """Encode a PUBACK."""
    return b"\x40\x02" + packet_id.to_bytes(2, "big")


def cut(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """Return the first byte and the body of each complete packet, and the bytes of an incomplete one at the end."""
    if len(data) > 1 and data[1] == len(data) - 2 < 0x80:  # one short packet, as most often
        return [(data[0], data[2:])], b""
    found = []
    at = 0
    while (frame := _frame(data, at)) is not None:
        body, end = frame
        found.append((data[at], data[body:end]))
        at = end
    return found, data[at:]


def _frame(data: bytes, at: int) -> tuple[int, int] | None:
    """Return where the body of the packet at `at` begins and ends, None if it is incomplete."""
    length = shift = 0
    for body in range(at + 1, min(at + 5, len(data))):
        length |= (data[body] & 0x7F) << shift
        if data[body] < 0x80:
            end = body + 1 + length
            return (body + 1, end) if end <= len(data) else None
        shift += 7
    return None


def whole(first_byte: int, body: bytes) -> bytes:
    """Return a packet with its length between its first byte and its body."""
    return bytes((first_byte,)) + encode_length(len(body)) + body
