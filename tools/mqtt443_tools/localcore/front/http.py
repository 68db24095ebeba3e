"""The HTTP side of the default endpoint: `/mqtt` upgrades to MQTT over WebSocket, `POST /topics/<topic>` publishes.

Developer Guide, "HTTPS" and "Custom authentication and authorization". Every answer has a Date, from which boards set
their clocks if only port 443 is open. Parsing is in `http_request.py`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import email.utils
import json
import uuid
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote_to_bytes

from websockets.datastructures import Headers
from websockets.http11 import Response

from mqtt443_tools.localcore.auth.access import Access
from mqtt443_tools.localcore.auth.authorizer import Grant
from mqtt443_tools.localcore.auth.peer import Peer
from mqtt443_tools.localcore.auth.request import Request
from mqtt443_tools.localcore.context import Context
from mqtt443_tools.localcore.event_log import EventLog
from mqtt443_tools.localcore.front.channel import Channel
from mqtt443_tools.localcore.front.http_request import HttpRequest, RequestParser
from mqtt443_tools.localcore.front.mqtt_driver import MqttDriver
from mqtt443_tools.localcore.front.websocket import WebSocketFrames, negotiate
from mqtt443_tools.localcore.localcore_errors import HttpError, PublishRefusedError, Refused
from mqtt443_tools.localcore.mqtt.publish import check_publish, route
from mqtt443_tools.localcore.mqtt.session import Message

TOPICS = "/topics/"
UNRELATED = frozenset({"content-length", "content-type"})
"""Headers without credentials, which may differ between requests that share a cached grant."""

_Credentials = tuple[frozenset[tuple[str, str]], frozenset[tuple[str, str]]]


class HttpConnection:
    """One connection of the HTTP front end, with any number of requests."""

    def __init__(self, channel: Channel, peer: Peer, event_log: EventLog, context: Context) -> None:
        self._channel = channel
        self._peer = peer
        self._event_log = event_log
        self._context = context
        self._parser = RequestParser(context.settings)
        self._cached: tuple[_Credentials, Grant] | None = None

    async def run(self, first: bytes) -> bool:
        """Serve requests until one side ends; `first` is what the client sent first.

        Returns:
            Whether the connection continues as MQTT over WebSocket.
        """
        data: bytes = first
        while True:
            try:
                request = await self._next_request(data)
                if request is None:
                    return False
                if request.path == "/mqtt":
                    self._upgrade(request)
                    return True
                self._answer(HTTPStatus.OK, await self._publish(request), keep=request.keeps_alive)
                if not request.keeps_alive:
                    return False
            except HttpError as error:
                self._event_log.write("refused", error.reason, error.message)
                self._answer(error.status, error.status.phrase, keep=False, allow=error.allow)
                return False
            try:
                async with asyncio.timeout(self._context.settings.http_timeout_s):
                    await self._channel.drain()
            except TimeoutError:
                self._event_log.write("closed", "CONNECTION_LOST", "the client does not read its answers")
                self._channel.abort()
                return False
            data = b""

    async def _next_request(self, data: bytes) -> HttpRequest | None:
        """Return the next request, None at the end of the stream. Raises HttpError."""
        request = self._parser.feed(data)
        try:
            async with asyncio.timeout(self._context.settings.http_timeout_s):
                while request is None and (data := await self._channel.read()):
                    request = self._parser.feed(data)
        except TimeoutError:
            raise HttpError(HTTPStatus.REQUEST_TIMEOUT, "no complete request in time") from None
        if request is None:
            return None
        if request.head.protocol == "HTTP/1.1" and len(request.head.headers.get_all("Host")) != 1:
            raise HttpError(HTTPStatus.BAD_REQUEST, "an HTTP/1.1 request has one Host header (RFC 9112 section 3.2)")
        return request

    def _upgrade(self, request: HttpRequest) -> None:
        response = negotiate(request.head)
        if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            detail = bytes(response.body).decode().partition("\n")[0]
            raise HttpError(HTTPStatus(response.status_code), detail, allow="GET")
        self._channel.send(response.serialize())
        peer = dataclasses.replace(self._peer, http_headers=request.headers, http_query=request.query)
        frames = WebSocketFrames(self._context.settings.max_packet_bytes)
        driver = MqttDriver(self._channel, peer, self._event_log, self._context, frames)
        if rest := self._parser.rest():  # frames that followed the request immediately
            driver.data_received(rest)
        self._channel.consume(driver)

    async def _publish(self, request: HttpRequest) -> str:
        """Publish the body of a `POST /topics/<topic>`. Raises HttpError."""
        if not request.path.startswith(TOPICS):
            raise HttpError(HTTPStatus.NOT_FOUND, f"{request.path} is neither /mqtt nor /topics/<topic>")
        if request.head.method != "POST":
            raise HttpError(HTTPStatus.METHOD_NOT_ALLOWED, f"{request.head.method} on a topic", allow="POST")
        query = dict(parse_qsl(request.query[1:], keep_blank_values=True))
        qos, retain = query.get("qos", "0"), query.get("retain", "false")
        if qos not in {"0", "1"} or retain not in {"true", "false"}:
            raise HttpError(HTTPStatus.BAD_REQUEST, "qos is 0 or 1, retain is true or false")
        try:
            topic = unquote_to_bytes(request.path.removeprefix(TOPICS)).decode()
        except UnicodeDecodeError:
            raise HttpError(HTTPStatus.BAD_REQUEST, "the topic is not UTF-8") from None
        settings = self._context.settings
        grant = await self._grant(request)
        access = Access(grant, settings.arn_prefix, None, self._peer.source_ip, self._peer.server_name)
        try:
            check_publish(
                topic,
                len(request.body),
                retain=retain == "true",
                access=access,
                settings=settings,
                services=self._context.services,
            )
        except PublishRefusedError as refused:
            if refused.kind == "policy":
                status = HTTPStatus(settings.http_refused_status)
                raise HttpError(status, refused.detail, reason="AUTHORIZATION_FAILURE") from None
            raise HttpError(HTTPStatus.BAD_REQUEST, refused.detail) from None
        self._event_log.write("accepted", "HTTP_PUBLISH", f"authorizer {grant.authorizer.name}, topic {topic}")
        now = self._context.clock.time()
        message = Message(topic, request.body, int(qos), retain == "true", None, now)
        route(message, self._context.broker, self._context.services)
        return "OK"

    async def _grant(self, request: HttpRequest) -> Grant:
        """Ask the authorizer: for each request, unless it allows caching for this connection."""
        credentials = _credentials(request)
        if self._cached is not None and self._cached[0] == credentials and self._is_fresh(self._cached[1]):
            return self._cached[1]
        question = Request(
            server_name=self._peer.server_name,
            protocols=("tls", "http"),
            http_headers=request.headers,
            http_query=request.query,
            mqtt_username=None,
            mqtt_password=None,
            mqtt_client_id=None,
            connection_id=self._peer.connection_id,
            source_ip=self._peer.source_ip,
        )
        try:
            grant = await self._peer.endpoint.authorize(question, self._context.registry, self._context.settings)
        except Refused as refused:
            status = HTTPStatus(self._context.settings.http_refused_status)
            raise HttpError(status, refused.detail, reason=refused.reason) from None
        if grant.authorizer.enable_caching_for_http:
            self._cached = credentials, grant
        return grant

    def _is_fresh(self, grant: Grant) -> bool:
        return self._context.clock.now() < grant.refreshed_at + grant.refresh_after_s

    def _answer(self, status: HTTPStatus, message: str, *, keep: bool, allow: str | None = None) -> None:
        body = json.dumps({"message": message, "traceId": str(uuid.uuid4())}).encode()
        headers = Headers()
        headers["Date"] = email.utils.formatdate(self._context.clock.time(), usegmt=True)
        headers["Content-Type"] = "application/json"
        headers["Content-Length"] = str(len(body))
        headers["Connection"] = "keep-alive" if keep else "close"
        if status == HTTPStatus.METHOD_NOT_ALLOWED and allow is not None:
            headers["Allow"] = allow
        elif status == HTTPStatus.UPGRADE_REQUIRED:
            headers["Upgrade"] = "websocket"
        self._channel.send(Response(status.value, status.phrase, headers, body).serialize())


def _credentials(request: HttpRequest) -> _Credentials:
    """Return all parts of a request that an authorizer may have based its answer on."""
    headers = {(k.lower(), v) for k, v in request.headers.items() if k.lower() not in UNRELATED}
    query = {(k, v) for k, v in parse_qsl(request.query[1:], keep_blank_values=True) if k not in {"qos", "retain"}}
    return frozenset(headers), frozenset(query)
