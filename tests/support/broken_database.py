"""An SQLite file that opens, but whose contents cannot be read."""

import sqlite3
from contextlib import closing
from pathlib import Path


def break_pages(path: Path) -> None:
    """Overwrite all pages of a database but the first, which holds the schema; the file may be open elsewhere."""
    with closing(sqlite3.connect(path)) as database:
        busy, _, _ = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        assert not busy
        (page_bytes,) = database.execute("PRAGMA page_size").fetchone()
    size = path.stat().st_size
    assert size > page_bytes
    with path.open("r+b") as file:
        file.seek(page_bytes)
        file.write(b"\xff" * (size - page_bytes))
