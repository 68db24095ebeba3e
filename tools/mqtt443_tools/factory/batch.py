"""Many devices from a table: registers each, makes a bundle for each, and a sheet of labels.

Can be run again after a failure: a device that is registered and has its bundle is skipped.
"""

import csv
import io
import json
import shutil
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mqtt443_authorizer.device import (
    validate_client_id,
    validate_publish_topic,
    validate_subscribe_filter,
    validate_username,
)
from mqtt443_authorizer.errors import AuthorizerError
from mqtt443_authorizer.files import write_private

from mqtt443_tools.device import registration
from mqtt443_tools.device.backends import DeviceBackend
from mqtt443_tools.factory.labels import sheet
from mqtt443_tools.push import bundle
from mqtt443_tools.push.board_tree import CONFIG, own_files, program, read_settings
from mqtt443_tools.support.board_code import own_code
from mqtt443_tools.support.csv_table import wrong_separator
from mqtt443_tools.support.errors import CommandError, UsageError
from mqtt443_tools.support.read_file import read_file

COLUMNS = ("client_id", "username", "publish", "subscribe")
MAX_BYTES = 4 * 1024 * 1024
MAX_MISTAKES = 10
LABELS = "labels.html"
REGISTERED_AT_ONCE = 50  # one transaction of DynamoDB; after a failure, as many are removed


@dataclass(frozen=True)
class Row:
    """A row of the table; `publish` and `subscribe` are topics and filters beyond the template's."""

    client_id: str
    username: str
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


@dataclass(frozen=True)
class Recipe:
    """The settings that all devices share.

    Attributes:
        config: keys of config.json; each device adds its own.
        beside: folder of the CA file and of the user's own code.
        blocks: see bundle.py.
        source: the package as source.
    """

    config: Mapping[str, object]
    beside: Path
    blocks: int
    source: bool


def read_rows(path: Path) -> list[Row]:
    """Read the table: CSV with a header; topics in one cell are separated by spaces.

    Raises UsageError that names every line with a mistake, up to ten.
    """
    try:
        text = read_file(path, MAX_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8; save the table as CSV in UTF-8") from error
    except CommandError as error:
        raise UsageError(str(error)) from error
    table = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    rows: list[Row] = []
    mistakes: list[str] = []
    lines: dict[tuple[str, str], int] = {}
    try:
        _check_header(table.fieldnames or ())
        for cells in table:
            try:
                row = _row(cells)
            except (AuthorizerError, ValueError) as error:
                mistakes.append(f"line {table.line_num}: {error}")
                continue
            rows.append(row)
            for name, value in (("client_id", row.client_id), ("username", row.username)):
                first = lines.setdefault((name, value), table.line_num)
                if first != table.line_num:
                    mistakes.append(f"line {table.line_num}: the {name} {value} occurs twice, first in line {first}")
    except (csv.Error, ValueError) as error:
        mistakes.append(f"line {max(table.line_num, 1)}: {error}")
    if mistakes:
        more = f"; and {len(mistakes) - MAX_MISTAKES} more" if len(mistakes) > MAX_MISTAKES else ""
        raise UsageError(f"{path}: {'; '.join(mistakes[:MAX_MISTAKES])}{more}")
    return rows


def make(
    rows: Sequence[Row],
    backend: DeviceBackend,
    recipe: Recipe,
    folder: Path,
    *,
    now: float,
    progress: Callable[[int, int], None],
) -> tuple[list[Path], int]:
    """Register devices and write their bundles and the labels.

    Args:
        rows: the devices.
        backend: where they are registered.
        recipe: what they share.
        folder: for the bundles and labels.html.
        now: unix seconds.
        progress: takes how many devices are done, and how many there are.

    Returns:
        The bundles that were written, and how many already existed.

    Raises:
        CommandError: a device cannot be registered, or a bundle not written; the devices before it are done.
        AuthorizerError: the store fails.
    """
    waiting = _waiting(rows, backend, folder)
    written: list[Path] = []
    compiled = {**program(source=recipe.source), **own_code(recipe.beside)} if waiting else {}
    for start in range(0, len(waiting), REGISTERED_AT_ONCE):
        some = waiting[start : start + REGISTERED_AT_ONCE]
        with closing(_make_some(some, backend, recipe, compiled, folder=folder, now=now)) as paths:
            for path in paths:
                written.append(path)
                progress(len(written), len(waiting))
    try:
        write_private(folder / LABELS, sheet([row.client_id for row in rows]).encode())
    except OSError as error:
        raise CommandError(f"{folder / LABELS}: {error.strerror}") from error
    return written, len(rows) - len(waiting)


def _check_header(columns: Sequence[str]) -> None:
    """Refuse a header that does not name our columns. Raises ValueError."""
    if problem := wrong_separator(columns):
        raise ValueError(problem)
    if "" in columns:
        raise ValueError("a column without a name, or a comma too many; delete it in every line")
    if "client_id" not in columns or not set(columns) <= set(COLUMNS) or len(set(columns)) < len(columns):
        raise ValueError(
            f"the first line must name the columns: client_id and, optionally, {', '.join(COLUMNS[1:])}, each once"
        )


def _row(cells: Mapping[str | None, Any]) -> Row:
    """Return a row. Raises ValueError, DeviceError."""
    surplus = cells.get(None)  # where csv puts it
    if not any(cells.values()) or not any("".join(cell or "").strip() for cell in cells.values()):
        raise ValueError("the row is empty; delete it")
    if surplus and not any(surplus):
        raise ValueError("a comma too many at the end; delete it")
    if surplus:
        raise ValueError("more cells than columns; put a cell that has a comma in quotes")
    client_id = cells["client_id"].strip()
    topics = [tuple((cells.get(name) or "").split()) for name in ("publish", "subscribe")]
    row = Row(client_id, (cells.get("username") or "").strip() or client_id, *topics)
    validate_client_id(row.client_id)
    validate_username(row.username)
    for topic in row.publish:
        validate_publish_topic(topic)
    for topic_filter in row.subscribe:
        validate_subscribe_filter(topic_filter)
    return row


def _waiting(rows: Sequence[Row], backend: DeviceBackend, folder: Path) -> list[Row]:
    """Return the rows that are not done; checks all of them before the first is registered."""
    registered = {device.client_id for device in backend.store.all()}
    lost = [row.client_id for row in rows if row.client_id in registered and not _path(folder, row).exists()]
    if lost:
        raise CommandError(
            f"{lost[0]} is registered but has no bundle in {folder}, so its password is lost"
            f"{f', and {len(lost) - 1} more' if len(lost) > 1 else ''}: run `mqtt443 device remove {lost[0]}` first"
        )
    return [row for row in rows if row.client_id not in registered]


def _make_some(
    rows: Sequence[Row],
    backend: DeviceBackend,
    recipe: Recipe,
    compiled: Mapping[str, bytes],
    *,
    folder: Path,
    now: float,
) -> Generator[Path, None, None]:
    """Register devices together, then write the bundle of each; a device without a bundle is removed again."""
    wanted = [registration.NewDevice(row.client_id, row.username, None, row.publish, row.subscribe) for row in rows]
    added = registration.add_devices(backend.store, wanted, now=now, template=backend.template())
    unfinished = [row.client_id for row in rows]
    try:
        for row, one in zip(rows, added, strict=True):
            bundle.write(_path(folder, row), board_files(row, one.password, recipe, compiled), recipe.blocks)
            del unfinished[0]
            yield _path(folder, row)
    finally:
        for client_id in unfinished:  # after a failure or Ctrl-C their passwords are lost
            registration.remove(backend.store, client_id)


def register(row: Row, backend: DeviceBackend, now: float) -> str:
    """Register a device of the table; return its password. Raises AuthorizerError."""
    return registration.add_device(
        backend.store,
        row.client_id,
        username=row.username,
        publish=row.publish,
        subscribe=row.subscribe,
        now=now,
        template=backend.template(),
    ).password


def board_files(row: Row, password: str, recipe: Recipe, compiled: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return all files of a device's board.

    Args:
        row: the device.
        password: of the device.
        recipe: what all devices share.
        compiled: the program, see `board_tree.program`, and the user's own code.

    Raises:
        CommandError: the board would refuse its config.
    """
    with tempfile.TemporaryDirectory(prefix="mqtt443-bundle-") as scratch:
        keys = {"client_id": row.client_id, "username": row.username, "password": password}
        config = _lay_out(Path(scratch), {**recipe.config, **keys}, recipe.beside)
        settings = read_settings(config)
        return bundle.contents(settings, own_files(config, settings), compiled)


def _lay_out(scratch: Path, config: Mapping[str, object], beside: Path) -> Path:
    """Put a device's config and its CA file into an empty folder that only its owner can read."""
    path = scratch / CONFIG
    path.write_text(json.dumps(config, ensure_ascii=False))
    name = str(config.get("ca", "ca.der"))
    if (beside / name).is_file() and not Path(name).is_absolute() and ".." not in Path(name).parts:
        (scratch / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(beside / name, scratch / name)
    return path


def _path(folder: Path, row: Row) -> Path:
    return folder / f"{row.client_id}.bin"
