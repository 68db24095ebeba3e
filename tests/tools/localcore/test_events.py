"""Events as data."""

from __future__ import annotations

import dataclasses

from mqtt443_tools.localcore.events import Event


def test_event_as_json_has_every_field_and_its_own_facts() -> None:
    facts = {"sni": "localhost", "event": {"protocols": ["tls"]}}
    event = Event(
        time=1.5,
        outcome="refused",
        reason="TLS_ERROR",
        detail="these bytes are not TLS",
        client_id=None,
        source="127.0.0.1",
        connection_id="id",
        facts=facts,
    )
    written = event.to_json()
    assert written == dataclasses.asdict(event)
    facts["alpn"] = "mqtt"
    assert "alpn" not in written["facts"]
