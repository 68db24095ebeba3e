"""The job documents that boards understand, checked before they are sent.

docs/updates.md documents them; the board's side is `firmware/mqtt443/jobs.py`.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mqtt443 import config_schema
from mqtt443.errors import ConfigError

from mqtt443_tools.support.errors import UsageError

VERSION = 1
INLINE_BYTES = 200
"""The longest document that a board receives with the default `max_message_bytes` (512): AWS IoT Jobs adds about 300
bytes."""
_NEVER = {
    "client_id": "it names the Thing of the board",
    "updates": "without it the board takes no more jobs",
    "password": "rotate it with `mqtt443 device rotate`",
    "token": "rotate it with `mqtt443 device rotate`",
    "token_signature": "rotate it with `mqtt443 device rotate`",
}
_FIELDS = {field[0]: field for field in config_schema.FIELDS}


@dataclass(frozen=True)
class Update:
    """An update: what a job asks a board to do.

    Attributes:
        action: of the job document.
        members: of the document, besides its version and action.
        bundle: its files; empty if it has none.
        summary: one phrase for a person, without secrets.
    """

    action: str
    members: Mapping[str, Any]
    summary: str
    bundle: bytes = b""

    def document(self, stream_id: str) -> str:
        """Return the job document as JSON: with the bundle in it if it is short enough, else with its stream."""
        document: dict[str, Any] = {"mqtt443": VERSION, "action": self.action, **self.members}
        if not self.bundle:
            return _json(document)
        described = {"size": len(self.bundle), "sha256": hashlib.sha256(self.bundle).hexdigest()}
        inline = _json({**document, "bundle": {**described, "data": base64.b64encode(self.bundle).decode()}})
        if len(inline.encode()) <= INLINE_BYTES:
            return inline
        return _json({**document, "bundle": {**described, "stream": stream_id}})

    def needs_stream(self) -> bool:
        """Return whether the bundle does not fit into the document."""
        return '"stream":' in self.document("")


def config_update(texts: Iterable[str], delete: Iterable[str], within_s: int | None) -> Update:
    """Return the update of config keys.

    Args:
        texts: `KEY=VALUE`, with KEY as in docs/config.md, such as `wifi.ssid`.
        delete: keys to reset to their defaults.
        within_s: seconds that the board has to connect with the new config; None for the board's default.

    Raises:
        UsageError: a key does not exist or cannot be changed over the air, or a value is not valid.
    """
    values: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"{text if text in _FIELDS else '--config'}: expected KEY=VALUE, such as interval_s=30")
        _check_key(key)
        if key in values:
            raise UsageError(f"{key} is set twice")
        values[key] = _value(key, value)
    removed = list(dict.fromkeys(delete))
    for key in removed:
        _check_key(key)
        if _FIELDS[key][2] is config_schema.REQUIRED:
            raise UsageError(f"{key} has no default: set it instead")
        if key in values:
            raise UsageError(f"{key} is both set and deleted")
    _validate(values)
    members: dict[str, Any] = {"set": values} if values else {}
    members |= {"delete": removed} if removed else {}
    members |= {} if within_s is None else {"within_s": within_s}
    shown = [f"{key}={'***' if is_secret(key) else json.dumps(value)}" for key, value in values.items()]
    return Update("config", members, "config: " + ", ".join([*shown, *(f"{key}=default" for key in removed)]))


def refuse_shown_secrets(texts: Iterable[str]) -> None:
    """Refuse the value of a secret on the command line, where other users can see it.

    Raises:
        UsageError: a secret is given as `KEY=VALUE`, or its key without `=`, which a value may follow.
    """
    for text in texts:
        key, equals, value = text.partition("=")
        if not is_secret(key) or key in _NEVER:
            continue
        if not equals:
            raise UsageError(f"{key}: expected {key}=-; then type the value")
        if value not in {"", "-"}:
            raise UsageError(f"{key}: other users can see a command line; write {key}=- and type the value")


def keys_to_ask(texts: Iterable[str]) -> list[str]:
    """Return the keys of `KEY=-`, whose values are read elsewhere."""
    return [text.removesuffix("=-") for text in texts if text.partition("=")[2] == "-"]


def _check_key(key: str) -> None:
    if key not in _FIELDS:
        raise UsageError(f"{key}: not a key of config.json; docs/config.md lists them")
    if key in _NEVER:
        raise UsageError(f"{key} cannot be changed this way: {_NEVER[key]}")


def is_secret(key: str) -> bool:
    """Return whether the value of a key of config.json is a secret."""
    return key in _FIELDS and _FIELDS[key][1] == "secret"


def _value(key: str, text: str) -> object:
    if _FIELDS[key][1] not in {"int", "bool"}:
        return text
    try:
        return json.loads(text)
    except ValueError:
        raise UsageError(f"{key}={text}: must be a number, or true or false") from None


def _validate(values: Mapping[str, Any]) -> None:
    """Check values as the board will, together with values that are certainly valid."""
    config: dict[str, Any] = {"endpoint": "localhost", "client_id": "a", "wifi": {"ssid": "a"}}
    for key, value in values.items():
        if key.startswith("wifi."):
            config["wifi"][key.removeprefix("wifi.")] = value
        else:
            config[key] = value
    try:
        config_schema.validate(config)
    except ConfigError as error:
        raise UsageError(str(error.args[0])) from None


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
