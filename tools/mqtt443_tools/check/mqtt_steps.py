"""The last steps run the board's own code: WebSocket upgrade, CONNECT, publish and subscribe.

A check uses the board's transport and client, and umqtt, so it does what a board does and meets the same errors. On
CPython umqtt needs three modules under MicroPython's names, and its own folder on the path.
"""

import binascii
import json
import socket
import struct
import sys
from collections.abc import Callable
from typing import Any

from mqtt443 import errors
from mqtt443.transport import Transport

from mqtt443_tools.check.step import BoardConfig, Broken, Skipped
from mqtt443_tools.support.fetch_umqtt import fetch_umqtt
from mqtt443_tools.support.paths import UMQTT

WAIT_MS = 5000
"""For a message to come back after its subscription."""

Blame = Callable[[Exception, str], Broken]
"""Names the cause of an error that the board's code raised; the second argument is the default cause."""


class BoardClient:
    """The board's client for a config.

    Args:
        config: with `ca` as a path that this computer can open.
        blame: names causes.

    Raises:
        CommandError: umqtt cannot be fetched.
    """

    def __init__(self, config: BoardConfig, blame: Blame) -> None:
        self._config = config
        self._blame = blame
        self._new_client = _client_class()
        self._client: Any = None

    def websocket(self) -> str:
        """Upgrade to a WebSocket, then close it."""
        if self._config.transport in {"alpn", "tls"}:
            raise Skipped(f"transport {self._config.transport} needs none")
        try:
            # As on an image without ALPN, so that `auto` is WebSocket.
            Transport(self._config, alpn=False).open().close()
        except errors.Mqtt443Error as error:
            raise Broken("no_websocket", str(error.args[0])) from error
        return "HTTP 101, subprotocol mqtt"

    def connect(self) -> str:
        """Send CONNECT and wait for CONNACK."""
        client = self._new_client(self._config)
        try:
            session = client.connect()
        except errors.Mqtt443Error as error:
            raise self._blame(error, "refused") from error
        self._client = client
        version = "MQTT 5" if client.mqtt5 else "MQTT 3.1.1"
        if client.notice:
            version += ", as the server does not speak 5"
        return f"CONNACK over {client.transport.name}, {version}, {'session kept' if session else 'new session'}"

    def publish(self, now: float) -> str:
        """Publish to the telemetry topic; then subscribe to it, publish again, and wait for the message."""
        topic, came = self._config.topic, []
        payload = json.dumps({"check": "mqtt443", "time": int(now)})
        try:
            # QoS 1 whatever the config says: PUBACK is the proof.
            self._client.publish(topic, payload, qos=1)
        except errors.Mqtt443Error as error:
            raise self._blame(error, "topic_not_allowed") from error
        except ValueError as error:  # larger than the server's Maximum Packet Size
            raise Broken("reason_given", str(error)) from error
        self._client.set_callback(lambda _, message: came.append(message))
        try:
            self._client.subscribe(topic)
            self._client.publish(topic, payload, qos=1)
            if not came:
                self._client.wait(WAIT_MS)
        except (errors.ConnectionLost, errors.SubscribeRefused):
            return f"PUBACK on {topic}; the policy lets the device publish there, not subscribe, so nothing came back"
        except errors.Mqtt443Error as error:
            raise self._blame(error, "lost") from error
        return f"PUBACK on {topic}, and the message came back" if came else f"PUBACK on {topic}; nothing came back"

    def close(self) -> None:
        """Disconnect, if it is connected."""
        if self._client is not None:
            try:
                self._client.disconnect()
            except errors.Mqtt443Error:
                self._client.close()


def _client_class() -> Any:
    fetch_umqtt()
    for name, module in (("usocket", socket), ("ustruct", struct), ("ubinascii", binascii)):
        sys.modules.setdefault(name, module)
    if str(UMQTT) not in sys.path:
        sys.path.append(str(UMQTT))
    from mqtt443.client import Client  # noqa: PLC0415 - needs the lines above

    return Client
