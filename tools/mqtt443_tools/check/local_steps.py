"""Asks the local endpoint on this computer about a refusal: its last events, and its devices.

Like AWS, localcore gives a client no reason; but the owner of the state folder may ask.
"""

import base64
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from mqtt443_authorizer.handler import Authorizer
from mqtt443_authorizer.policy import Template
from mqtt443_authorizer.sqlitestore import SqliteStore

from mqtt443_tools.check.step import BoardConfig, Broken
from mqtt443_tools.localcore.auth.account import DEVICES_FILE
from mqtt443_tools.localcore.control.control_client import ControlClient, ControlError
from mqtt443_tools.localcore.front.certificates import CA_FILE
from mqtt443_tools.support.config_file import load_ca

MIN_S = 300
_FUNCTION = SimpleNamespace(invoked_function_arn="arn:aws:lambda:eu-west-1:123456789012:function:mqtt443")

# Reasons of the endpoint and of the authorizer (mqtt443_authorizer/handler.py), and the causes they stand for.
_BY_REASON = {
    "AUTHORIZATION_FAILURE": "connect_not_allowed",
    "CUSTOM_AUTHORIZER_LAMBDA_EXECUTION_ERROR": "authorizer_crashes",
    "CUSTOM_AUTHORIZER_NOT_FOUND": "no_default_authorizer",
    "CUSTOM_AUTHORIZER_PARAMETER_INVALID": "no_such_authorizer",
    "NOT_AUTHENTICATED": "not_authenticated",
    "NO_ALPN": "no_alpn",
    "SECURITY_TOKEN_INVALID": "token_refused",
    "SECURITY_TOKEN_SIGNATURE_MISMATCH": "token_refused",
    "SNI_MISUSED": "wrong_endpoint",
    "THROTTLED": "throttled",
}
_BY_DETAIL = {
    "did not answer within": "authorizer_slow",
    "there is no authorizer named": "no_such_authorizer",
    "is INACTIVE": "authorizer_inactive",
    "allows iot:Publish": "topic_not_allowed",
    "denies iot:Publish": "topic_not_allowed",
}
_BY_LOGIN = {
    "unknown user name": "unknown_user",
    "wrong password": "wrong_password",
    "the device is disabled": "device_disabled",
    "the client id is not that of the user name": "client_id_not_allowed",
}


class LocalEndpoint:
    """The local endpoint on a state folder."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._before: set[object] = set()

    def is_meant(self, roots: list[bytes]) -> bool:
        """Whether a config with these roots leads here."""
        ca = self._state / CA_FILE
        return ca.exists() and load_ca(ca) == roots

    def mark(self) -> None:
        """Ignore the events made so far."""
        self._before = {event.get("connection_id") for event in self._events()}

    def why(self, config: BoardConfig) -> Broken | None:
        """Return why the endpoint refused this client since the mark; None if it does not say."""
        for event in reversed(self._events()):
            known = None if event.get("connection_id") in self._before else _known(event, config.client_id)
            if known is not None:
                code, detail = known
                is_login = code == "not_authenticated"
                return self._login(config) if is_login else Broken(code, f"the endpoint says: {detail}")
        return None

    def _events(self) -> list[dict[str, Any]]:
        try:
            with ControlClient(self._state) as control:
                return control.events()
        except ControlError:
            return []

    def _login(self, config: BoardConfig) -> Broken:
        """Ask the authorizer, in this process, about the login of a config."""
        lines: list[dict[str, Any]] = []
        mqtt = {"username": config.mqtt_username or "", "clientId": config.client_id}
        if config.password:
            mqtt["password"] = base64.b64encode(config.password.encode()).decode()
        store = SqliteStore(self._state / DEVICES_FILE)
        authorizer = Authorizer(store, Template.load(), MIN_S, MIN_S, time.monotonic, lines.append)
        authorizer.decide({"protocols": ["tls", "mqtt"], "protocolData": {"mqtt": mqtt}}, _FUNCTION)
        reason = str(lines[-1]["reason"])
        return Broken(_BY_LOGIN.get(reason, "not_authenticated"), f"the authorizer says: {reason}")


def _known(event: dict[str, Any], client_id: str) -> tuple[str, str] | None:
    """Return the cause and the detail if an event is a failure of this client, else None."""
    reason, detail = event.get("reason"), event.get("detail")
    if not isinstance(reason, str) or not isinstance(detail, str) or event.get("outcome") == "accepted":
        return None
    if event.get("client_id") not in {client_id, None}:
        return None
    by_detail = next((code for part, code in _BY_DETAIL.items() if part in detail), None)
    code = by_detail or _BY_REASON.get(reason)
    return None if code is None else (code, detail)
