"""Which bytes the host accepts as a config.json, and what it says about the others."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mqtt443_tools.cli import app
from mqtt443_tools.support.config_file import load_config, read_config
from mqtt443_tools.support.config_text import ConfigTextError, parse_config
from mqtt443_tools.support.errors import CommandError
from typer.testing import CliRunner

from tests.support.config_bytes import ACCEPTED, OBJECT, REFUSED


@pytest.mark.parametrize("name", ACCEPTED)
def test_valid_bytes_are_accepted_by_every_reader(tmp_path: Path, name: str) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(ACCEPTED[name])
    assert load_config(path).endpoint == "a.example"
    assert read_config(path)["endpoint"] == "a.example"


@pytest.mark.parametrize("name", REFUSED)
def test_other_bytes_are_refused_by_every_reader(tmp_path: Path, name: str) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(REFUSED[name])
    for reader in (load_config, read_config):
        with pytest.raises(CommandError) as refusal:
            reader(path)
        assert str(refusal.value).startswith(f"{path}: ")
        assert "\n" not in str(refusal.value)


@given(st.binary(max_size=60) | st.text(max_size=40).map(lambda text: OBJECT % json.dumps(text)[1:-1].encode()))
def test_any_bytes_are_an_object_or_one_line(content: bytes) -> None:
    try:
        config = parse_config(content)
    except ConfigTextError as error:
        assert "\n" not in str(error)
    else:
        json.dumps(config, ensure_ascii=False).encode()  # no half characters anywhere in it


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (REFUSED["UTF-16, little end first"], "the text is UTF-16, not UTF-8; save it as UTF-8"),
        (b'{"endpoint": "a",\n"client_id": "\xb0"}', "byte 0xb0 at line 2 is not UTF-8 (perhaps Latin-1); save the"),
        (b'\n{"client_id": "\\ud800"}', "\\ud800 at line 2 is half a character; write the character itself"),
        (b'{\n"client_id": "b1"\n"endpoint": "a"}', "not valid JSON at line 3; check commas, quotes, brackets"),
        (b'{"port": NaN}', "not valid JSON: NaN is not a number in JSON"),
        (
            OBJECT[:-1] % b"b1" + b', "wifi_ssid": "home"}',
            "unknown key 'wifi_ssid'; write \"wifi\": {",
        ),
        (
            OBJECT[:-1] % b"b1" + b', "wifi": {"ssid": "home", "pass": "x"}}',
            """unknown key 'pass' in wifi; did you mean password? Write "wifi": {"ssid": "NAME", """,
        ),
        (
            OBJECT[:-1] % b"b1" + b', "wifi": {"name": "home"}}',
            """unknown key 'name' in wifi; did you mean ssid? Write "wifi": {"ssid": "NAME", """,
        ),
    ],
)
def test_refusal_names_the_line_and_the_cause(tmp_path: Path, content: bytes, line: str) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(CommandError) as refusal:
        load_config(path)
    assert str(refusal.value).startswith(f"{path}: {line}")


def test_file_without_an_end_is_read_up_to_a_bound() -> None:
    result = CliRunner().invoke(app, ["config", "show", "/dev/zero"])
    assert isinstance(result.exception, CommandError)
    assert str(result.exception) == "/dev/zero: larger than 65,536 bytes, the most that is accepted here"
