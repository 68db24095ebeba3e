"""When and how a local endpoint last saw each client, kept in the state folder after it stops.

Only clients that the authorizer accepted are listed, so that others cannot fill the list. The board itself reports
version, transport and failures, in a `report` and under `link` (docs/commands.md, docs/reliability.md).
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mqtt443_authorizer.files import write_private

from mqtt443_tools.localcore.clock import Clock, Handle
from mqtt443_tools.localcore.events import Event

SEEN_FILE = "seen.json"
MAX_CLIENTS = 10_000
MAX_FILE_BYTES = 16 * 1024 * 1024
MAX_PARSED_BYTES = 16 * 1024
MAX_VERSION_CHARS = 40
SAVE_S = 60.0


@dataclass(frozen=True, slots=True)
class Seen:
    """One client.

    Attributes:
        at: unix seconds of its last message, or of the start or end of its connection.
        transport: alpn, wss or tls.
        version: of mqtt443 on the board, from its last report.
        failures: failed connections, as counted by the board.
        secret: which of its passwords it last logged in with: 0 is the newest, 1 the one before.
        secret_at: unix seconds of that login.
    """

    at: float
    transport: str | None = None
    version: str | None = None
    failures: int | None = None
    secret: int | None = None
    secret_at: float | None = None


class SeenClients:
    """The clients of one endpoint, the latest MAX_CLIENTS of them.

    Args:
        state: the state folder.
        clock: of the endpoint; a change is saved within SAVE_S.
        log: called with a line if the file cannot be written.
    """

    def __init__(self, state: Path, clock: Clock, log: Callable[[str], None]) -> None:
        self._path = state / SEEN_FILE
        self._clock = clock
        self._log = log
        self._clients: OrderedDict[str, Seen] = OrderedDict()
        self._saving: Handle | None = None

    def load(self) -> None:
        """Load the list of the previous endpoint."""
        self._clients.update(last_seen(self._path.parent))

    def save(self) -> None:
        """Write the file. Raises OSError."""
        if self._saving is not None:
            self._saving.cancel()
            self._saving = None
        content = {client_id: asdict(seen) for client_id, seen in self._clients.items()}
        write_private(self._path, json.dumps(content).encode() + b"\n")

    def note_event(self, event: Event) -> None:
        """Note the start and the end of a connection."""
        if event.client_id is None:
            return
        if event.transport is not None and event.outcome == "accepted":
            self._note(event.client_id, event.time, transport=event.transport)
        elif event.outcome == "closed" and event.client_id in self._clients:
            self._note(event.client_id, event.time)

    def note_login(self, login: Mapping[str, Any], at: float) -> None:
        """Take notice of a decision that the authorizer logged."""
        match login:
            case {"decision": "allow", "client_id": str(client_id), "secret": int(secret)}:
                self._note(client_id, at, secret=secret, secret_at=at)

    def note_message(self, client_id: str | None, payload: bytes, at: float) -> None:
        """Note a message."""
        if client_id is None:
            return
        said = _said(payload) if b'"link"' in payload or b'"report"' in payload else {}
        self._note(client_id, at, **said)

    def _note(self, client_id: str, at: float, **changes: Any) -> None:
        seen = self._clients.pop(client_id, None) or Seen(at)
        self._clients[client_id] = replace(seen, at=at, **changes)
        if len(self._clients) > MAX_CLIENTS:
            self._clients.popitem(last=False)
        if self._saving is None:
            self._saving = self._clock.call_later(SAVE_S, self.keep)

    def keep(self) -> None:
        """Write the file, or log why that fails; only the list of devices needs it."""
        try:
            self.save()
        except OSError as error:
            self._log(f"{self._path}: {error.strerror}; when devices were last seen is not stored")


def last_seen(state: Path) -> dict[str, Seen]:
    """Return the stored clients of a state folder, by client id; empty if there is no usable file."""
    try:
        with (state / SEEN_FILE).open("rb") as file:
            content = file.read(MAX_FILE_BYTES)
        return {str(client_id): _checked(values) for client_id, values in json.loads(content).items()}
    except (OSError, ValueError, RecursionError, TypeError, AttributeError):
        return {}


def _checked(values: Mapping[str, Any]) -> Seen:
    seen = Seen(**values)
    texts = seen.transport, seen.version
    if type(seen.at) not in {int, float} or any(text is not None and not isinstance(text, str) for text in texts):
        raise ValueError("not what was kept")
    if any(number is not None and type(number) is not int for number in (seen.failures, seen.secret)):
        raise ValueError("not what was kept")
    if seen.secret_at is not None and type(seen.secret_at) not in {int, float}:
        raise ValueError("not what was kept")
    return seen


def _said(payload: bytes) -> dict[str, Any]:
    """Return a board's report about itself in a message, as fields of `Seen`."""
    try:
        values = json.loads(payload) if len(payload) <= MAX_PARSED_BYTES else {}
    except (ValueError, RecursionError):
        return {}
    link, report = (values.get(key) if isinstance(values, dict) else None for key in ("link", "report"))
    found: dict[str, Any] = {}
    for facts in (link, report):
        if isinstance(facts, dict) and type(facts.get("failures")) is int:
            found["failures"] = facts["failures"]
    if isinstance(report, dict) and isinstance(report.get("version"), str):
        found["version"] = report["version"][:MAX_VERSION_CHARS]
    return found
