"""Parses the event that AWS IoT Core passes to a custom authorizer. Everything in it may be hostile.

It extracts the login; handler.py verifies it. "Defining your Lambda function" (AWS IoT Core Developer Guide, custom
authentication) defines the format:

- MQTT, and MQTT over WebSocket: user name, password and client id of the CONNECT packet. AWS's own parameters and an
  SDK's metrics follow the first `?` of the user name and are ignored.
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
    """A claimed identity and its password. `client_id` is None only for HTTP, which has none."""

    username: str
    password: bytes
    client_id: str | None

    def __repr__(self) -> str:
        return f"Login(username={self.username!r}, client_id={self.client_id!r})"


def parse(event: object) -> Login:
    """Extract the login from an event.

    Raises:
        Refused: the event has no complete and well-formed login.
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
    """Describe an event for the log, without secrets and query strings; never raises."""
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
    """Make text from outside safe for a log line: at most 128 characters, no control characters."""
    if not isinstance(value, str):
        return None
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in value[:MAX_LOGGED_CHARS])


def _find(value: object, *path: str) -> object:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _object(parent: dict[str, object], key: str) -> dict[str, object]:
    """Return the JSON object under a key; {} if the key is missing."""
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
    """Decode Base64 strictly, and once: AWS adds exactly one layer."""
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
    # Header names are case-insensitive (RFC 9110 section 5.1). With two such headers it is unclear which one counts.
    values = [value for name, value in headers.items() if isinstance(name, str) and name.lower() == "authorization"]
    if len(values) != 1:
        raise Refused("no user name" if not values else "more than one Authorization header")
    scheme, _, encoded = values[0].partition(" ") if isinstance(values[0], str) else ("", "", "")
    if scheme.lower() != "basic":
        raise Refused("the Authorization header does not use the Basic scheme")
    credentials = _base64("Authorization header", encoded.strip(" "), MAX_USERNAME_BYTES + 1 + MAX_PASSWORD_BYTES)
    name, colon, password = credentials.partition(b":")
    if not colon or not 1 <= len(password) <= MAX_PASSWORD_BYTES:
        raise Refused(f"the Authorization header has no password, or one of more than {MAX_PASSWORD_BYTES} bytes")
    try:
        return _text("user name", name.decode(), MAX_USERNAME_BYTES), password
    except UnicodeDecodeError:
        raise Refused("the user name is not valid UTF-8") from None
