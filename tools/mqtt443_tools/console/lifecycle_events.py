"""Who is connected to AWS IoT, and what happened to connections, from lifecycle events.

Developer Guide, "Lifecycle events". They may come twice or out of order, so a session that has ended does not come
back, and the end of an old session does not end the one that took its place.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from typing import Any

PREFIX = "$aws/events/presence/"
FILTERS = tuple(f"{PREFIX}{kind}/+" for kind in ("connected", "disconnected", "connect_failed"))
MAX_CLIENTS = 10_000
MAX_ENDED = 1000
MAX_CHARS = 200
MAX_MS = 2**53


class OnlineClients:
    """The clients that are connected, the latest MAX_CLIENTS of them."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[str, str] = OrderedDict()  # by client id; "" where the session is not known
        self._ended: OrderedDict[str, None] = OrderedDict()

    @property
    def online(self) -> list[str]:
        """Client ids."""
        return list(self._sessions)

    def begin(self, client_id: str, session: str = "") -> None:
        """Note that a client is connected."""
        if session not in self._ended:
            self._sessions[client_id] = session
            self._sessions.move_to_end(client_id)
            if len(self._sessions) > MAX_CLIENTS:
                self._sessions.popitem(last=False)

    def end(self, client_id: str, session: str = "") -> None:
        """Note that a client's session has ended; "" ends it whichever it is."""
        self._note_end(session)
        if self._sessions.get(client_id) in {session, ""} or not session:
            self._sessions.pop(client_id, None)

    def take(self, payload: bytes) -> dict[str, Any] | None:
        """Take the payload of a lifecycle event; return it as an event of the console, None if it is not a new one."""
        try:
            said = json.loads(payload)
        except (ValueError, RecursionError):
            return None
        match said:
            case {"clientId": str(client_id), "eventType": str(kind), "timestamp": int(at)} if 0 < at < MAX_MS:
                pass
            case _:
                return None
        session = _text(said, "sessionIdentifier")
        event = {
            "time": at / 1000,
            "client_id": client_id,
            "source": _text(said, "ipAddress"),
            "connection_id": session,
        }
        version = said.get("versionNumber")
        detail = f"session {version}" if type(version) is int else "session"
        if session and (session in self._ended or (kind == "connected" and self._sessions.get(client_id) == session)):
            return None  # it came before
        if kind == "connected":
            self.begin(client_id, session)
            return {**event, "outcome": "accepted", "reason": "CONNECTED", "detail": f"{detail} began"}
        if kind == "disconnected":
            self.end(client_id, session)
            reason = _text(said, "disconnectReason") or "DISCONNECTED"
            return {**event, "outcome": "closed", "reason": reason, "detail": f"{detail} ended"}
        if kind == "connect_failed":
            self._note_end(session)
            reason = _text(said, "connectFailureReason") or "CONNECT_FAILED"
            return {**event, "outcome": "refused", "reason": reason, "detail": "AWS IoT did not let the client connect"}
        return None

    def _note_end(self, session: str) -> None:
        if session:
            self._ended[session] = None
            if len(self._ended) > MAX_ENDED:
                self._ended.popitem(last=False)


def _text(said: dict[str, Any], name: str) -> str:
    value = said.get(name)
    return value[:MAX_CHARS] if isinstance(value, str) else ""
