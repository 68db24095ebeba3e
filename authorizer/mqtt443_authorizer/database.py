"""An SQLite file that only its owner can access, and whose schema is brought up to date when it is opened.

It knows nothing about what is in the file: its users pass the steps of their schema (sqlitestore.py, for one).
"""

import os
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mqtt443_authorizer.errors import StoreError
from mqtt443_authorizer.files import make_private_folder

BUSY_TIMEOUT_S = 5.0
WAL_PAUSE_S = 0.01

Migration = Callable[[sqlite3.Connection], None]


def open_database(
    path: Path, migrations: Sequence[Migration], *, busy_timeout_s: float = BUSY_TIMEOUT_S
) -> sqlite3.Connection:
    """Open a database, and create it with mode 0600 if it is missing.

    SQLite gives the files `PATH-wal` and `PATH-shm` the mode of the database. In WAL mode readers never wait for a
    writer, and with `synchronous=FULL` a commit is on the disk when it returns.

    Args:
        path: of the database; a missing folder is made by `make_private_folder`.
        migrations: the steps of the schema, the oldest first; `PRAGMA user_version` counts those that were applied.
            Each missing one runs in the one transaction that also counts it.
        busy_timeout_s: how long a change waits for the change of another process, in seconds.

    Returns:
        A connection without implicit transactions; see `transaction`. Any thread may use it, one at a time.

    Raises:
        StoreError: others can access the file, or a newer mqtt443 wrote it.
        OSError: the file cannot be created.
        sqlite3.Error: the file is not a database, or cannot be changed.
    """
    make_private_folder(path.parent)
    # Closing any descriptor of a database drops the locks that this process has on it (sqlite.org, "How To Corrupt An
    # SQLite Database File", 2.2), so an existing one is not opened here.
    if not (path.is_file() and os.access(path, os.R_OK | os.W_OK)):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600))
    if os.name == "posix" and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise StoreError(f"{path}: other users can access it: chmod 600 {path}")
    connection = sqlite3.connect(path, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False)
    try:
        _migrate(connection, path, migrations, busy_timeout_s)
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Make all changes of the block or, if it raises, none; other processes wait to change the file until it ends."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _migrate(
    connection: sqlite3.Connection, path: Path, migrations: Sequence[Migration], busy_timeout_s: float
) -> None:
    version = _version(connection)
    if version < len(migrations):
        _use_wal(connection, busy_timeout_s)
        with transaction(connection):
            version = _version(connection)  # another process may have been faster
            for number, migrate in enumerate(migrations[version:], version + 1):
                migrate(connection)
                connection.execute(f"PRAGMA user_version={number:d}")
    if version > len(migrations):
        raise StoreError(f"{path}: written by a newer mqtt443 (schema {version}): update mqtt443")
    connection.execute("PRAGMA synchronous=FULL")


def _use_wal(connection: sqlite3.Connection, timeout_s: float) -> None:
    """Switch to WAL mode; SQLite does not apply its busy timeout here when two processes create the file at once."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
        else:
            return
        time.sleep(WAL_PAUSE_S)


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)
