"""What a client sends to an authorizer: the request, its parameters, and the event for the Lambda.

Parameters (authorizer name, token, token signature) travel in HTTP headers, in the HTTP query string, or in a query
string at the end of the MQTT user name (AWS IoT Developer Guide, "Connecting to AWS IoT Core by using custom
authentication"). registry.py selects and calls the authorizer.
"""

from __future__ import annotations

import base64
import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

NAME_KEY = "x-amz-customauthorizer-name"
SIGNATURE_KEY = "x-amz-customauthorizer-signature"


class Source(enum.Enum):
    """The places where a parameter can be."""

    HEADER = "HTTP header"
    QUERY = "HTTP query string"
    USERNAME = "MQTT user name"


@dataclass(frozen=True)
class Request:
    """One attempt to authenticate, as the endpoint saw it.

    Attributes:
        server_name: the SNI, None if the client sent none.
        protocols: `("tls", "mqtt")`, `("tls", "http", "mqtt")` (MQTT over WebSocket) or `("tls", "http")`.
        http_headers: of the upgrade or the publish request; None without HTTP.
        http_query: with its `?`, "" where the target has none; None without HTTP.
        mqtt_username: from CONNECT, with its query string; None without MQTT or without the field.
        mqtt_password: raw bytes from CONNECT; None without MQTT or without the field.
        mqtt_client_id: from CONNECT; None without MQTT.
        connection_id: a UUID; the same for every call about one connection.
        source_ip: the client's address.
    """

    server_name: str | None
    protocols: tuple[str, ...]
    http_headers: Mapping[str, str] | None
    http_query: str | None
    mqtt_username: str | None
    mqtt_password: bytes | None
    mqtt_client_id: str | None
    connection_id: str
    source_ip: str


@dataclass(frozen=True)
class Parameter:
    """A parameter as it was sent, and where it was found."""

    raw: str
    source: Source

    @property
    def decoded(self) -> str:
        """The value with `%XX` decoded, except in a header, where nothing is URL-encoded.

        A `+` stays a `+`: the AWS SDK sends Base64 with `+` both bare and as `%2B`, and it never stands for a space.
        """
        return self.raw if self.source is Source.HEADER else unquote(self.raw)


def find_parameter(request: Request, name: str, order: Sequence[Source]) -> Parameter | None:
    """Find a parameter in the given places, in that order.

    Within one place the first occurrence counts; AWS does not document repeated ones. Header names are case-insensitive
    (RFC 9110, 5.1), parameter names are case-sensitive.
    """
    for source in order:
        for key, raw in _pairs(request, source):
            if key == name or (source is Source.HEADER and key.lower() == name.lower()):
                return Parameter(raw, source)
    return None


def _pairs(request: Request, source: Source) -> Iterator[tuple[str, str]]:
    match source:
        case Source.HEADER:
            yield from (request.http_headers or {}).items()
        case Source.QUERY:
            yield from parse_query(request.http_query or "")
        case Source.USERNAME:
            yield from parse_query(request.mqtt_username or "")


def parse_query(text: str) -> Iterator[tuple[str, str]]:
    """Split what follows the first `?` of `text` into (name, value as sent), in the order sent.

    Names are URL-decoded, values are not. Nothing is refused: the AWS SDK puts metrics such as
    `Metadata=(CRTVersion=0.36.1;IoTSDKFeature=F/3,G/A)` there, so a value is everything up to the next `&`.
    """
    _, _, query = text.partition("?")
    for item in query.split("&"):
        name, _, value = item.partition("=")
        if name:
            yield unquote(name), value


def build_event(request: Request, token: str | None, *, signature_verified: bool) -> dict[str, Any]:
    """Return the event for the authorizer's Lambda; fields that do not apply are absent.

    Source: AWS IoT Developer Guide, "Defining your Lambda function". The password is Base64 of the raw bytes, the user
    name includes its query string, and the client id is present only if the client sent one.
    """
    tls = _present(serverName=request.server_name)
    data: dict[str, Any] = _present(tls=tls or None)
    if "http" in request.protocols:
        data["http"] = {
            "headers": dict(request.http_headers or {}),
            **_present(queryString=request.http_query or None),
        }
    if "mqtt" in request.protocols:
        password = request.mqtt_password
        data["mqtt"] = _present(
            username=request.mqtt_username,
            password=None if password is None else base64.b64encode(password).decode("ascii"),
            clientId=request.mqtt_client_id or None,
        )
    return {
        **_present(token=token),
        "signatureVerified": signature_verified,
        "protocols": list(request.protocols),
        "protocolData": data,
        "connectionMetadata": {"id": request.connection_id},
    }


def _present(**fields: object) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
