"""The console's web application: the page, its live connection, and the actions. guard.py guards all of it."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import json
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from mqtt443_authorizer.errors import AuthorizerError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

from mqtt443_tools.console import actions
from mqtt443_tools.console.feed import Feed, Page
from mqtt443_tools.console.guard import Access, Guard
from mqtt443_tools.console.recent import Past
from mqtt443_tools.console.source import Source
from mqtt443_tools.send.answers import encode
from mqtt443_tools.support.errors import CommandError, UsageError

PAGE = Path(__file__).with_name("page")
MAX_BODY_BYTES = 256 * 1024
MAX_PAGES = 16
MAX_HISTORY = 20_000
SNAPSHOT_MESSAGES = 1000
ANSWER_S = 10.0
JsonHandler = Callable[[dict[str, Any]], Awaitable[Any]]


class Web:
    """The application.

    Args:
        source: the endpoint.
        feed: its live messages and events.
        past: its past messages and events.
        access: decides which requests are allowed.
    """

    def __init__(self, source: Source, feed: Feed, past: Past, access: Access) -> None:
        self._source = source
        self._feed = feed
        self._past = past
        self._pages = 0
        self.app = Starlette(
            routes=[
                Route("/", self._index),
                WebSocketRoute("/live", self._live),
                Route("/api/devices", self._devices),
                Route("/api/history", self._messages_of),
                Route("/api/updates", self._updates_of),
                Route("/api/device", _json(self._device), methods=["POST"]),
                Route("/api/fault", _json(self._fault), methods=["POST"]),
                Route("/api/publish", _json(self._publish), methods=["POST"]),
                Route("/api/command", _json(self._command), methods=["POST"]),
                Mount("/page", StaticFiles(directory=PAGE)),
            ],
            middleware=[Middleware(Guard, access=access)],
            lifespan=self._lifespan,
        )

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        feeding = asyncio.create_task(self._feed.run())
        try:
            yield
        finally:
            feeding.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await feeding

    async def _index(self, _: Request) -> Response:
        return FileResponse(PAGE / "index.html")

    async def _live(self, socket: WebSocket) -> None:
        """Send the history, then batch after batch, each after the previous one was confirmed."""
        if self._pages >= MAX_PAGES:
            await socket.close(1013, "too many pages are open")
            return
        self._pages += 1
        try:
            await socket.accept()
            with self._feed.page() as page:
                await socket.send_text(json.dumps(await asyncio.to_thread(self._snapshot)))
                confirmed = asyncio.Event()
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(_listen(socket, confirmed))
                    tasks.create_task(_send(socket, confirmed, page))
        except* (WebSocketDisconnect, ConnectionError):
            pass  # the page was closed
        finally:
            self._pages -= 1

    def _snapshot(self) -> dict[str, Any]:
        shown = {
            "title": self._source.title,
            "options": self._source.options,
            "fault_meanings": dict(self._source.fault_meanings),
        }
        try:
            return {
                **shown,
                "last": self._past.last_of_each_client(),
                "messages": self._past.messages(limit=SNAPSHOT_MESSAGES),
                "events": self._past.events(),
            }
        except CommandError as error:  # what comes from now on can still be shown
            return {**shown, "last": [], "messages": [], "events": [], "no_history": str(error)}

    async def _devices(self, _: Request) -> Response:
        return await _answer(asyncio.to_thread(actions.listed, self._source))

    async def _messages_of(self, request: Request) -> Response:
        client_id = request.query_params.get("client_id", "")
        return await _answer(asyncio.to_thread(self._past.messages, client_id=client_id, limit=MAX_HISTORY))

    async def _updates_of(self, request: Request) -> Response:
        client_id = request.query_params.get("client_id", "")
        return await _answer(asyncio.to_thread(self._source.updates_of, client_id))

    async def _device(self, body: dict[str, Any]) -> Any:
        return await asyncio.to_thread(
            actions.change, self._source, text(body, "action"), text(body, "client_id"), now=time.time()
        )

    async def _fault(self, body: dict[str, Any]) -> Any:
        client_id, fault, on = body.get("client_id"), body.get("fault"), body.get("on")
        if not isinstance(client_id, str | None) or not isinstance(fault, str | None) or not isinstance(on, bool):
            raise UsageError("client_id and fault are texts or null, on is true or false")
        await asyncio.to_thread(self._source.switch_fault, client_id, fault, on=on)
        return {}

    async def _publish(self, body: dict[str, Any]) -> Any:
        qos, retain = body.get("qos"), body.get("retain")
        if qos not in (0, 1) or not isinstance(retain, bool):
            raise UsageError("qos is 0 or 1, retain true or false")
        try:
            payload = base64.b64decode(text(body, "payload"), validate=True)
        except binascii.Error:
            raise UsageError("the payload is not Base64") from None
        await asyncio.to_thread(self._source.publish, text(body, "topic"), payload, qos, retain)
        return {}

    async def _command(self, body: dict[str, Any]) -> Any:
        client_id, arguments = text(body, "client_id"), body.get("arguments")
        if not isinstance(arguments, dict) or {"command", "request_id"} & set(arguments):
            raise UsageError("arguments must be a JSON object without command and request_id")
        request_id = secrets.token_hex(8)
        payload = encode(text(body, "command"), arguments, request_id)
        answer = await asyncio.to_thread(self._source.command, client_id, payload, request_id, ANSWER_S)
        return answer or {"refused": f"no answer within {ANSWER_S:g} s: is the device online?"}


async def _listen(socket: WebSocket, confirmed: asyncio.Event) -> None:
    """Note the page's confirmations. Raises WebSocketDisconnect when it is closed, even if nothing is being sent."""
    while True:
        await socket.receive_text()
        confirmed.set()


async def _send(socket: WebSocket, confirmed: asyncio.Event, page: Page) -> None:
    while True:
        await confirmed.wait()
        confirmed.clear()
        await page.news.wait()
        await socket.send_text(json.dumps(page.batch()))


def text(body: dict[str, Any], name: str) -> str:
    """Return a text of a request. Raises UsageError."""
    value = body.get(name)
    if not isinstance(value, str):
        raise UsageError(f"{name} is missing")
    return value


def _json(handler: JsonHandler) -> Callable[[Request], Awaitable[Response]]:
    """Return an endpoint for a JSON object of a bounded size."""

    async def endpoint(request: Request) -> Response:
        content = bytearray()
        try:
            async for chunk in request.stream():
                content += chunk
                if len(content) > MAX_BODY_BYTES:
                    return JSONResponse({"error": f"more than {MAX_BODY_BYTES:,} bytes"}, 413)
            body = json.loads(content)
        except (ValueError, RecursionError):
            return JSONResponse({"error": "not JSON"}, 400)
        except ClientDisconnect:
            return Response()
        if not isinstance(body, dict):
            return JSONResponse({"error": "not a JSON object"}, 400)
        return await _answer(handler(body))

    return endpoint


async def _answer(work: Awaitable[Any]) -> Response:
    try:
        return JSONResponse(await work)
    except (CommandError, AuthorizerError) as error:
        return JSONResponse({"error": str(error)}, 400)
