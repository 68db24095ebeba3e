"""docs/config.md says what config_schema.FIELDS says, and names the deadlines that the code has."""

import json
import re

import pytest
from mqtt443 import backoff, clock, config_schema, network
from mqtt443_tools.support.paths import ROOT

TEXT = (ROOT / "docs" / "config.md").read_text()
ROWS = {
    cells[0].strip("`"): cells
    for cells in (
        [cell.strip() for cell in line.strip("|").split("|")] for line in TEXT.splitlines() if line[:3] == "| `"
    )
    if len(cells) == 5
}
WORDS = {
    "str": "text", "secret": "secret", "host": "host name", "authorizer": "name", "token_key": "name",
    "base64": "Base64", "int": "whole number", "bool": "true or false", "choice": "choice",
}  # fmt: skip


def test_every_key_is_documented_in_order_and_no_other() -> None:
    assert list(ROWS) == [field[0] for field in config_schema.FIELDS]


@pytest.mark.parametrize("field", config_schema.FIELDS, ids=lambda field: field[0])
def test_type_default_and_range_are_those_of_the_code(field: tuple[str, str, object, object, object]) -> None:
    key, kind, default, low, high = field
    _, words, documented, allowed, meaning = ROWS[key]
    assert words == WORDS[kind]
    if default is config_schema.REQUIRED:
        assert documented == "required"
    elif default is None:
        assert documented == "none"
    else:
        shown = default if isinstance(default, str) and default else json.dumps(default)
        assert documented == f"`{shown}`"
    if kind == "choice":
        assert allowed == ", ".join(f"`{name}`" for name in low)  # type: ignore[attr-defined]
    elif kind == "bool":
        assert allowed == ""
    else:
        assert allowed == f"{low} to {high}" + ("" if kind == "int" else " bytes")
    assert meaning


@pytest.mark.parametrize(
    "words",
    [
        f"address | {network._JOIN_MS // 1000} s",
        f"within those {network._JOIN_MS // 1000} s | {network._ALONE_MS // 1000} s",
        f"an answer from its DNS server | {network._HEAR_S} s",
        f"{clock._NTP_TRIES} tries of {clock._NTP_TIMEOUT_MS // 1000} s",
        f"1 to {backoff.NETWORK_FIRST_MS // 1000} s, doubling up to 1 to {backoff.NETWORK_LAST_MS // 1000} s",
        f"1 to {backoff.REFUSAL_FIRST_MS // 1000} s, doubling up to 1 to {backoff.REFUSAL_LAST_MS // 60000} min",
        f"start again | {backoff.STABLE_MS // 1000} s",
        f"moved ahead by {clock._STEP_S // 86400} days",
    ],
)
def test_deadlines_are_those_of_the_code(words: str) -> None:
    assert words in re.sub(r"\s+", " ", TEXT)
