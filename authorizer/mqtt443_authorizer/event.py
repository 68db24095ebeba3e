"""Reads the event that AWS IoT Core hands to a custom authorizer. Whatever is in it may be hostile.

Takes from it who logs in and with which password; whether that is right is the handler's question. The shape is that of
"Defining your Lambda function" (AWS IoT Core Developer Guide, custom authentication):

- MQTT, and MQTT over WebSocket: user name, password and client id of the CONNECT packet. AWS's own parameters and an
  SDK's metrics follow the user name after its first `?` and are not looked at.
- HTTP, and a WebSocket whose CONNECT has no user name: HTTP Basic (RFC 7617) in the Authorization header.
"""

import binascii
from typing import NamedTuple

from mqtt443_authorizer.device import MAX_CLIENT_ID_BYTES, MAX_USERNAME_BYTES
from mqtt443_authorizer.errors import Refused
from mqtt443_authorizer.secret import MAX_PASSWORD_BYTES

MAX_LOGGED_CHARS = 128
MAX_LOGGED_PROTOCOLS = 8


class Login(NamedTuple):
    """Who claims to be whom. `client_id` is None only where the protocol has none (HTTP)."""

    username: str
    password: bytes
    client_id: str | None

    def __repr__(self) -> str:
        return f"Login(username={self.username!r}, client_id={self.client_id!r})"


def parse(event: object) -> Login:
    """Find the login in an event.

    :raises Refused: there is no complete and well-formed login in it
    """
    if not isinstance(event, dict):
        raise Refused("malformed event: it is not an object")
    data = _object(event, "protocolData")
    headers = _object(_object(data, "http"), "headers")
    if "mqtt" not in data:
        username, password = _basic(headers)
        return Login(username, password, None)
    mqtt = _object(data, "mqtt")
    client_id = _text("client id", mqtt.get("clientId"), MAX_CLIENT_ID_BYTES)
    given = mqtt.get("username", "")
    name = given.partition("?")[0] if isinstance(given, str) else given
    if name == "" and headers:
        username, password = _basic(headers)
    else:
        username = _text("user name", name, MAX_USERNAME_BYTES)
        password = _base64("password", mqtt.get("password"), MAX_PASSWORD_BYTES)
    return Login(username, password, client_id)


def describe(event: object) -> dict[str, object]:
    """Say for the log what an event is about: never a secret, never a query string, never an exception."""
    protocols = _find(event, "protocols")
    username = _find(event, "protocolData", "mqtt", "username")
    return {
        "connection": printable(_find(event, "connectionMetadata", "id")),
        "protocols": [printable(name) for name in protocols[:MAX_LOGGED_PROTOCOLS]]
        if isinstance(protocols, list)
        else [],
        "client_id": printable(_find(event, "protocolData", "mqtt", "clientId")),
        "username": printable(username.partition("?")[0] if isinstance(username, str) else None),
    }


def printable(value: object) -> str | None:
    """Make text from outside fit for a log line: at most 128 characters, none that a terminal would obey."""
    if not isinstance(value, str):
        return None
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in value[:MAX_LOGGED_CHARS])


def _find(value: object, *path: str) -> object:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _object(parent: dict[str, object], key: str) -> dict[str, object]:
    """Give the JSON object under a key, {} where there is none."""
    value = parent.get(key, {})
    if not isinstance(value, dict):
        raise Refused(f"malformed event: {key} is not an object")
    return value


def _text(what: str, value: object, max_bytes: int) -> str:
    if value is None or value == "":
        raise Refused(f"no {what}")
    if not isinstance(value, str):
        raise Refused(f"malformed event: the {what} is not a string")
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise Refused(f"the {what} is not valid UTF-8") from None
    if size > max_bytes:
        raise Refused(f"the {what} has more than {max_bytes} bytes")
    return value


def _base64(what: str, value: object, max_bytes: int) -> bytes:
    """Decode Base64 once and strictly: AWS adds exactly one layer."""
    text = _text(what, value, 4 * ((max_bytes + 2) // 3))
    try:
        decoded = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        raise Refused(f"the {what} is not Base64") from None
    if not 1 <= len(decoded) <= max_bytes:
        raise Refused(f"the {what} has {len(decoded)} bytes")
    return decoded


def _basic(headers: dict[str, object]) -> tuple[str, bytes]:
    """Read user name and password from the Authorization header (RFC 7617 section 2)."""
    # Names of header fields are case-insensitive (RFC 9110 section 5.1); two of this one leave open which counts.
    values = [value for name, value in headers.items() if isinstance(name, str) and name.lower() == "authorization"]
    if len(values) != 1:
        raise Refused("no user name" if not values else "more than one Authorization header")
    scheme, _, encoded = values[0].partition(" ") if isinstance(values[0], str) else ("", "", "")
    if scheme.lower() != "basic":
        raise Refused("the Authorization header is not of the Basic scheme")
    credentials = _base64("Authorization header", encoded.strip(" "), MAX_USERNAME_BYTES + 1 + MAX_PASSWORD_BYTES)
    name, colon, password = credentials.partition(b":")
    if not colon or not 1 <= len(password) <= MAX_PASSWORD_BYTES:
        raise Refused("no password in the Authorization header, or a too long one")
    try:
        return _text("user name", name.decode(), MAX_USERNAME_BYTES), password
    except UnicodeDecodeError:
        raise Refused("the user name is not valid UTF-8") from None
