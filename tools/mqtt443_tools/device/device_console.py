"""The questions, output and exit codes of `mqtt443 device`."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import typer
from mqtt443_authorizer.errors import AlreadyRegistered, AuthorizerError, DeviceError, NotRegistered
from mqtt443_authorizer.secret import MAX_PASSWORD_BYTES

from mqtt443_tools.device.backends import DeviceBackend
from mqtt443_tools.device.registration import Added
from mqtt443_tools.support.config_text import BYTE_ORDER_MARK
from mqtt443_tools.support.console import is_terminal
from mqtt443_tools.support.errors import CommandError, UsageError


def read_password(given: str | None) -> str | None:
    """Return the chosen password, None if there is none; "-" reads it from the terminal or from standard input."""
    if given != "-":
        return given
    if sys.stdin is None:
        raise UsageError("standard input is closed, so there is no password to read")
    if is_terminal(sys.stdin):
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    try:
        line = sys.stdin.buffer.readline(
            MAX_PASSWORD_BYTES + len(BYTE_ORDER_MARK) + 2
        )  # regardless of the terminal's encoding
        return line.removeprefix(BYTE_ORDER_MARK).removesuffix(b"\n").removesuffix(b"\r").decode()
    except UnicodeDecodeError:
        raise UsageError("the password on standard input is not UTF-8") from None


def credentials(added: Added) -> dict[str, object]:
    """Return the keys of config.json for a device's login."""
    return {"client_id": added.device.client_id, "username": added.device.username, "password": added.password}


def show_secret(
    done: str,
    added: Added,
    out: Path | None,
    config: Mapping[str, object],
    *,
    is_chosen: bool,
    as_json: bool,
) -> None:
    """Print what was done; show a password or token only if it was generated and is written nowhere else."""
    shown = credentials(added)
    if is_chosen or out is not None:
        del shown["password"]
    if out is not None:
        shown["out"] = str(out)
    else:
        shown |= {key: value for key, value in config.items() if key.startswith("token")}
    old_ends_at = added.device.secrets[-1].expires_at
    if old_ends_at:
        shown["old_password_ends_at"] = old_ends_at
    if as_json:
        typer.echo(json.dumps(shown))
        return
    typer.echo(f"{done} {added.device.client_id}, user name {added.device.username}")
    if "password" in shown:
        typer.echo(f"password {added.password}  (shown only once: it is not stored)")
    for key in ("token", "token_key", "token_signature"):
        if key in shown:
            typer.echo(f"{key} {shown[key]}")
    if old_ends_at:
        typer.echo(f"the old password works until {minute(old_ends_at)}")
    if out is not None:
        typer.echo(f"wrote {out}")


@contextmanager
def undone_unless_delivered(undo: Callable[[], object], consequence: str, *, is_delivered: bool) -> Iterator[None]:
    """Undo a registration if the block cannot show the only copy of its password.

    Args:
        undo: takes the registration back.
        consequence: the state afterwards, for the message.
        is_delivered: a file holds the password already; then nothing is undone.

    Raises:
        CommandError: standard output cannot be written; the block's other errors are raised as they are.
    """
    if is_delivered:
        yield
        return
    if sys.stdout is None:  # closed by the program that started this one; print would do nothing
        with reported():
            undo()
        raise CommandError(f"standard output is closed; {consequence}")
    try:
        yield
    except (OSError, UnicodeError) as error:
        with reported():
            undo()
        reason = getattr(error, "strerror", None) or "it cannot show these characters"
        raise CommandError(f"standard output cannot be written: {reason}; {consequence}") from error
    except BaseException:  # Ctrl-C too
        with reported():
            undo()
        raise


def minute(unix_s: int) -> str:
    """Return a readable time in UTC."""
    return f"{datetime.fromtimestamp(unix_s, UTC):%Y-%m-%d %H:%M} UTC"


def disconnect(backend: DeviceBackend, client_id: str, done: str, *, as_json: bool) -> None:
    """Close the device's live connection, and print what was done."""
    try:
        was_connected = backend.disconnect(client_id)
    except CommandError as error:
        raise CommandError(
            f"{client_id} {done}, but its connection may still be up: {error}; {backend.if_still_connected}"
        ) from error
    if as_json:
        typer.echo(json.dumps({"client_id": client_id, "disconnected": was_connected}))
    else:
        typer.echo(f"{client_id} {done}{'; its connection was closed' if was_connected else ''}")


@contextmanager
def reported() -> Iterator[None]:
    """Turn the library's errors into a command's: a bad value is wrong use, anything else is a failure."""
    try:
        yield
    except DeviceError as error:
        raise UsageError(str(error)) from error
    except NotRegistered as error:
        raise CommandError(f"{error}: see `mqtt443 device list`") from error
    except AlreadyRegistered as error:
        raise CommandError(f"{error}: choose another, or see `mqtt443 device rotate`") from error
    except AuthorizerError as error:
        raise CommandError(str(error)) from error
