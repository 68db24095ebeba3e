"""MQTT 5: the properties of packets, and what a server's reason codes mean for the board.

Section numbers are those of the OASIS standard "MQTT Version 5.0". Imported on demand: to connect, and for packets that
carry properties or a refusal. The words for reason codes are in `reasons`. `packets` cuts the bytes.
"""

from . import errors
from ._port import const, phase

_DISCONNECT = const(0xE0)

# Identifiers of properties (section 2.2.2.2).
_EXPIRY = const(0x11)
_REASON = const(0x1F)
_RECEIVE_MAXIMUM = const(0x21)
_MAXIMUM_QOS = const(0x24)
_RETAIN_AVAILABLE = const(0x25)
_USER = const(0x26)
_PACKET_SIZE = const(0x27)

# The properties that a server may send in each packet. Left out because our CONNECT does not ask for them:
# authentication, response information, topic aliases from the server, and subscription identifiers, which AWS lacks
# too.
_OF_CONNACK = const(b"\x11\x12\x13\x1c\x1f\x21\x22\x24\x25\x26\x27\x28\x29\x2a")
_OF_PUBLISH = const(b"\x01\x02\x03\x08\x09\x26")
_OF_ACK = const(b"\x1f\x26")
_OF_DISCONNECT = const(b"\x1c\x1f\x26")

# AWS keeps a session for up to 7 days, and returns the value it uses (Developer Guide, "MQTT persistent sessions").
_SESSION_S = const(604800)

_SUCCESS = const(0)
_NO_SUBSCRIBERS = const(0x10)  # also a success
_NO_SUBSCRIPTION = const(0x11)  # likewise
_ERROR = const(0x80)
_UNSUPPORTED_VERSION = const(0x84)
_NOT_AUTHORIZED = const(0x87)
_MAX_REASON = const(200)  # characters shown of a reason string
# After a CONNACK or DISCONNECT with one of these, the next attempt may well succeed: busy or going down (0x88, 0x89,
# 0x8B), keep alive timeout, connection rate, maximum connect time. All others would repeat.
_PASSING = const(b"\x88\x89\x8b\x8d\x9f\xa0")
_QUOTA = const(0x97)  # in CONNACK: too many connections a second, which passes; AWS allows one per client id
# These give no cause: as with 3.1.1, they are a refusal if they come soon after connecting.
_UNTOLD = const(b"\x00\x80\x98")


def _fail(what, *values):
    raise errors.MalformedPacket(what % values)


def _properties(data, at, keys):
    """Return (values by identifier, end position) of the properties at data[at] (section 2.2.2).

    data: the rest of a packet. keys: identifiers. A number is an int, text is bytes; only the last user property is
    kept. Raises MalformedPacket.
    """
    size = shift = 0
    while True:
        if at >= len(data) or shift > 21:
            _fail("length of properties")
        byte = data[at]
        at += 1
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    end = at + size
    if end > len(data):
        _fail("properties longer than their packet")
    values = {}
    while at < end:
        key = data[at]
        if key not in keys or (key in values and key != _USER):  # [MQTT-2.2.2-1], section 2.2.2.2
            _fail("misplaced property 0x%02x", key)
        at += 1
        # Values of one, two or four bytes; all others are text, and a user property is two (section 2.2.2.2).
        n = (
            1
            if key in b"\x01\x24\x25\x28\x29\x2a"
            else 2
            if key in b"\x13\x21\x22"
            else 4
            if key in b"\x02\x11\x27"
            else 0
        )
        if n:
            value = int.from_bytes(data[at : at + n], "big")
        else:
            for _ in range(2 if key == _USER else 1):
                at += n
                n = 2 + int.from_bytes(data[at : at + 2], "big")
                value = bytes(data[at + 2 : at + n])
        at += n
        if at > end:
            _fail("property 0x%02x longer than its packet", key)
        values[key] = value
    return values, end


def _whole(data, at, keys):
    """Return the properties at data[at], which must end with data; nothing there means no properties."""
    if at == len(data):
        return {}
    values, end = _properties(data, at, keys)
    if end != len(data):
        _fail("%d bytes after the properties", len(data) - end)
    return values


def connect_properties(client, clean_session):
    """Return the properties of CONNECT (section 3.1.2.11) for client, a `Client`."""
    body = b""
    if not clean_session:
        body = bytes((_EXPIRY,)) + _SESSION_S.to_bytes(4, "big")
    # Receive Maximum, Maximum Packet Size, and Request Problem Information: reason strings with all packets.
    body += b"\x21" + client.window.to_bytes(2, "big")
    body += b"\x27" + client.max_message_bytes.to_bytes(4, "big") + b"\x17\x01"
    return bytes((len(body),)) + body


def connack(data):
    """Check the CONNACK in data, which begins at its flags (section 3.2); return (session present, properties).

    Returns None if the server does not speak MQTT 5. Raises ConnectRefused, MalformedPacket.
    """
    flags = data[0]
    code = data[1]
    short = len(data) == 2  # as in MQTT 3.1.1, where 1 is the code of a server that does not know 5
    if code == (1 if short else _UNSUPPORTED_VERSION):
        return None
    if short:
        _fail("CONNACK of MQTT 3.1.1 with code %d", code)
    values = _whole(data, 2, _OF_CONNACK)
    if flags > (1 if code == _SUCCESS else 0) or 0 < code < _ERROR:  # [MQTT-3.2.2-1], [MQTT-3.2.2-6]
        _fail("CONNACK with flags 0x%02x and code 0x%02x", flags, code)
    if code:
        error = refusal(errors.ConnectRefused, code, values)
        error.is_refusal = code not in _PASSING and code != _QUOTA
        raise error
    if (
        not all(values.get(key, 1) for key in (_RECEIVE_MAXIMUM, _PACKET_SIZE))
        or max(values.get(key, 0) for key in (_MAXIMUM_QOS, _RETAIN_AVAILABLE)) > 1
    ):
        _fail("CONNACK with an impossible limit")
    return bool(flags), values


def publish_properties(data):
    """Check the properties at the start of data, the rest of a PUBLISH; return their size. Raises MalformedPacket."""
    return _properties(data, 0, _OF_PUBLISH)[1]


def check(first, data):
    """Check a PUBACK or DISCONNECT with that first byte and the body data; return None or a PublishRefused.

    Raises ConnectionLost for a DISCONNECT, MalformedPacket.
    """
    if first == _DISCONNECT:
        raise _disconnected(data)
    code = data[2]
    values = _whole(data, 3, _OF_ACK)
    if code >= _ERROR:
        return refusal(errors.PublishRefused, code, values)
    if code not in (_SUCCESS, _NO_SUBSCRIBERS):
        _fail("PUBACK with code 0x%02x", code)
    return None


def suback(data):
    """Check the SUBACK or UNSUBACK in data, which begins at its packet identifier (sections 3.9, 3.11); return its
    code.

    Raises SubscribeRefused, MalformedPacket.
    """
    values, at = _properties(data, 2, _OF_ACK)
    if at != len(data) - 1:  # it answers our single filter
        _fail("SUBACK with %d codes", len(data) - at)
    code = data[at]
    if code >= _ERROR:
        raise refusal(errors.SubscribeRefused, code, values)
    if code > 1 and code != _NO_SUBSCRIPTION:
        _fail("SUBACK with code 0x%02x", code)
    return code


def _disconnected(data):
    """Return the error for the DISCONNECT in data, which begins at its reason code (section 3.14).

    Its `is_refusal` decides how long the next attempt waits. Raises MalformedPacket.
    """
    code = data[0] if len(data) else _SUCCESS
    values = _whole(data, 1, _OF_DISCONNECT) if len(data) else {}
    if 0 < code < _ERROR:  # those of the client
        _fail("DISCONNECT with code 0x%02x", code)
    error = refusal(errors.ConnectionLost, code, values, "the server disconnected: ")
    error.closed = code in _UNTOLD or code == _NOT_AUTHORIZED  # with 3.1.1 the server only closes
    error.is_refusal = code not in _UNTOLD and code not in _PASSING
    return error


def refusal(kind, code, values=None, what="refused: "):
    """Return an error of class kind with reason code `code` in words, and the reason string among values, if any."""
    with phase():
        from .reasons import words

        what += "%s (0x%02x)" % (words(code), code)
    reason = (values or {}).get(_REASON)
    if reason:
        # It comes from outside, and a terminal shows the log.
        text = "".join(chr(b) if 0x20 <= b < 0x7F else "?" for b in reason[:_MAX_REASON])
        what += ": " + text
    return kind(what, code=code)
