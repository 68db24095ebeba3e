"""The boards that an update is for, and the files that it sends them."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from mqtt443 import __version__
from mqtt443_authorizer.store import CredentialStore

from mqtt443_tools.support.board_code import own_code
from mqtt443_tools.support.compile_mpy import compile_package
from mqtt443_tools.support.csv_table import wrong_separator
from mqtt443_tools.support.errors import CommandError, UsageError
from mqtt443_tools.support.paths import FIRMWARE
from mqtt443_tools.support.read_file import read_file
from mqtt443_tools.update.file_bundle import build_bundle, path_problem
from mqtt443_tools.update.job_documents import Update

MAX_GROUP_BYTES = 4 * 1024 * 1024
MAX_FILE_BYTES = 512 * 1024
PACKAGE_FOLDER = "lib/mqtt443/"


def choose_devices(store: CredentialStore, names: Sequence[str], *, all_devices: bool, group: Path | None) -> list[str]:
    """Return the client ids of the boards to update, sorted.

    Args:
        store: of the registered devices.
        names: client ids, as given.
        all_devices: all registered devices that are enabled.
        group: a table whose first column has client ids, such as the devices.csv of a factory.

    Raises:
        UsageError: none or several of the three are given.
        CommandError: a device is not registered, or the table cannot be read.
    """
    if sum((bool(names), all_devices, group is not None)) != 1:
        raise UsageError("name devices, or add --all, or --group FILE")
    if all_devices:
        found = sorted(device.client_id for device in store.all() if device.enabled)
        if not found:
            raise CommandError("no devices are registered; add one with `mqtt443 device add`")
        return found
    wanted = list(names) if group is None else _read_group(group)
    missing = [name for name in dict.fromkeys(wanted) if store.by_client_id(name) is None]
    if missing:
        where = "" if group is None else f"{group}: "
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise CommandError(f"{where}{missing[0]}{more}: not registered; see `mqtt443 device list`")
    return sorted(set(wanted))


def sensors_update(beside: Path) -> Update:
    """Return the update with the user's own code, which is beside config.json, see `own_code`.

    Raises:
        CommandError: there is no code, it does not compile, or a job must not write one of its files.
    """
    files = own_code(beside)
    if not files:
        raise CommandError(f"there is no sensors.py and no folder board/ in {beside}: name another --folder")
    for path in sorted(files):
        if problem := path_problem(path):
            raise CommandError(f"{beside}: {problem}")
    return Update("files", {}, f"files: {', '.join(sorted(files))}", build_bundle(files))


def files_update(texts: Sequence[str], delete: Sequence[str]) -> Update:
    """Return an update of single files.

    Args:
        texts: `FILE`, or `FILE:PATH` with the path on the board, which defaults to the file's name.
        delete: paths on the board.

    Raises:
        UsageError: a job must not write or delete that path, or two options name the same path.
        CommandError: a file cannot be read.
    """
    sources: dict[str, Path] = {}
    for text in texts:
        drive, rest = os.path.splitdrive(text)  # of Windows, with a colon of its own
        name, _, path = rest.partition(":")
        if not name:
            raise UsageError(f"--file {text}: name a file, or a file and its path on the board, as in x.py:lib/x.py")
        path = path or Path(name).name
        if path in sources:
            raise UsageError(f"--file {text}: {path} is sent twice")
        sources[path] = Path(drive + name)
    for path in (*sources, *delete):
        if problem := path_problem(path):
            raise UsageError(problem)
    if both := sorted(set(sources) & set(delete)):
        raise UsageError(f"{both[0]} is both sent and deleted")
    files = {path: read_file(source, MAX_FILE_BYTES) for path, source in sources.items()}
    named = [*sorted(files), *(f"{path} (deleted)" for path in sorted(set(delete)))]
    return Update("files", {}, f"files: {', '.join(named)}", build_bundle(files, delete))


def package_update() -> Update:
    """Return the update to this program's package, compiled. Raises CommandError."""
    with TemporaryDirectory(prefix="mqtt443-update-") as folder:
        compile_package(FIRMWARE, Path(folder))
        files = {PACKAGE_FOLDER + path.name: path.read_bytes() for path in Path(folder).iterdir()}
    return Update("package", {"version": __version__}, f"package {__version__}", build_bundle(files))


def _read_group(path: Path) -> list[str]:
    try:
        text = read_file(path, MAX_GROUP_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CommandError(f"{path}: not UTF-8; save the file as UTF-8") from error
    table = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        rows = [row for row in table if row and row[0].strip()]
    except csv.Error as error:
        raise CommandError(f"{path}: line {max(table.line_num, 1)}: {error}") from error
    if rows and (problem := wrong_separator(rows[0])):
        raise CommandError(f"{path}: {problem}")
    names = [row[0].strip() for row in rows]
    found = names[1:] if names[:1] == ["client_id"] else names
    if not found:
        raise CommandError(f"{path}: no client ids in its first column")
    return found
