"""A deployed stack as a source of the console: live messages and lifecycle events, the authorizer's log, the table.

It shows the devices of the stack, not the other clients of the account. AWS does not say who published a message; the
deployed policy lets a device publish under `telemetry/<its client id>` and on topics of its own, so the topic names it.
"""

from __future__ import annotations

import base64
import shlex
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from mqtt443_authorizer.device import Device
from mqtt443_authorizer.errors import AuthorizerError

from mqtt443_tools.cloud import authorizer_log
from mqtt443_tools.cloud.aws import Aws, AwsError
from mqtt443_tools.cloud.aws_backend import AwsBackend
from mqtt443_tools.cloud.aws_jobs import AwsJobs
from mqtt443_tools.console.device_updates import DeviceUpdates
from mqtt443_tools.console.lifecycle_events import FILTERS, PREFIX, OnlineClients
from mqtt443_tools.console.recent import Recent
from mqtt443_tools.console.source import Message, Status
from mqtt443_tools.localcore.seen_clients import Seen
from mqtt443_tools.send.answers import answer_filters, find_answer
from mqtt443_tools.send.through_aws import through_aws
from mqtt443_tools.support.errors import CommandError, UsageError
from mqtt443_tools.watch.aws_messages import AwsWatcher

LOG_S = 5.0
LOG_OVERLAP = timedelta(minutes=1)
"""CloudWatch shows some lines late, so each look goes back this far."""
FIRST_LOOK = timedelta(hours=1)
DEVICES_S = 60.0
UPDATES_S = 15.0
REFUSED_S = 600.0
MAX_LOG_EVENTS = 500


class AwsSource:
    """One stack; see Source.

    Args:
        aws: account and region.
        backend: the devices of the stack.
        stack: its name.
        topic_filter: which messages to show.
        options: options that lead `mqtt443 device` to the stack.
        connect: opens a connection to the account's endpoint.
        clock: monotonic seconds.
        now: Unix seconds.
    """

    retry_s = 10.0
    fault_meanings: Mapping[str, str] = {}

    def __init__(
        self,
        aws: Aws,
        backend: AwsBackend,
        stack: str,
        topic_filter: str,
        *,
        options: Sequence[str],
        connect: Callable[[], AwsWatcher],
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.title = f"AWS {aws.region}, stack {stack}"
        self.options = shlex.join(options)
        self.backend = backend
        self.recent = Recent()
        self._aws = aws
        self._filter = topic_filter
        self._connect = connect
        self._clock = clock
        self._now = now
        self._lock = threading.RLock()
        self._clients = OnlineClients()
        self._seen: dict[str, Seen] = {}
        self._problems: dict[str, str] = {}
        self._devices: dict[str, Device] = {}
        self._owners: dict[str, str] = {}
        self._devices_until = self._log_at = self._presence_at = self._updates_at = float("-inf")
        self._log_since = datetime.fromtimestamp(now(), UTC) - FIRST_LOOK
        self._logged: set[tuple[float, str]] = set()
        self._logins: list[dict[str, Any]] = []
        self._updates = DeviceUpdates(AwsJobs(aws, stack))
        self._last_updates: list[dict[str, Any]] = []

    def watch(self) -> Iterator[Message]:
        """See Source."""
        try:
            with self._connect() as watcher:
                self._subscribe(watcher)
                self._ask_who_is_online()
                self._problems.pop("messages", None)
                for message in watcher.messages(None):
                    if message.get("topic", "").startswith(PREFIX):
                        self._take_event(base64.b64decode(message["payload"]))
                        continue
                    if "dropped" not in message:
                        message["client_id"] = self._owner(message["topic"])
                        self.recent.add(message)
                    yield message
        except CommandError as error:
            self._problems["messages"] = str(error)
            raise

    def status(self) -> Status:
        """See Source."""
        if self._clock() >= self._log_at:
            self._log_at = self._clock() + LOG_S
            self._read_log()
        if self._clock() >= self._updates_at:
            self._updates_at = self._clock() + UPDATES_S
            self._read_updates()
        known = self._known()
        with self._lock:
            online = [client_id for client_id in self._clients.online if client_id in known]
        return Status(
            online,
            self.recent.events(),
            self._logins,
            updates=[each for each in self._last_updates if each["client_id"] in known],
            problem="; ".join(list(self._problems.values())) or None,
        )

    def switch_fault(self, client_id: str | None, fault: str | None, *, on: bool) -> None:  # noqa: ARG002
        """See Source: AWS has none."""
        raise UsageError("AWS IoT has no faults to switch; use the local endpoint for that: mqtt443 local")

    def devices(self) -> Sequence[Device]:
        """See Source: read from the table at most once in DEVICES_S, unless the console has changed it."""
        return list(self._known().values())

    def forget_devices(self) -> None:
        """See Source."""
        self._devices_until = float("-inf")

    def updates_of(self, client_id: str) -> list[dict[str, Any]]:
        """See Source."""
        return self._updates.of_device(client_id)

    def seen(self) -> Mapping[str, Seen]:
        """See Source: since the console started, or a little before."""
        return self._seen

    def publish(self, topic: str, payload: bytes, qos: int, retain: bool) -> None:
        """See Source."""
        self._aws.call("iot-data", "publish", topic=topic, payload=payload, qos=qos, retain=retain)

    def command(self, client_id: str, payload: bytes, request_id: str, timeout_s: float) -> dict[str, Any] | None:
        """See Source."""
        device = self._known().get(client_id)
        filters = answer_filters(client_id, device.publish if device is not None else ())
        with through_aws(self._aws, self._connect, filters, f"commands/{client_id}", payload) as watcher:
            answer = find_answer(watcher.messages(self._clock() + timeout_s), client_id, request_id)
        if answer is None:
            return None
        return {"report": dict(answer.report)} if answer.refused is None else {"refused": answer.refused}

    def _subscribe(self, watcher: AwsWatcher) -> None:
        """Subscribe to the messages, and to lifecycle events unless AWS has refused these lately."""
        watcher.subscribe(self._filter)
        if self._clock() < self._presence_at:
            return
        try:
            for topic_filter in FILTERS:
                watcher.subscribe(topic_filter)
        except CommandError as error:
            self._presence_at = self._clock() + REFUSED_S  # the refusal may cost the connection, so not at once again
            self._problems["presence"] = f"connects and disconnects are not shown: {error}"
        else:
            self._problems.pop("presence", None)

    def _ask_who_is_online(self) -> None:
        """Ask for the state that later events change."""
        try:
            found = self.backend.activity(list(self._known()))
        except CommandError as error:
            self._problems["online"] = f"which devices were online already is not known: {error}"
            return
        self._problems.pop("online", None)
        with self._lock:
            for client_id, activity in found.items():
                if activity.last_seen is not None:
                    self._seen[client_id] = Seen(activity.last_seen)
                if activity.online:
                    self._clients.begin(client_id)
                elif activity.online is False:
                    self._clients.end(client_id)

    def _take_event(self, payload: bytes) -> None:
        with self._lock:
            event = self._clients.take(payload)
        if event is not None and event["client_id"] in self._known():
            self.recent.add_events([event])

    def _read_log(self) -> None:
        """Take the lines that are new in the authorizer's log."""
        looked_at = datetime.fromtimestamp(self._now(), UTC)
        try:
            lines = authorizer_log.lines_since(self._aws, self.backend.stack.outputs["LogGroup"], self._log_since)
        except CommandError as error:
            self._problems["log"] = f"the authorizer's log cannot be read: {error}"
            return
        self._problems.pop("log", None)
        self._log_since = looked_at - LOG_OVERLAP
        lines = lines[-MAX_LOG_EVENTS:]
        keys = {(at_s, repr(line)) for at_s, line in lines}
        fresh = [(at_s, line) for at_s, line in lines if (at_s, repr(line)) not in self._logged]
        self._logged = keys
        self._logins = [line for _, line in lines]
        self.recent.add_events([event_of(at_s, line) for at_s, line in fresh])

    def _read_updates(self) -> None:
        try:
            self._last_updates = self._updates.look()
        except CommandError as error:
            self._problems["updates"] = f"updates are not shown: {error}"
        else:
            self._problems.pop("updates", None)

    def _owner(self, topic: str) -> str | None:
        """Return the client id of the device that may publish on a topic."""
        known = self._known()
        first, _, rest = topic.partition("/")
        name = rest.partition("/")[0]
        return name if first == "telemetry" and name in known else self._owners.get(topic)

    def _known(self) -> Mapping[str, Device]:
        """Return the devices of the table by client id, the last ones known if it cannot be read."""
        with self._lock:
            if self._clock() < self._devices_until:
                return self._devices
            self._devices_until = self._clock() + DEVICES_S
        try:
            devices = {device.client_id: device for device in self.backend.store.all()}
        except (AuthorizerError, AwsError) as error:
            self._problems["devices"] = f"the table of devices cannot be read: {error}"
            return self._devices
        self._problems.pop("devices", None)
        with self._lock:
            self._devices = devices
            self._owners = {topic: device.client_id for device in devices.values() for topic in device.publish}
        return self._devices


def event_of(at_s: float, line: Mapping[str, Any]) -> dict[str, Any]:
    """Return a line of the authorizer's log, written at `at_s` (Unix seconds), as an event of the console."""
    allowed = line.get("decision") == "allow"
    return {
        "time": at_s,
        "outcome": "accepted" if allowed else "refused",
        "reason": "AUTHENTICATED" if allowed else "NOT_AUTHENTICATED",
        "detail": str(line.get("reason", "")),
        "client_id": _text(line, "client_id"),
        "source": "",
        "connection_id": _text(line, "connection") or "",
        "transport": "wss" if _over_websocket(line.get("protocols")) else None,
        "login": dict(line),
    }


def _over_websocket(protocols: object) -> bool:
    """Return whether the protocols of an authorizer's event are those of MQTT over WebSocket."""
    return isinstance(protocols, list) and {"http", "mqtt"} <= {each for each in protocols if isinstance(each, str)}


def _text(line: Mapping[str, Any], name: str) -> str | None:
    value = line.get(name)
    return value if isinstance(value, str) else None
