"""The JSON Schema of config.json, from the board's own definition of its keys, described in docs/config.md's words.

The schema counts characters where the board counts bytes, and accepts 5.0 as an integer; otherwise both agree.
"""

import re
from collections.abc import Mapping
from typing import Any

from mqtt443 import config_schema

from mqtt443_tools.support.paths import ROOT

SECRET_KINDS = frozenset({"secret", "base64"})
DOCUMENT = ROOT / "docs" / "config.md"

# JSON Schema's patterns are ECMA-262's; these mean the same in Python. `$` would let a line feed through in Python.
_END = r"(?![\s\S])"
_CHARACTER = r"(?:[^/\u0000-\u001f+#{}]|\{client_id\})"
_TOPIC = rf"^(?:(?!\$){_CHARACTER}*(?:/{_CHARACTER}*){{0,7}}|\$aws/rules/{_CHARACTER}*(?:/{_CHARACTER}*){{0,8}}){_END}"
_TEXT = rf"^[^\u0000-\u001f]*{_END}"
_PATTERNS = {
    "host": rf"^[A-Za-z0-9.-]*{_END}",
    "authorizer": rf"^[A-Za-z0-9_=,@-]*{_END}",
    "token_key": rf"^[A-Za-z0-9_-]*{_END}",
    "base64": rf"^[A-Za-z0-9+/=%]*{_END}",
}
# What the board requires of single keys besides their kind.
_PATTERNS_OF_KEYS = {
    "topic": _TOPIC,
    "will_topic": _TOPIC,
    "username": rf"^[^\u0000-\u001f?]*{_END}",
    "token": rf"^[^\u0000-\u001f&?# ]*{_END}",
}


def schema() -> dict[str, Any]:
    """Return the schema, JSON Schema 2020-12."""
    meanings = _meanings()
    wifi: dict[str, Any] = {}
    keys: dict[str, Any] = {}
    required = []
    for key, kind, default, low, high in config_schema.FIELDS:
        described = {"description": meanings[key], **_rule(key, kind, low, high)}
        if default is config_schema.REQUIRED:
            required.append(key)
        else:
            described = _or_null(described)
            if default is not None:
                described["default"] = default
        target = wifi if key.startswith("wifi.") else keys
        target[key.removeprefix("wifi.")] = described
    network = {
        "type": ["object", "null"],
        "description": "the Wi-Fi network; leave it out on Ethernet",
        "properties": wifi,
        "required": ["ssid"],
        "additionalProperties": False,
    }
    token = ("token", "token_key", "token_signature")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "config.json of an mqtt443 board",
        "type": "object",
        "properties": {"wifi": network, **keys},
        "required": required,
        "additionalProperties": False,
        "anyOf": [
            {"required": list(token), "properties": {key: {"type": "string"} for key in token}},
            {"properties": {key: {"type": "null"} for key in token}},
        ],
    }


def _rule(key: str, kind: str, low: Any, high: Any) -> dict[str, Any]:
    if kind == "int":
        return {"type": "integer", "minimum": low, "maximum": high}
    if kind == "bool":
        return {"type": "boolean"}
    if kind == "choice":
        return {"type": "string", "enum": list(low)}
    pattern = _PATTERNS_OF_KEYS.get(key) or _PATTERNS.get(kind, _TEXT)
    return {"type": "string", "minLength": low, "maxLength": high, "pattern": pattern}


def _or_null(described: Mapping[str, Any]) -> dict[str, Any]:
    """Allow null, which the board treats as a missing key."""
    changed = {**described, "type": [described["type"], "null"]}
    if "enum" in changed:
        changed["enum"] = [*changed["enum"], None]
    return changed


def _meanings() -> dict[str, str]:
    """Return the last column of the document's table of keys, without its markup."""
    rows = re.findall(r"^\| `([\w.]+)` \|.*\| ([^|]+) \|$", DOCUMENT.read_text(), re.MULTILINE)
    return {key: meaning.replace("`", "") for key, meaning in rows}
