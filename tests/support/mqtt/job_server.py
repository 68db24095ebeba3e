"""An MQTT server with AWS IoT Jobs and streams for one Thing, by script: it can lose, repeat and spoil what it sends.

It follows AWS IoT's developer guide ("Jobs device MQTT API operations", "Using AWS IoT MQTT-based file delivery in
devices"): versions are checked, terminal states are final, answers about jobs go to the client that
asked, without a subscription, and blocks of a stream to clients that have subscribed.
`tests.firmware.servers.serve_tls` serves it.
"""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mqtt443_tools.localcore.mqtt.topics import matches

from tests.firmware.servers import read_packet
from tests.support.mqtt import answers

WAIT_S = 60.0
TERMINAL = {"SUCCEEDED", "FAILED", "REJECTED", "CANCELED", "TIMED_OUT"}

Block = dict[str, Any]
"""One answer to GetStream, or a rejection if it has a member `o`."""


@dataclass
class Execution:
    """One job execution. `history`: the status and details of each accepted update."""

    job_id: str
    document: Any
    status: str = "QUEUED"
    version: int = 1
    number: int = 1
    details: dict[str, str] = field(default_factory=dict)
    history: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    @property
    def is_terminal(self) -> bool:
        return self.status in TERMINAL

    def state(self) -> dict[str, Any]:
        return {"status": self.status, "statusDetails": self.details, "versionNumber": self.version}

    def shown(self, *, document: bool = True) -> dict[str, Any]:
        shown = {"jobId": self.job_id, "executionNumber": self.number, "queuedAt": 1, "startedAt": 2, **self.state()}
        return {**shown, "jobDocument": self.document} if document else shown


class JobServer:
    """The server's side of one board.

    Args:
        thing: its client id.
    """

    def __init__(self, thing: str) -> None:
        self.base = f"$aws/things/{thing}/"
        self.thing = thing
        self.executions: list[Execution] = []
        self.streams: dict[str, bytes] = {}
        self.telemetry: list[dict[str, Any]] = []
        self.subscribed: list[str] = []
        self.logins: list[str] = []
        """The password of each CONNECT."""
        self.requests: list[tuple[str, dict[str, Any]]] = []
        """Each request: its topic below the Thing, and its values."""
        self.accept: Callable[[str], bool] = lambda _password: True
        self.answer: Callable[[str, dict[str, Any]], bool] = lambda _topic, _values: True
        """Whether a request is answered."""
        self.close_at: Callable[[str, dict[str, Any]], bool] = lambda _topic, _values: False
        """Whether the connection ends at a request, after it was carried out and before its answer."""
        self.spoil: Callable[[Block], list[Block]] = lambda block: [block]
        """What is sent in place of a block."""
        self.denied: set[str] = set()
        """Filters at whose SUBSCRIBE the server closes the connection."""
        self.goodbye = b""
        """What the server sends before it closes a connection for `close_at` or `denied`."""
        self.max_block = 0
        self._announced = 0
        self._filters: list[str] = []  # of the present connection
        self._more = threading.Condition()

    # What a test does

    def add(self, job_id: str, document: Any) -> Execution:
        """Queue a job; it is announced with the next telemetry."""
        execution = Execution(job_id, document)
        with self._more:
            self.executions.append(execution)
        return execution

    def wait_until(self, true: Callable[[], bool], what: str = "") -> None:
        """Wait until it is true; it is asked after each packet of the board."""
        with self._more:
            assert self._more.wait_for(true, WAIT_S), (what, self.executions, self.telemetry[-3:])

    def wait_for(self, execution: Execution) -> Execution:
        """Wait until the execution has ended and the board has reported it."""
        self.wait_until(lambda: execution.is_terminal, f"{execution.job_id} to end")
        news = f"{execution.job_id} {execution.status}"
        self.wait_until(lambda: any(self.news(each) == news for each in self.telemetry), news)
        return execution

    @staticmethod
    def news(message: dict[str, Any]) -> str | None:
        """Return what a message reports about the last job."""
        job: str | None = message.get("link", {}).get("job")
        return job

    @property
    def ids(self) -> list[Any]:
        """The `id` of each reading, without those that came again."""
        return list(dict.fromkeys(each["id"] for each in self.telemetry if "id" in each))

    # The server

    def __call__(self, connection: ssl.SSLSocket) -> None:
        while packet := read_packet(connection):
            with self._more:
                go_on = self._take(packet, connection)
                self._more.notify_all()
            if not go_on:
                return

    def _take(self, packet: bytes, connection: ssl.SSLSocket) -> bool:
        kind = packet[0] & 0xF0
        if kind == 0x10:
            password = packet[_password_at(packet) :].decode()
            self.logins.append(password)
            if not self.accept(password):
                return False
            self._version = answers.level(packet)
            connection.sendall(answers.connack(self._version))
            self._announced = len(self.executions)
            self._filters = []
        elif kind == 0x80:
            topic = packet[6 + (self._version == answers.MQTT_5) : -1].decode()
            self.subscribed.append(topic)
            if topic in self.denied:
                connection.sendall(self.goodbye)
                return False
            self._filters.append(topic)
            connection.sendall(answers.suback(self._version, packet[2:4], packet[-1]))
        elif kind == 0xA0:
            connection.sendall(answers.unsuback(self._version, packet[2:4]))
        elif kind == 0x30:
            return self._publish(packet, connection)
        elif kind == 0xC0:
            connection.sendall(b"\xd0\x00")
        return kind != 0xE0

    def _publish(self, packet: bytes, connection: ssl.SSLSocket) -> bool:
        came = answers.published(self._version, packet)
        topic = came.topic.decode()
        if came.identifier:
            connection.sendall(answers.puback(self._version, came.identifier))
        values = json.loads(came.payload)
        if not topic.startswith("$"):
            self.telemetry.append(values)
            if self._announced < len(self.executions):
                self._announced = len(self.executions)
                for name, news in (("notify", {"jobs": {}}), ("notify-next", {"execution": self._next_shown()})):
                    if f"{self.base}jobs/{name}" in self.subscribed:
                        self._send(connection, f"jobs/{name}", {"timestamp": 1, **news})
            return True
        assert topic.startswith(self.base), topic
        name = topic.removeprefix(self.base)
        self.requests.append((name, values))
        replies = self._stream(name, values) if name.startswith("streams/") else self._jobs(name, values)
        if self.close_at(name, values):
            connection.sendall(self.goodbye)
            return False
        if self.answer(name, values):
            for reply_topic, reply in replies:
                if not reply_topic.startswith("streams/") or self._is_subscribed(reply_topic):
                    self._send(connection, reply_topic, reply)
        return True

    def _is_subscribed(self, name: str) -> bool:
        return any(matches(each, self.base + name) for each in self._filters)

    def _send(self, connection: ssl.SSLSocket, name: str, values: dict[str, Any]) -> None:
        topic = (self.base + name).encode()
        connection.sendall(answers.publish(self._version, topic, json.dumps(values).encode()))

    # Jobs

    def _pending(self) -> Execution | None:
        pending = [each for each in self.executions if not each.is_terminal]
        pending.sort(key=lambda each: each.status != "IN_PROGRESS")
        return pending[0] if pending else None

    def _next_shown(self) -> dict[str, Any]:
        execution = self._pending()
        return execution.shown() if execution else {}

    def _jobs(self, name: str, values: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
        answer: dict[str, Any] = {"clientToken": values["clientToken"], "timestamp": int(time.time())}
        if name == "jobs/start-next":
            execution = self._pending()
            if execution and execution.status == "QUEUED":
                execution.status = "IN_PROGRESS"
                execution.version += 1
            return [(name + "/accepted", {**answer, "execution": self._next_shown()} if execution else answer)]
        if name == "jobs/$next/get":
            execution = self._pending()
            shown = execution.shown(document=values["includeJobDocument"]) if execution else {}
            return [(name + "/accepted", {**answer, "execution": shown})]
        _, job_id, verb = name.split("/")
        assert verb == "update", name
        execution = next(each for each in self.executions if each.job_id == job_id)
        assert set(values) <= {"clientToken", "status", "statusDetails", "expectedVersion"}, values
        assert all(type(each) is str and len(each) <= 1024 for each in values["statusDetails"].values()), values
        code = None
        if execution.is_terminal:
            code = "InvalidStateTransition"
        elif values["expectedVersion"] != execution.version:
            code = "VersionMismatch"
        if code:
            return [(name + "/rejected", {**answer, "code": code, "message": "", "executionState": execution.state()})]
        execution.status, execution.details = values["status"], values["statusDetails"]
        execution.version += 1
        execution.history.append((execution.status, execution.details))
        return [(name + "/accepted", answer)]

    # Streams

    def _stream(self, name: str, values: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
        _, stream, verb, coding = name.split("/")
        assert (verb, coding) == ("get", "json"), name
        base = f"streams/{stream}/"
        if stream not in self.streams:
            return [(base + "rejected/json", {"o": "ResourceNotFound", "m": "", "c": values.get("c")})]
        data, size = self.streams[stream], values["l"]
        assert values["f"] == 0
        assert 256 <= size <= 131072, size
        self.max_block = max(self.max_block, size)
        blocks: list[Block] = []
        for number in range(values["o"], values["o"] + values["n"]):
            piece = data[number * size : (number + 1) * size]
            if piece:
                payload = base64.b64encode(piece).decode()
                blocks += self.spoil({"c": values.get("c"), "f": 0, "l": len(piece), "i": number, "p": payload})
        return [(base + ("rejected/json" if "o" in block else "data/json"), block) for block in blocks]


def _password_at(packet: bytes) -> int:
    """Return where the password begins in a CONNECT without a will."""
    at = 2 if packet[1] < 128 else 3
    assert packet[at + 7] == 0xC2, "clean session, a user name and a password"
    at += 10
    if answers.level(packet) == answers.MQTT_5:
        at += 1 + packet[at]  # properties
    for _ in range(2):
        at += 2 + int.from_bytes(packet[at : at + 2], "big")
    return at + 2
