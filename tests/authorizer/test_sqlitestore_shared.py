"""The database of devices between threads and processes: no change is lost, none is half stored, every wait ends."""

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from mqtt443_authorizer.database import open_database, transaction
from mqtt443_authorizer.errors import StoreError
from mqtt443_authorizer.sqlitestore import SqliteStore

from tests.support.aws.logins import device

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "devices.sqlite"


def run(*code: str) -> Any:
    """Start Python with the packages of this checkout."""
    return subprocess.Popen(
        [sys.executable, "-c", "\n".join(code)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


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
