"""The JSON Schema and the board's validator agree on every config.json."""

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from mqtt443 import config_schema, errors
from mqtt443_tools.cli import app
from mqtt443_tools.config.json_schema import SECRET_KINDS, schema
from mqtt443_tools.support.paths import ROOT
from typer.testing import CliRunner

SCHEMA = schema()
KINDS = {field[0]: field for field in config_schema.FIELDS}
ASCII = st.characters(min_codepoint=0, max_codepoint=126)


def board_takes(values: Any) -> bool:
    try:
        config_schema.validate(values)
    except errors.ConfigError:
        return False
    return True


def schema_takes(values: Any) -> bool:
    return jsonschema.Draft202012Validator(SCHEMA).is_valid(values) is True


def texts(high: int) -> st.SearchStrategy[str]:
    near_the_end = st.integers(max(high - 1, 0), high + 1).map("a".__mul__)
    return st.text(ASCII, max_size=12) | st.text("ab/+#$?{}&= .-_", max_size=14) | near_the_end


def values_of(field: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    key, kind, _, low, high = field
    if kind == "int":
        return st.sampled_from([low - 1, low, high, high + 1]) | st.integers() | st.booleans()
    if kind == "choice":
        return st.sampled_from([*low, "other", 1])
    if key in {"topic", "will_topic"}:
        slashes = st.integers(0, 12).map("/".__mul__)
        made = st.tuples(st.sampled_from(["", "$aws/rules/", "$aws/", "{client_id}", "a"]), slashes, texts(high))
        return made.map("".join)
    return texts(high if isinstance(high, int) else 8)


anything = st.none() | st.booleans() | st.integers() | st.text(ASCII, max_size=4) | st.lists(st.integers(), max_size=1)
keys = {field[0]: values_of(field) | anything for field in config_schema.FIELDS if not field[0].startswith("wifi.")}
wifi = st.fixed_dictionaries({}, optional={name: texts(32) | anything for name in ("ssid", "password", "other")})
configs = st.fixed_dictionaries(
    {"endpoint": st.just("localhost") | keys["endpoint"]},
    optional={
        **{key: keys[key] for key in keys if key not in {"endpoint", "client_id"}},
        "wifi": wifi | anything,
        "surprise": anything,
        "wifi.ssid": anything,
    },
)


@given(configs, st.sampled_from(["b1", "sensor 1"]))
def test_schema_and_board_agree(values: dict[str, Any], client_id: str) -> None:
    # A schema cannot say what a client id does to a topic that contains it.
    values["client_id"] = client_id
    assert schema_takes(values) == board_takes(values)


@settings(max_examples=400)
@given(st.sampled_from(sorted(set(keys) - {"client_id"})).flatmap(lambda key: st.tuples(st.just(key), keys[key])))
def test_schema_and_board_agree_on_each_key(item: Any) -> None:
    values = {"endpoint": "localhost", "client_id": "b1", **dict([item])}
    assert schema_takes(values) == board_takes(values)


@given(st.fixed_dictionaries({"endpoint": st.just("a"), "client_id": keys["client_id"] | st.text(max_size=140)}))
def test_schema_and_board_agree_on_client_ids(values: Any) -> None:
    assume(not isinstance(values["client_id"], str) or values["client_id"].isascii())
    assume(not str(values["client_id"]).startswith("$") and not set(str(values["client_id"])) & set("+#{}/"))
    assert schema_takes(values) == board_takes(values)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=140))
def test_schema_accepts_what_the_board_accepts(text: str) -> None:
    values = {"endpoint": "localhost", "client_id": text, "will_message": text, "topic": text}
    assert schema_takes(values) or not board_takes(values)


@pytest.mark.parametrize("start", ["", "a", "$aws/rules/", "$aws/rules/x", "$aws/things/", "$", "{client_id}", "{c}"])
def test_schema_and_board_agree_on_slashes(start: str) -> None:
    for count in range(13):
        values = {"endpoint": "a", "client_id": "b1", "topic": start + "/" * count + "z"}
        assert schema_takes(values) == board_takes(values), values


def test_missing_keys_and_lone_tokens_are_refused_by_both() -> None:
    token = {"token": "t", "token_key": "k", "token_signature": "AA=="}
    least = {"endpoint": "a", "client_id": "b"}
    lacking: tuple[Any, ...] = (
        {},
        {"endpoint": "a"},
        {**least, "token": "t"},
        {**least, "token": "t", "token_key": "k"},
        [],
    )
    for values in lacking:
        assert not schema_takes(values), values
        assert not board_takes(values), values
    for complete in ({**least, **token}, {**least, **dict.fromkeys(token)}, {**least, "wifi": None}):
        assert schema_takes(complete), complete
        assert board_takes(complete), complete


def test_example_fits() -> None:
    assert schema_takes(json.loads((ROOT / "config.example.json").read_text()))


def test_printed_schema_is_complete_and_valid() -> None:
    printed = json.loads(CliRunner().invoke(app, ["config", "schema"]).output)
    jsonschema.Draft202012Validator.check_schema(printed)
    assert printed == SCHEMA
    described = {**printed["properties"], **printed["properties"]["wifi"]["properties"]}
    assert all(value["description"] for value in described.values())


def test_schema_and_board_agree_on_secrets() -> None:
    assert {key for key, field in KINDS.items() if field[1] in SECRET_KINDS} == {
        "wifi.password", "password", "token", "token_signature",
    }  # fmt: skip
