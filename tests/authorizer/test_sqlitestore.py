"""The database of devices: private, read by row, and strict about files that it cannot use."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from mqtt443_authorizer.database import open_database
from mqtt443_authorizer.errors import StoreError
from mqtt443_authorizer.files import write_private
from mqtt443_authorizer.sqlitestore import SqliteStore

from tests.support.aws.logins import device

FILES = ["devices.sqlite", "devices.sqlite-shm", "devices.sqlite-wal"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "devices.sqlite"


@pytest.fixture
def loose_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> str:
    return oct(path.stat().st_mode & 0o777)


def test_all_files_and_the_folder_are_private(path: Path, loose_umask: None) -> None:
    store = SqliteStore(path)
    store.add(device())
    modes = {each.name: mode(each) for each in path.parent.iterdir() if each.name in FILES}
    assert modes == dict.fromkeys(FILES, "0o600")
    assert mode(path.parent) == "0o700"


def test_reading_creates_no_file(path: Path) -> None:
    assert SqliteStore(path).all() == []
    assert not path.parent.exists()


def test_closed_store_leaves_one_file_and_opens_again(path: Path) -> None:
    store = SqliteStore(path)
    store.add(device())
    store.close()
    assert sorted(each.name for each in path.parent.iterdir()) == [".gitignore", "devices.sqlite"]
    assert store.all() == [device()]


def test_change_is_visible_to_another_store(path: Path) -> None:
    writer, reader = SqliteStore(path), SqliteStore(path)
    assert reader.all() == []
    writer.add(device())
    assert reader.by_username("dev1") == device()
    writer.replace(device(enabled=False))
    assert reader.all() == [device(enabled=False, version=2)]


def test_removed_file_is_noticed(path: Path) -> None:
    store = SqliteStore(path)
    store.add(device())
    for each in path.parent.iterdir():
        each.unlink()
    assert store.by_username("dev1") is None
    store.add(device())
    assert SqliteStore(path).all() == [device()]


@pytest.mark.parametrize("column", ["username", "client_id"])
def test_lookup_reads_one_row_by_an_index(path: Path, column: str) -> None:
    SqliteStore(path).add(device())
    with sqlite3.connect(path) as connection:
        plan = connection.execute(f"EXPLAIN QUERY PLAN SELECT device FROM devices WHERE {column} = ?", ("x",))
        steps = [step for *_, step in plan]
    connection.close()
    assert len(steps) == 1 and steps[0].startswith("SEARCH devices USING") and f"({column}=?)" in steps[0]


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o620])
def test_file_that_others_can_access_is_refused(path: Path, bits: int) -> None:
    store = SqliteStore(path)
    store.add(device())
    path.chmod(bits)
    for each in (store, SqliteStore(path)):
        with pytest.raises(StoreError, match=r"other users can access it: chmod 600 .*devices\.sqlite"):
            each.by_username("dev1")


def test_file_that_is_no_database_is_named_and_never_overwritten(path: Path) -> None:
    write_private(path, b"not a database" * 100)
    store = SqliteStore(path)
    for attempt in (store.all, lambda: store.add(device())):
        with pytest.raises(StoreError, match=r"devices\.sqlite: broken: .*restore it"):
            attempt()
    assert path.read_bytes() == b"not a database" * 100


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "[" * 100_000])
def test_broken_row_is_a_store_error(path: Path, text: str) -> None:
    SqliteStore(path).add(device())
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE devices SET device = ?", (text,))
    connection.close()
    with pytest.raises(StoreError, match=r"devices\.sqlite: broken: .*restore it") as raised:
        SqliteStore(path).by_username("dev1")
    assert "\n" not in str(raised.value)


def test_unreadable_path_is_a_store_error(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(StoreError, match="Is a directory"):
        SqliteStore(path).all()


def test_file_of_a_newer_version_is_refused(path: Path) -> None:
    SqliteStore(path).add(device())
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(StoreError, match=r"written by a newer mqtt443 \(schema 99\): update mqtt443"):
        SqliteStore(path).all()


def test_missing_steps_of_the_schema_are_applied_once(path: Path) -> None:
    def first(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE numbers (number INTEGER)")

    def second(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO numbers VALUES (2)")

    open_database(path, [first]).close()
    for _ in range(2):
        connection = open_database(path, [first, second])
        assert connection.execute("SELECT * FROM numbers").fetchall() == [(2,)]
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)
        connection.close()


def test_failed_step_of_the_schema_changes_nothing(path: Path) -> None:
    def broken(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE numbers (number INTEGER)")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        open_database(path, [broken])
    connection = open_database(path, [])
    assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    connection.close()


def test_second_connection_of_a_process_leaves_the_locks_of_the_first(path: Path) -> None:
    """Without its locks, the next process that closes the file takes itself for the last, and deletes the WAL."""
    first = SqliteStore(path)
    first.add(device("a", "a"))
    SqliteStore(path).all()
    program = "import sys, sqlite3; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT * FROM devices'); c.close()"
    subprocess.run([sys.executable, "-c", program, str(path)], check=True)
    assert path.with_name(path.name + "-wal").exists()
    assert [each.client_id for each in first.all()] == ["a"]
