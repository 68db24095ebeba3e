"""Types of `config`; `config_schema.FIELDS` has the ranges and the defaults."""

from collections.abc import Mapping
from typing import Any

class Config:
    wifi_ssid: str | None
    wifi_password: str
    endpoint: str
    port: int
    client_id: str
    username: str
    password: str
    authorizer: str | None
    token: str | None
    token_key: str | None
    token_signature: str | None
    transport: str
    mqtt: str
    ca: str
    topic: str
    interval_s: int
    qos: int
    window: int
    outbox_bytes: int
    ttl_s: int
    commands: bool
    updates: bool
    keepalive_s: int
    timeout_s: int
    clean_session: bool
    will_topic: str | None
    will_message: str
    max_message_bytes: int
    ntp_server: str
    reset_after: int
    watchdog_s: int
    deep_sleep: bool
    safe_pin: int | None
    mqtt_username: str | None
    notice: str | None
    def __init__(self, values: Mapping[str, Any]) -> None: ...
