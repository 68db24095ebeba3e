"""`mqtt443 config`: creates a board's config.json, shows it, and describes it for editors.

Keys and ranges come from the board's code (`mqtt443.config_schema`), whose validator checks every value here, too.
"""

import json
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer
from mqtt443 import config_schema as board
from mqtt443 import errors
from mqtt443_authorizer.device import validate_client_id, validate_username
from mqtt443_authorizer.errors import DeviceError

from mqtt443_tools.config.json_schema import SECRET_KINDS, schema
from mqtt443_tools.support.command_line import new_app
from mqtt443_tools.support.config_file import load_config, read_config, update_config
from mqtt443_tools.support.console import Console
from mqtt443_tools.support.errors import UsageError
from mqtt443_tools.support.options import JsonOption
from mqtt443_tools.support.paths import ROOT
from mqtt443_tools.support.printable import printable
from mqtt443_tools.support.wifi import password_mistake

app = new_app(
    "config", "Create, change, show or describe a board's config.json.", "mqtt443 config init --out config.json"
)

FIELDS = {field[0]: field for field in board.FIELDS}
LEAST = {"endpoint": "host", "client_id": "id"}
"""The smallest valid config, to check one key at a time."""

QUESTIONS = (
    ("wifi.ssid", "Wi-Fi network (empty: none, Ethernet)"),
    ("wifi.password", "Its password (empty: an open network)"),
    ("endpoint", "Endpoint: `mqtt443 cloud status` shows it (localhost for `mqtt443 local`)"),
    ("port", "Port"),
    ("client_id", "Client id"),
    ("username", "User name (empty: `mqtt443 device add --out` sets it later)"),
    ("password", "Password (empty: set later)"),
    ("interval_s", "Seconds between readings"),
)

File = Annotated[Path, typer.Argument(help="The config.json.")]


@app.command(epilog="Example: mqtt443 config init --out config.json")
def init(
    *, out: Annotated[Path, typer.Option(help="The file; keys that it already has are kept.")] = Path("config.json")
) -> None:
    """Ask for what a board needs, and write it to a file that only its owner can read."""
    if not Console().is_attended:
        raise UsageError(
            f"config init asks questions, and there is no terminal: start with a copy of {ROOT / 'config.example.json'}"
        )
    update_config(out, ask(read_config(out)))
    typer.echo(f"wrote {out}; test it with `mqtt443 check --config {out}`")


@app.command("set", epilog="Example: mqtt443 config set updates=true --out config.json")
def set_keys(
    changes: Annotated[
        list[str], typer.Argument(metavar="KEY=VALUE", help="KEY=- asks for the value.", show_default=False)
    ],
    *,
    out: Annotated[Path, typer.Option(help="The file; its other keys are kept.")] = Path("config.json"),
) -> None:
    """Set keys of a config.json, each checked as a board checks it."""
    config = read_config(out)
    for text in changes:
        key, equals, value = text.partition("=")
        if not equals or key not in FIELDS:
            shown = key if equals else f"{text if text in FIELDS else 'an argument'}: expected KEY=VALUE"
            raise UsageError(f"{shown}: docs/config.md lists the keys")
        config |= _merged(config, key, _parsed(key, value))
    update_config(out, config)
    typer.echo(f"wrote {out}")


@app.command(epilog="Example: mqtt443 config show config.json")
def show(
    path: File = Path("config.json"),
    *,
    as_json: JsonOption = False,
) -> None:
    """Show how a board reads a config.json, with defaults and without secrets."""
    checked = load_config(path)
    values = {key: _hidden(key, getattr(checked, key.replace(".", "_"))) for key in FIELDS}
    if as_json:
        typer.echo(json.dumps(values))
        return
    given = _flat(read_config(path))
    width = max(map(len, values)) + 2
    for key, value in values.items():
        shown = printable(value) if isinstance(value, str) and value else json.dumps(value)
        typer.echo(f"{key:{width}}{shown}{'' if given.get(key) is not None else '  (default)'}")


@app.command("schema", epilog="Example: mqtt443 config schema > config.schema.json")
def print_schema() -> None:
    """Print a JSON Schema of config.json, for editors."""
    typer.echo(json.dumps(schema(), indent=2, ensure_ascii=False))


def ask(config: dict[str, object]) -> dict[str, object]:
    """Ask a person for what a board needs; returns the keys to set.

    Args:
        config: the existing keys, offered as defaults; secrets are not shown.
    """
    given = _flat(config)
    answers: dict[str, object] = {}
    for key, question in QUESTIONS:
        if key == "wifi.password" and not answers["wifi.ssid"]:
            continue
        answers[key] = _ask_one(key, question, given.get(key))
    wifi = {name: answers.pop(f"wifi.{name}", None) for name in ("ssid", "password")}
    return {**({"wifi": wifi} if wifi["ssid"] else {"wifi": None}), **answers}


def _parsed(key: str, text: str) -> object:
    """Return the value of a key from the command line, or asked for; raises UsageError for one that a board refuses."""
    kind = FIELDS[key][1]
    if kind in SECRET_KINDS:
        if text != "-":
            raise UsageError(f"{key}: other users can see a command line; write {key}=- and type the value")
        text = Console().ask(key, f"{key}: there is no terminal to ask at", hidden=True)
    value: object = text
    if kind in {"int", "bool"}:
        with suppress(ValueError):
            value = json.loads(text)
    try:
        board.validate({**LEAST, **_nested(key, value)})
        _check_elsewhere(key, text)
    except (errors.ConfigError, DeviceError) as error:
        raise UsageError(str(error.args[0])) from None
    return value


def _merged(config: dict[str, object], key: str, value: object) -> dict[str, object]:
    """Return what a value changes in a config: a key of wifi leaves the other one."""
    section, dot, name = key.partition(".")
    if not dot:
        return {key: value}
    wifi = config.get(section)
    return {section: {**(wifi if isinstance(wifi, dict) else {}), name: value}}


def _ask_one(key: str, question: str, given: object) -> object:
    """Ask until the board's validator accepts the answer; Enter keeps the existing value."""
    _, kind, default, *_ = FIELDS[key]
    secret = kind in SECRET_KINDS
    old = given if given is not None else ("" if default is None or default is board.REQUIRED else default)
    while True:
        answer = typer.prompt(
            f"{question}{' [unchanged]' if secret and given else ''}",
            default=old,
            show_default=not secret and old != "",
            hide_input=secret,
            type=str,
        )
        if answer == "" and default is None:
            return None
        value: object = int(answer) if kind == "int" and answer.isdecimal() else answer
        try:
            board.validate({**LEAST, **_nested(key, value)})
            _check_elsewhere(key, answer)
        except (errors.ConfigError, DeviceError) as error:
            Console().warn(str(error.args[0]))
        else:
            return value


def _check_elsewhere(key: str, answer: str) -> None:
    """Refuse what the board accepts, but its network or `device add` would refuse later. Raises DeviceError."""
    if key == "client_id":
        validate_client_id(answer)
    elif key == "username" and answer:
        validate_username(answer)
    elif key == "wifi.password" and (mistake := password_mistake(answer)):
        raise DeviceError(mistake)


def _nested(key: str, value: object) -> dict[str, Any]:
    if key == "wifi.password":
        return {"wifi": {"ssid": "name", "password": value}}
    return {"wifi": {"ssid": value}} if key == "wifi.ssid" else {key: value}


def _flat(config: dict[str, object]) -> dict[str, object]:
    wifi = config.get("wifi")
    inside = {f"wifi.{name}": value for name, value in wifi.items()} if isinstance(wifi, dict) else {}
    return {**config, **inside}


def _hidden(key: str, value: object) -> object:
    return "(hidden)" if value and FIELDS[key][1] in SECRET_KINDS else value
