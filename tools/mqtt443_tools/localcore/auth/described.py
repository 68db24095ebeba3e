"""What an authorizer was asked, in a form that can be shown: without password, token and signature."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mqtt443_tools.localcore.auth.request import Request, parse_query
from mqtt443_tools.support.printable import printable

MAX_CHARS = 200
MAX_NAMES = 30


def describe_event(request: Request) -> dict[str, Any]:
    """Return the event of a request, with every value that may be a secret replaced by its size or left out.

    Of HTTP headers and of query strings (also that of the user name) only the names remain.
    """
    data: dict[str, Any] = {"tls": {"serverName": _shown(request.server_name)}}
    if request.http_headers is not None:
        data["http"] = {"headers": _names(request.http_headers)}
        if request.http_query:
            data["http"]["queryString"] = _names(name for name, _ in parse_query(request.http_query))
    if "mqtt" in request.protocols:
        password, username = request.mqtt_password, request.mqtt_username
        data["mqtt"] = {
            "clientId": _shown(request.mqtt_client_id),
            "username": None if username is None else _shown(username.partition("?")[0]),
            "password": None if password is None else f"({len(password)} bytes)",
        }
        if username is not None and "?" in username:
            data["mqtt"]["parameters"] = _names(name for name, _ in parse_query(username))
    return {"protocols": list(request.protocols), "protocolData": data}


def _names(names: Iterable[str]) -> list[str]:
    return [str(_shown(name)) for name in list(names)[:MAX_NAMES]]


def _shown(text: str | None) -> str | None:
    return None if text is None else printable(text, MAX_CHARS)
