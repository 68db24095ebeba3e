"""MQTT 5 in everyday packets: adds properties to what the board sends, and removes them from what umqtt reads.

Stays in memory while the board speaks MQTT 5; `packets` uses it. `mqtt5` checks what is rare: properties and reason
codes that a server sent.
"""

from ._port import const, phase

_PUBACK = const(0x40)
_PINGRESP = const(0xD0)
_DISCONNECT = const(0xE0)


def properties(alias, expiry_s):
    """Return the properties of a PUBLISH, their length in front (MQTT 5 section 3.3.2.3).

    alias: whether Topic Alias 1 stands for its topic. expiry_s: the Message Expiry Interval, 0 for none.
    """
    if not expiry_s:
        return b"\3\x23\0\1" if alias else b"\0"
    return (b"\x08\x23\0\1\2" if alias else b"\5\2") + expiry_s.to_bytes(4, "big")


def fits(first, least, remaining, limit):
    """Return whether a packet other than PUBLISH may have this first byte and remaining length, of up to limit.

    least: its remaining length without properties; None for a type of packet that MQTT 3.1.1 does not have.
    """
    if first == _PINGRESP:
        return not remaining
    return (least is not None or first == _DISCONNECT) and (least or 0) <= remaining <= limit


def check(first, view, body, size):
    """Check the packet in view[:size], whose body begins at `body`; return the PublishRefused of a PUBACK, or None.

    `connection` checks CONNACK, SUBACK and UNSUBACK. Raises ConnectionLost for a DISCONNECT, MalformedPacket.
    """
    # Most PUBACKs are a success without properties: nothing is loaded or allocated for them.
    if first == _DISCONNECT or (first == _PUBACK and size > body + 2):
        with phase():
            from .mqtt5 import check

            return check(first, view[body:size])
    return None


def cut_properties(view, body):
    """Cut the properties from the PUBLISH in view, whose body begins at `body`; return its new size.

    Raises MalformedPacket for properties that it may not have.
    """
    at = body + 2 + (view[body] << 8 | view[body + 1]) + (view[0] & 2)
    end = at + 1
    if at == len(view) or view[at]:
        with phase():
            from .mqtt5 import publish_properties

            end = at + publish_properties(view[at:])
    left = len(view) - end
    view[at : at + left] = view[end:]
    left += at - body
    for i in range(1, body):  # its length takes as many bytes as before
        view[i] = left & 0x7F | (0x80 if i < body - 1 else 0)
        left >>= 7
    return len(view) - end + at
