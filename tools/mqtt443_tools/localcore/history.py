"""The last messages and events of a local endpoint in one SQLite file, bounded in size and age.

Only the endpoint writes it, whether or not a console is open; the console and `mqtt443 export` read it.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mqtt443_authorizer.database import open_database, transaction
from mqtt443_authorizer.errors import StoreError

from mqtt443_tools.support.errors import CommandError

HISTORY_FILE = "history.sqlite"
MAX_BYTES = 100 * 1024 * 1024
MAX_AGE_S = 7 * 86_400
ADDS_BETWEEN_PRUNES = 20
MAX_ID = 2**63 - 1
Row = tuple[float, str | None, str, int, int, bytes]
"""A message: received_at, client_id, topic, qos, retain, payload."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY, received_at REAL NOT NULL, client_id TEXT, topic TEXT NOT NULL,
    qos INTEGER NOT NULL, retain INTEGER NOT NULL, payload BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS messages_of_client ON messages (client_id, id);
CREATE TABLE IF NOT EXISTS events (id INTEGER PRIMARY KEY, time REAL NOT NULL, event TEXT NOT NULL);
"""
_COLUMNS = "received_at, client_id, topic, qos, retain, payload"


class History:
    """Messages and events on disk.

    Args:
        path: the database; its folder exists.
        max_bytes: the oldest entries are deleted when all take more than this.
        max_age_s: entries are deleted after this many seconds.
        now: Unix seconds.

    Raises:
        CommandError: the file cannot be used.
    """

    def __init__(
        self,
        path: Path,
        *,
        max_bytes: int = MAX_BYTES,
        max_age_s: float = MAX_AGE_S,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        self._now = now
        self._adds = 0
        self._lock = threading.Lock()
        try:
            self._db = open_database(path, [_create])
            self._db.execute("PRAGMA synchronous=NORMAL")  # a power failure may lose the last second, but not the file
        except StoreError as error:
            raise CommandError(str(error)) from None
        except OSError as error:
            raise CommandError(f"{path}: {error.strerror}") from None
        except sqlite3.Error as error:
            raise self._unusable(error) from None

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def add(self, messages: Sequence[Row], events: Sequence[dict[str, Any]]) -> None:
        """Store messages and events, and delete the oldest beyond the bounds. Raises sqlite3.Error."""
        insert = f"INSERT INTO messages ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)"  # noqa: S608 - constants
        texts = [(each["time"], json.dumps(each)) for each in events]
        with self._lock, transaction(self._db):
            self._db.executemany(insert, messages)
            self._db.executemany("INSERT INTO events (time, event) VALUES (?, ?)", texts)
            self._adds += 1
            if self._adds % ADDS_BETWEEN_PRUNES == 0:
                self._prune()

    def messages(self, *, client_id: str | None = None, limit: int = 1000) -> list[dict[str, Any]]:
        """Return the last messages, of one client or of all, oldest first. Raises CommandError."""
        where, values = ("WHERE client_id = ?", [client_id]) if client_id is not None else ("", [])
        query = f"SELECT {_COLUMNS} FROM messages {where} ORDER BY id DESC LIMIT ?"  # noqa: S608 - constants
        with self._reading():
            rows = self._db.execute(query, [*values, limit]).fetchall()
        return [_message(row) for row in reversed(rows)]

    def last_of_each_client(self) -> list[dict[str, Any]]:
        """Return the last message of each client. Raises CommandError."""
        query = f"SELECT {_COLUMNS} FROM messages WHERE id IN (SELECT MAX(id) FROM messages GROUP BY client_id)"  # noqa: S608
        with self._reading():
            return [_message(row) for row in self._db.execute(query)]

    def events(self, limit: int = 500) -> list[dict[str, Any]]:
        """Return the last events, oldest first. Raises CommandError."""
        with self._reading():
            rows = self._db.execute("SELECT event FROM events ORDER BY id DESC LIMIT ?", [limit]).fetchall()
        return [json.loads(row[0]) for row in reversed(rows)]

    def export(self, kind: str, since: float) -> Iterator[dict[str, Any]]:
        """Yield all messages or events since a time, oldest first.

        Args:
            kind: "messages" or "events".
            since: Unix seconds.

        Raises:
            CommandError: the file cannot be read.
        """
        with self._reading():
            if kind == "events":
                for (event,) in self._db.execute("SELECT event FROM events WHERE time >= ? ORDER BY id", [since]):
                    yield json.loads(event)
                return
            query = f"SELECT {_COLUMNS} FROM messages WHERE received_at >= ? ORDER BY id"  # noqa: S608 - constants
            for row in self._db.execute(query, [since]):
                yield _message(row)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            with self._lock:
                yield
        except sqlite3.Error as error:
            raise self._unusable(error) from None

    def _unusable(self, error: sqlite3.Error) -> CommandError:
        is_broken = isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)
        advice = ": delete the file; it holds only the history" if is_broken else ""
        return CommandError(f"{self._path}: {error}{advice}")

    def _prune(self) -> None:
        """Delete the oldest entries beyond the bounds; the cost is that of the entries it deletes.

        Expired ones go up to the first that is not, in the order in which they came. So entries from a clock that was
        wrong wait for those before them, and take none with them.
        """
        oldest = self._now() - self._max_age_s
        for table, time_of in (("messages", "received_at"), ("events", "time")):
            first_kept = f"SELECT id FROM {table} WHERE {time_of} >= ? ORDER BY id LIMIT 1"  # noqa: S608 - constants
            self._db.execute(
                f"DELETE FROM {table} WHERE id < COALESCE(({first_kept}), {MAX_ID})",  # noqa: S608 - constants
                [oldest],
            )
        while self._used_bytes() > self._max_bytes:
            deleted = 0
            for table in ("messages", "events"):
                tenth = f"SELECT MIN(id) + (MAX(id) - MIN(id)) / 10 FROM {table}"  # noqa: S608 - constants
                deleted += self._db.execute(f"DELETE FROM {table} WHERE id <= ({tenth})").rowcount  # noqa: S608
            if not deleted:
                return

    def _used_bytes(self) -> int:
        """Return the bytes of the pages in use; the file itself never shrinks, but reuses its free pages."""
        pages, free, size = (
            self._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)


def _create(connection: sqlite3.Connection) -> None:
    for statement in _SCHEMA.split(";"):  # not executescript, which would end the transaction
        connection.execute(statement)


def _message(row: Sequence[Any]) -> dict[str, Any]:
    received_at, client_id, topic, qos, retain, payload = row
    return {
        "topic": topic,
        "payload": b64encode(payload).decode(),
        "qos": qos,
        "retain": bool(retain),
        "client_id": client_id,
        "received_at": received_at,
    }
