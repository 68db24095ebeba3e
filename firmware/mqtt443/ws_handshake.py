"""The HTTP request that upgrades a TLS stream to a WebSocket for MQTT (RFC 6455 section 4.1). `websocket` has the
frames.

A board unloads this module once it is connected.
"""

import binascii
import hashlib
import os

from . import errors
from ._port import const
from .http import read_head

_GUID = const(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11")  # RFC 6455 section 1.3


def upgrade(stream, host, port=443, urandom=os.urandom):
    """Ask the server on stream for a WebSocket at /mqtt with subprotocol mqtt.

    host, port: of the endpoint, for the Host header. urandom: seam, count -> random bytes.

    Raises UpgradeRefused for a status other than 101, WebSocketError for a 101 that does not answer this request, and
    errors of the stream.
    """
    key = binascii.b2a_base64(urandom(16)).strip()
    if port != 443:
        host = "%s:%d" % (host, port)
    stream.write(
        b"GET /mqtt HTTP/1.1\r\nHost: " + host.encode() + b"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: " + key + b"\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"
    )
    status, headers = read_head(stream)
    if status != 101:
        raise errors.UpgradeRefused("HTTP status %d instead of 101" % status, status=status)
    digest = hashlib.sha1(key + _GUID).digest()  # noqa: S324 (RFC 6455 asks for it; it guards no secret)
    if headers.get("sec-websocket-accept") != binascii.b2a_base64(digest).strip().decode():
        _fail("Sec-WebSocket-Accept is wrong")
    if headers.get("upgrade", "").lower() != "websocket" or "upgrade" not in headers.get("connection", "").lower():
        _fail("no Upgrade: websocket")
    if headers.get("sec-websocket-protocol") != "mqtt":
        _fail("subprotocol mqtt was not taken")
    if "sec-websocket-extensions" in headers:
        _fail("an extension that was not offered")


def _fail(what):
    raise errors.WebSocketError("bad answer to the WebSocket upgrade: " + what)
