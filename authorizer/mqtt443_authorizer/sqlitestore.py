"""A credential store in an SQLite file, for the local endpoint and for the commands that work with it.

A login reads one row by an index; a change is one transaction. Earlier versions kept the devices in `devices.json`:
the first access to a new database imports it, and the file stays beside the database as `devices.json.imported`.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from mqtt443_authorizer.database import BUSY_TIMEOUT_S, open_database, transaction
from mqtt443_authorizer.device import Device, from_json, to_json
from mqtt443_authorizer.errors import AlreadyRegistered, AuthorizerError, Conflict, NotRegistered, StoreError
from mqtt443_authorizer.memorystore import MemoryStore

OLD_FILE = "devices.json"
IMPORTED_FILE = "devices.json.imported"
MAX_OLD_FILE_BYTES = 64 * 1024 * 1024

_CREATE = """
CREATE TABLE devices (
    client_id TEXT NOT NULL PRIMARY KEY,
    username TEXT NOT NULL UNIQUE,
    version INTEGER NOT NULL,
    device TEXT NOT NULL
) WITHOUT ROWID
"""
_INSERT = "INSERT INTO devices (client_id, username, version, device) VALUES (?, ?, ?, ?)"
_BUSY = {"SQLITE_BUSY", "SQLITE_BUSY_RECOVERY", "SQLITE_BUSY_SNAPSHOT", "SQLITE_LOCKED"}
_BROKEN = {"SQLITE_NOTADB", "SQLITE_CORRUPT"}


class SqliteStore:
    """A CredentialStore in a file of mode 0600; store.py documents the methods.

    A missing file holds no devices. Threads may share a store.

    Args:
        path: of the database.
        busy_timeout_s: how long a change waits for the change of another process, in seconds.
    """

    def __init__(self, path: Path, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        self._path = path
        self._busy_timeout_s = busy_timeout_s
        self._lock = Lock()
        self._connection: sqlite3.Connection | None = None
        self._opened: tuple[int, int, int] | None = None

    def by_username(self, username: str) -> Device | None:
        """Return the device with a user name, or None."""
        return self._find("SELECT device FROM devices WHERE username = ?", username)

    def by_client_id(self, client_id: str) -> Device | None:
        """Return the device with a client id, or None."""
        return self._find("SELECT device FROM devices WHERE client_id = ?", client_id)

    def all(self) -> list[Device]:
        """Return all devices, sorted by client id."""
        with self._connected() as connection:
            if connection is None:
                return []
            rows = connection.execute("SELECT device FROM devices ORDER BY client_id").fetchall()
        return [self._device(text) for (text,) in rows]

    def add(self, device: Device) -> None:
        """Store a new device."""
        self.add_many([device])

    def add_many(self, devices: Sequence[Device]) -> None:
        """Store new devices in one transaction."""
        with self._changing() as connection:
            for device in devices:
                _insert(connection, device)

    def replace(self, device: Device) -> Device:
        """Replace a device."""
        changed = device._replace(version=device.version + 1)
        with self._changing() as connection:
            done = connection.execute(
                "UPDATE devices SET version = ?, device = ? WHERE client_id = ? AND username = ? AND version = ?",
                (changed.version, _text(changed), device.client_id, device.username, device.version),
            )
            if done.rowcount == 0:
                found = connection.execute("SELECT 1 FROM devices WHERE client_id = ?", (device.client_id,))
                if found.fetchone() is None:
                    raise _not_registered(device.client_id)
                raise Conflict(f"{device.client_id} was changed by another command: run the command again")
        return changed

    def remove(self, client_id: str) -> None:
        """Remove a device."""
        if not _is_utf8(client_id):
            raise _not_registered(client_id)
        with self._changing() as connection:
            if connection.execute("DELETE FROM devices WHERE client_id = ?", (client_id,)).rowcount == 0:
                raise _not_registered(client_id)

    def close(self) -> None:
        """Close the file; the next access opens it again."""
        with self._lock:
            self._close()

    def __del__(self) -> None:
        self._close()

    def _find(self, query: str, name: str) -> Device | None:
        if not _is_utf8(name):
            return None
        with self._connected() as connection:
            row = None if connection is None else connection.execute(query, (name,)).fetchone()
        return None if row is None else self._device(row[0])

    def _device(self, text: object) -> Device:
        try:
            return from_json(json.loads(str(text)))
        except (ValueError, RecursionError, AuthorizerError) as error:
            raise self._broken(self._path, error) from error

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        with self._connected(create=True) as connection:
            assert connection is not None  # noqa: S101 - create=True
            with transaction(connection):
                yield connection

    @contextmanager
    def _connected(self, *, create: bool = False) -> Iterator[sqlite3.Connection | None]:
        """Yield the open database, None if it does not exist and need not be created; translate errors."""
        with self._lock:
            try:
                yield self._open(create)
            except sqlite3.Error as error:
                code = getattr(error, "sqlite_errorname", "")
                if code in _BUSY:
                    raise StoreError(
                        f"{self._path}: another command is changing it: try again when that has ended"
                    ) from error
                if code in _BROKEN:
                    raise self._broken(self._path, error) from error
                raise StoreError(f"{self._path}: {error}") from error
            except OSError as error:
                raise StoreError(f"{self._path}: {error.strerror or type(error).__name__}") from error

    def _open(self, create: bool) -> sqlite3.Connection | None:
        state = self._state()
        if self._connection is None or state != self._opened:  # somebody removed or restored the file
            self._close()
            if state is None and not create and not self._path.with_name(OLD_FILE).exists():
                return None
            self._connection = open_database(self._path, [self._create], busy_timeout_s=self._busy_timeout_s)
            self._opened = self._state()
            self._set_old_file_aside()
        return self._connection

    def _state(self) -> tuple[int, int, int] | None:
        try:
            state = self._path.stat()
        except FileNotFoundError:
            return None
        return state.st_dev, state.st_ino, state.st_mode

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = self._opened = None

    def _create(self, connection: sqlite3.Connection) -> None:
        """Create the table and fill it from the file of an earlier version."""
        connection.execute(_CREATE)
        old = self._path.with_name(OLD_FILE)
        try:
            with old.open("rb") as file:
                content = file.read(MAX_OLD_FILE_BYTES + 1)
        except FileNotFoundError:
            return
        try:
            if len(content) > MAX_OLD_FILE_BYTES:
                raise StoreError(f"larger than {MAX_OLD_FILE_BYTES} bytes")
            document = json.loads(content)
            if not isinstance(document, dict) or document.get("format") != 1:
                raise StoreError("not a list of devices in format 1")
            devices = document.get("devices")
            for device in MemoryStore(map(from_json, devices if isinstance(devices, list) else [devices])).all():
                _insert(connection, device)
        except (ValueError, RecursionError, AuthorizerError) as error:
            raise self._broken(old, error) from error

    def _set_old_file_aside(self) -> None:
        """Rename an imported file, so that it is not used again; after the commit, so that a crash loses nothing."""
        old = self._path.with_name(OLD_FILE)
        imported = self._path.with_name(IMPORTED_FILE)
        if old.exists() and not imported.exists():
            old.rename(imported)

    def _broken(self, path: Path, error: Exception) -> StoreError:
        return StoreError(f"{path}: broken: {error}: restore it, or move it away and register the devices again")


def _insert(connection: sqlite3.Connection, device: Device) -> None:
    try:
        connection.execute(_INSERT, (device.client_id, device.username, device.version, _text(device)))
    except sqlite3.IntegrityError as error:
        taken = f"user name {device.username}" if "username" in str(error) else f"client id {device.client_id}"
        raise AlreadyRegistered(f"the {taken} is already registered") from error


def _is_utf8(name: str) -> bool:
    """Return whether a device can have this name; SQLite refuses the others."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _text(device: Device) -> str:
    return json.dumps(to_json(device), separators=(",", ":"))


def _not_registered(client_id: str) -> NotRegistered:
    return NotRegistered(f"no device with the client id {client_id} is registered")
