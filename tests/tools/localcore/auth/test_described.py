"""What is shown of an authorizer's event holds no secret, whatever the client puts where."""

import json

from mqtt443_tools.localcore.auth.described import MAX_CHARS, MAX_NAMES, describe_event
from mqtt443_tools.localcore.auth.request import Request


def request(**changes: object) -> Request:
    fields: dict[str, object] = {
        "server_name": "localhost",
        "protocols": ("tls", "http", "mqtt"),
        "http_headers": {"Authorization": "SECRET", "Host": "localhost"},
        "http_query": "?token=SECRET&x-amz-customauthorizer-name=mqtt443",
        "mqtt_username": "dev-1?token=SECRET&x-amz-customauthorizer-signature=SECRET",
        "mqtt_password": b"SECRET",
        "mqtt_client_id": "dev-1",
        "connection_id": "c",
        "source_ip": "127.0.0.1",
    }
    return Request(**(fields | changes))  # type: ignore[arg-type]


def test_event_names_what_was_sent_and_shows_no_secret() -> None:
    found = describe_event(request())
    assert "SECRET" not in json.dumps(found)
    assert found["protocolData"] == {
        "tls": {"serverName": "localhost"},
        "http": {"headers": ["Authorization", "Host"], "queryString": ["token", "x-amz-customauthorizer-name"]},
        "mqtt": {
            "clientId": "dev-1",
            "username": "dev-1",
            "password": "(6 bytes)",
            "parameters": ["token", "x-amz-customauthorizer-signature"],
        },
    }


def test_hostile_event_is_bounded_and_printable() -> None:
    found = describe_event(
        request(
            mqtt_client_id="\x1b[2J" + "x" * 60_000,
            mqtt_username="?" + "&".join(f"{number}=" for number in range(10_000)),
            http_headers={f"h{number}": "" for number in range(10_000)},
        )
    )
    mqtt = found["protocolData"]["mqtt"]
    assert "\x1b" not in mqtt["clientId"]
    assert len(mqtt["clientId"]) < 2 * MAX_CHARS
    assert len(mqtt["parameters"]) == len(found["protocolData"]["http"]["headers"]) == MAX_NAMES
