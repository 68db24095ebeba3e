"""The head of an HTTP/1.1 response, for the WebSocket upgrade and the time from port 443. Bodies are not read."""

from . import errors
from ._port import const

_MAX_HEAD_BYTES = const(2048)


def read_head(stream):
    """Read one response head from stream (RFC 9112 section 4).

    Returns (status, headers): an int and a dict, names in lower case. Never reads past the head, because a WebSocket
    frame may follow. Raises ProtocolError for anything else, and for a head over 2,048 bytes.
    """
    head = bytearray()
    while head[-4:] != b"\r\n\r\n":
        if len(head) >= _MAX_HEAD_BYTES:
            raise errors.ProtocolError("HTTP response head over %d bytes" % _MAX_HEAD_BYTES)
        head.extend(stream.read(1))
    try:
        lines = bytes(head).decode().split("\r\n")
        version, status = lines[0].split(" ")[:2]
        if version not in ("HTTP/1.1", "HTTP/1.0") or len(status) != 3:
            raise ValueError
        status = int(status)
        headers = {}
        for line in lines[1:-2]:
            name, value = line.split(":", 1)
            headers[name.lower()] = value.strip()
    except ValueError:
        raise errors.ProtocolError("the answer is not HTTP")
    return status, headers
