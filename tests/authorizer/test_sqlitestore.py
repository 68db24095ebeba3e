"""The database of devices: private, shared between processes, durable, read by row, and filled from the old file."""

import json
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mqtt443_authorizer.database import open_database, transaction
from mqtt443_authorizer.device import Device, to_json
from mqtt443_authorizer.errors import StoreError
from mqtt443_authorizer.files import write_private
from mqtt443_authorizer.sqlitestore import IMPORTED_FILE, OLD_FILE, SqliteStore

from tests.support.aws.logins import device

ROOT = Path(__file__).parents[2]
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


def write_old_file(path: Path, *devices: Device) -> Path:
    old = path.with_name(OLD_FILE)
    document = {"format": 1, "devices": [to_json(each) for each in devices]}
    write_private(old, json.dumps(document, indent=1).encode())
    return old


def run(*code: str) -> Any:
    """Start Python with the packages of this checkout."""
    return subprocess.Popen(
        [sys.executable, "-c", "\n".join(code)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


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


def test_file_that_another_process_is_creating_is_tried_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite then refuses the switch to WAL mode at once, whatever the busy timeout."""
    tries = []

    class Busy(sqlite3.Connection):
        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            if "journal_mode" in sql:
                tries.append(sql)
                if len(tries) < 3:
                    error = sqlite3.OperationalError("database is locked")
                    error.sqlite_errorcode = sqlite3.SQLITE_BUSY
                    raise error
            return super().execute(sql, *parameters)

    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **named: connect(*args, factory=Busy, **named))
    SqliteStore(path).add(device())
    assert len(tries) == 3
    assert SqliteStore(path).all() == [device()]


def test_old_file_is_imported_once_and_kept(path: Path) -> None:
    devices = [device("a", "user-a", publish=("site/a",)), device("b", "user-b", enabled=False, version=7)]
    old = write_old_file(path, *devices)
    content = old.read_bytes()
    store = SqliteStore(path)
    assert store.all() == devices
    assert not old.exists()
    assert old.with_name(IMPORTED_FILE).read_bytes() == content
    store.remove("a")
    assert SqliteStore(path).all() == devices[1:]


def test_import_cut_before_the_rename_is_finished(path: Path) -> None:
    old = write_old_file(path, device())
    store = SqliteStore(path)
    assert store.all() == [device()]
    store.close()
    old.with_name(IMPORTED_FILE).rename(old)
    assert SqliteStore(path).all() == [device()]
    assert not old.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"\xff", b"[]", b"{}", b'{"format": 2, "devices": []}', b'{"format": 1}',
        b'{"format": 1, "devices": [{}]}', b"[" * 100_000,
    ],
)  # fmt: skip
def test_broken_old_file_is_named_and_imports_nothing(path: Path, content: bytes) -> None:
    old = path.with_name(OLD_FILE)
    write_private(old, content)
    store = SqliteStore(path)
    for attempt in (store.all, lambda: store.add(device())):
        with pytest.raises(StoreError, match=r"devices\.json: broken: .*restore it"):
            attempt()
    assert old.read_bytes() == content
    old.unlink()
    store.add(device())
    assert store.all() == [device()]


def test_old_file_with_a_name_twice_is_refused(path: Path) -> None:
    write_old_file(path, device(), device())
    with pytest.raises(StoreError, match="already registered"):
        SqliteStore(path).all()


def test_wait_for_another_change_ends(path: Path) -> None:
    SqliteStore(path).add(device())
    other = open_database(path, [lambda _: None])
    with transaction(other):
        waiting = SqliteStore(path, busy_timeout_s=0.05)
        assert waiting.by_username("dev1") == device()
        with pytest.raises(StoreError, match="another command is changing it: try again"):
            waiting.add(device("sensor-2", "dev2"))
    other.close()
    waiting.add(device("sensor-2", "dev2"))


def test_threads_share_a_store(path: Path) -> None:
    store = SqliteStore(path)
    threads = [threading.Thread(target=store.add, args=(device(f"d{n}", f"u{n}"),)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert len(store.all()) == 8


def test_concurrent_processes_lose_no_change(path: Path) -> None:
    writers = [
        run(
            "import sys",
            "from pathlib import Path",
            "from mqtt443_authorizer.sqlitestore import SqliteStore",
            "from tests.support.aws.logins import device",
            f"store = SqliteStore(Path({str(path)!r}), busy_timeout_s=30)",
            "print('ready', flush=True)",
            "sys.stdin.readline()",
            f"for number in range(15): store.add(device(f'device-{writer}-{{number}}', f'user-{writer}-{{number}}'))",
        )
        for writer in range(4)
    ]
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=40)
        assert writer.returncode == 0
    expected = {f"device-{writer}-{number}" for writer in range(4) for number in range(15)}
    assert {each.client_id for each in SqliteStore(path).all()} == expected


@pytest.mark.parametrize("committed", [1, 7, 23])
def test_killed_process_loses_nothing_committed(path: Path, committed: int) -> None:
    """The process is killed while it changes the file as fast as it can, so at any point of a transaction."""
    writer = run(
        "import itertools",
        "from pathlib import Path",
        "from mqtt443_authorizer.sqlitestore import SqliteStore",
        "from tests.support.aws.logins import device",
        f"store = SqliteStore(Path({str(path)!r}))",
        "for pair in itertools.count():",
        "    store.add_many([device(f'{pair}-{half}', f'user-{pair}-{half}') for half in 'ab'])",
        "    print(pair, flush=True)",
    )
    with writer:
        for _ in range(committed):
            assert writer.stdout.readline()
        writer.kill()
        told = committed + len(writer.stdout.readlines())
    found = [each.client_id for each in SqliteStore(path).all()]
    pairs = {name.partition("-")[0] for name in found}
    assert set(map(str, range(told))) <= pairs
    assert len(pairs) <= told + 1
    assert len(found) == 2 * len(pairs), "half of a transaction was stored"
