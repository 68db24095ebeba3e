"""The control channel, through which other commands watch messages and close connections of a running endpoint.

JSON lines over TCP on loopback. `control.json` in the state folder (mode 0600) holds port, token and process id;
anyone who can read it may send requests. The first line from a client is its request; see `ControlServer`.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hmac
import json
import os
import secrets
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from mqtt443_authorizer.files import write_private

from mqtt443_tools.localcore.events import Event
from mqtt443_tools.localcore.faults import FAULT_INJECTED, RECONNECTS, Fault, Faults
from mqtt443_tools.localcore.jobs.iot_services import IotServices
from mqtt443_tools.localcore.jobs.request_fields import load_json
from mqtt443_tools.localcore.jobs.service_errors import ServiceError
from mqtt443_tools.localcore.localcore_errors import ControlRequestError, FaultError, TopicError
from mqtt443_tools.localcore.mqtt.broker import Broker
from mqtt443_tools.localcore.mqtt.publish import route
from mqtt443_tools.localcore.mqtt.session import Message
from mqtt443_tools.localcore.mqtt.topics import check_filter, check_topic, matches
from mqtt443_tools.localcore.seen_clients import SeenClients

CONTROL_FILE = "control.json"
FIRST_LINE_TIMEOUT_S = 5.0
MAX_REQUEST_BYTES = 256 * 1024
MAX_CLIENTS = 64


class ControlServer:
    """Serves control clients.

    Requests, each with `"token"`:

    - `{"op": "watch", "filter": F}`: one line `{"watching": F}`, from when on no message is missed, then one line for
      each message, `{"topic", "payload" (Base64), "qos", "retain", "client_id", "received_at"}`; where the client is
      too slow, `{"dropped": N}` in place of the oldest.
    - `{"op": "publish", "topic": T, "payload": Base64, "filter": F}`, optionally with `"qos"` (0 or 1; default 1) and
      `"retain"` (default false): publishes; one line `{"published": true}`, then as `watch`, which begins before the
      publish, so that no answer is missed.
    - `{"op": "iot", "operation": "create_job", "parameters": {...}}`: a call of the control plane, or of the data plane
      about a shadow (`payload` is text), with boto3's names; one line `{"answer": {...}}`, or
      `{"refused": {"code": C, "message": M}}` with the name of an exception.
    - `{"op": "clients"}`: one line `{"clients": [...]}`, the connected client ids.
    - `{"op": "save"}`: one line `{"saved": true}`, when seen_clients.py's file is up to date.
    - `{"op": "disconnect", "client_id": X}`: one line `{"disconnected": true|false}`.
    - `{"op": "events"}`: one line `{"events": [...]}`, the last ones, each with the fields of `Event`, and
      with `"logins": [...]`, the last log lines of the authorizer that are JSON objects.
    - `{"op": "faults"}`: one line `{"faults": [...]}`, as `Faults.listed` has them; with
      `"client_id": X, "fault": F, "on": true|false` after a fault was switched (off: F null stands for all of a client,
      X null for all clients).

    A request that cannot be served gets `{"error": "..."}`.
    """

    def __init__(
        self,
        state: Path,
        broker: Broker,
        max_waiting: int,
        events: Sequence[Event],
        *,
        now: Callable[[], float],
        seen: SeenClients,
        services: IotServices,
        faults: Faults,
        log: Callable[[str], None],
        logins: Iterable[dict[str, Any]] = (),
    ) -> None:
        self._file = state / CONTROL_FILE
        self._broker = broker
        self._faults = faults
        self._max_waiting = max_waiting
        self._events = events
        self._now = now
        self._seen = seen
        self._services = services
        self._log = log
        self._logins = logins
        self._token = secrets.token_urlsafe(32)
        self._server: asyncio.Server | None = None
        self._is_announced = False
        self._clients: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen, then write the control file."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=MAX_REQUEST_BYTES)
        port = self._server.sockets[0].getsockname()[1]
        control = {"port": port, "token": self._token, "pid": os.getpid()}
        write_private(self._file, json.dumps(control).encode())
        self._is_announced = True

    async def stop(self) -> None:
        """Remove the control file, stop listening, and disconnect the clients."""
        if self._is_announced:
            self._file.unlink(missing_ok=True)
        if self._server is not None:
            self._server.close()
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._clients) >= MAX_CLIENTS:
            writer.close()
            return
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._clients.add(task)
        task.add_done_callback(self._clients.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(FIRST_LINE_TIMEOUT_S):
                line = await _first_line(reader)
            await self._answer(_parse(line), reader, writer)
        except (ControlRequestError, FaultError, TopicError) as error:
            writer.write(_line({"error": str(error)}))
        except OSError:  # gone, or too slow (TimeoutError)
            writer.transport.abort()
        except Exception as error:  # an internal error ends only this request
            self._log("".join(traceback.format_exception(error)))
            writer.write(_line({"error": f"internal error: {type(error).__name__}"}))
        finally:
            writer.close()

    async def _answer(
        self, request: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if not hmac.compare_digest(request["token"].encode(), self._token.encode()):
            raise ControlRequestError("wrong token")
        match request:
            case {"op": "watch", "filter": str(topic_filter)}:
                check_filter(topic_filter)
                await self._watch(topic_filter, reader, writer)
            case {"op": "publish", "topic": str(topic), "payload": str(encoded), "filter": str(topic_filter)}:
                check_topic(topic)
                check_filter(topic_filter)
                qos, retain = request.get("qos", 1), request.get("retain", False)
                if qos not in (0, 1) or not isinstance(retain, bool):
                    raise ControlRequestError("qos is 0 or 1, retain true or false")
                message = Message(topic, _decode(encoded), int(qos), retain, None, self._now())
                await self._watch(topic_filter, reader, writer, message)
            case {"op": "iot", "operation": str(operation), "parameters": dict(parameters)}:
                try:
                    writer.write(_line({"answer": self._services.call(operation, parameters)}))
                except ServiceError as error:
                    writer.write(_line({"refused": {"code": error.exception, "message": error.message}}))
            case {"op": "clients"}:
                writer.write(_line({"clients": self._broker.connected()}))
            case {"op": "save"}:
                self._seen.keep()
                writer.write(_line({"saved": True}))
            case {"op": "disconnect", "client_id": str(client_id)}:
                found = self._broker.disconnect(client_id, "API_INITIATED_DISCONNECT", "asked for by a command")
                writer.write(_line({"disconnected": found}))
            case {"op": "events"}:
                events = [event.to_json() for event in self._events]
                writer.write(_line({"events": events, "logins": list(self._logins)}))
            case {"op": "faults"}:
                self._switch_fault(request)
                writer.write(_line({"faults": self._faults.listed()}))
            case _:
                raise ControlRequestError("unknown request")

    def _switch_fault(self, request: dict[str, Any]) -> None:
        match request:
            case {"client_id": str(client_id), "fault": str(name), "on": True} if client_id:
                self._switch_on(client_id, _fault(name))
            case {"client_id": str() | None as client_id, "fault": str() | None as name, "on": False}:
                self._faults.switch_off(client_id, None if name is None else _fault(name))
            case {"on": _}:
                raise ControlRequestError("a client id and a fault are needed")

    def _switch_on(self, client_id: str, fault: Fault) -> None:
        address = next((each.source for each in reversed(self._events) if each.client_id == client_id), None)
        self._faults.switch_on(client_id, fault, address)
        if fault in RECONNECTS:
            self._broker.disconnect(client_id, FAULT_INJECTED, f"{fault.value} begins with a new connection")

    async def _watch(
        self,
        topic_filter: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        message: Message | None = None,
    ) -> None:
        waiting: deque[Message] = deque()
        dropped = 0
        news = asyncio.Event()

        def take(message: Message) -> None:
            nonlocal dropped
            if matches(topic_filter, message.topic):
                if len(waiting) >= self._max_waiting:
                    waiting.popleft()
                    dropped += 1
                waiting.append(message)
                news.set()

        gone = asyncio.get_running_loop().create_task(reader.read(1))  # a watcher sends nothing more
        gone.add_done_callback(lambda _: news.set())
        unwatch = self._broker.watch(take)
        try:
            if message is None:
                writer.write(_line({"watching": topic_filter}))
            else:
                writer.write(_line({"published": True}))
                route(message, self._broker, self._services)
            while not gone.done():
                await news.wait()
                news.clear()
                if dropped:
                    writer.write(_line({"dropped": dropped}))
                    dropped = 0
                while waiting:
                    writer.write(_line(_public(waiting.popleft())))
                    await writer.drain()
        finally:
            unwatch()
            gone.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await gone


async def _first_line(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readline()
    except ValueError:
        raise ControlRequestError(f"a request of over {MAX_REQUEST_BYTES:,} bytes") from None


def _parse(line: bytes) -> dict[str, Any]:
    try:
        request = load_json(line.decode())
    except (ValueError, RecursionError):
        raise ControlRequestError("not JSON") from None
    if not isinstance(request, dict) or not isinstance(request.get("token"), str):
        raise ControlRequestError("no token")
    return request


def _fault(name: str) -> Fault:
    try:
        return Fault(name)
    except ValueError:
        raise ControlRequestError(f"no fault {name}; faults are {', '.join(Fault)}") from None


def _decode(encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except binascii.Error:
        raise ControlRequestError("the payload is not Base64") from None


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode() + b"\n"


def _public(message: Message) -> dict[str, Any]:
    return {
        "topic": message.topic,
        "payload": base64.b64encode(message.payload).decode(),
        "qos": message.qos,
        "retain": message.retain,
        "client_id": message.client_id,
        "received_at": message.received_at,
    }
