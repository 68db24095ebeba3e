"""The device file: private, whole, shared between processes, and parsed only after a change."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mqtt443_authorizer.errors import StoreError
from mqtt443_authorizer.files import write_private
from mqtt443_authorizer.filestore import LOCK_ATTEMPTS, LOCK_PAUSE_S, FileStore

from tests.support.aws.logins import device

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Any:
    return tmp_path / "state" / "devices.json"


@pytest.fixture
def loose_umask() -> Iterator[Any]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> Any:
    return oct(path.stat().st_mode & 0o777)


def test_file_and_folder_are_private(path: Path, loose_umask: None) -> None:
    FileStore(path).add(device())
    assert (mode(path.parent), mode(path), mode(path.with_name("devices.json.lock"))) == ("0o700", "0o600", "0o600")


def test_no_temporary_file_remains(path: Path) -> None:
    store = FileStore(path)
    store.add(device())
    store.remove("sensor-1")
    assert sorted(each.name for each in path.parent.iterdir()) == [".gitignore", "devices.json", "devices.json.lock"]


def test_change_is_visible_to_another_store(path: Path) -> None:
    writer, reader = FileStore(path), FileStore(path)
    assert reader.all() == []
    writer.add(device())
    assert reader.by_username("dev1") == device()
    writer.replace(device(enabled=False))
    assert reader.all() == [device(enabled=False, version=2)]
    path.unlink()
    assert reader.by_username("dev1") is None


def test_file_is_parsed_again_only_after_a_change(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FileStore(path)
    store.add(device())
    parsed = []
    loads = json.loads

    def counting_loads(content: bytes) -> Any:
        parsed.append(content)
        return loads(content)

    monkeypatch.setattr(json, "loads", counting_loads)
    for _ in range(5):
        store.by_username("dev1")
    assert len(parsed) == 1
    FileStore(path).replace(device())
    parsed.clear()
    for _ in range(5):
        store.by_username("dev1")
    assert len(parsed) == 1


def test_failed_write_keeps_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FileStore(path)
    store.add(device())

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"devices\.json: No space left on device"):
        store.add(device("sensor-2", "dev2"))
    assert FileStore(path).all() == store.all() == [device()]
    assert sorted(each.name for each in path.parent.iterdir()) == [".gitignore", "devices.json", "devices.json.lock"]


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o620])
def test_file_that_others_can_access_is_refused(path: Path, bits: int) -> None:
    FileStore(path).add(device())
    path.chmod(bits)
    with pytest.raises(StoreError, match=r"other users can access it: chmod 600 .*devices\.json"):
        FileStore(path).by_username("dev1")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b"{}",
        b'{"format": 2, "devices": []}',
        b'{"format": 1}',
        b'{"format": 1, "devices": [{}]}',
        b"[" * 100_000,
    ],
)
def test_broken_file_is_named_and_never_overwritten(path: Path, content: bytes) -> None:
    write_private(path, content)
    store = FileStore(path)
    for attempt in (store.all, lambda: store.add(device())):
        with pytest.raises(StoreError, match=r"devices\.json: broken: .*restore it") as raised:
            attempt()
        assert "\n" not in str(raised.value)
    assert path.read_bytes() == content


def test_duplicate_name_in_the_file_is_refused(path: Path) -> None:
    store = FileStore(path)
    store.add(device())
    content = json.loads(path.read_bytes())
    content["devices"] *= 2
    write_private(path, json.dumps(content).encode())
    with pytest.raises(StoreError, match="already registered"):
        store.all()


def test_unreadable_path_is_a_store_error(path: Path) -> None:
    path.mkdir(parents=True)
    path.chmod(0o700)
    with pytest.raises(StoreError, match="Is a directory"):
        FileStore(path).all()


def run(*code: Any) -> Any:
    """Start Python with the packages of this checkout."""
    return subprocess.Popen(
        [sys.executable, "-c", "\n".join(code)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_wait_for_a_held_lock_ends(path: Path) -> None:
    path.parent.mkdir()
    holder = run(
        "import fcntl, sys",
        f"lock = open({str(path) + '.lock'!r}, 'w')",
        "fcntl.flock(lock, fcntl.LOCK_EX)",
        "print('held', flush=True)",
        "sys.stdin.read()",
    )
    with holder:
        assert holder.stdout.readline() == "held\n"
        waits: list[float] = []
        with pytest.raises(StoreError, match="another command is changing it"):
            FileStore(path, sleep=waits.append).add(device())
        assert waits == [LOCK_PAUSE_S] * LOCK_ATTEMPTS
        holder.communicate(timeout=20)
    FileStore(path, sleep=waits.append).add(device())


def test_concurrent_processes_lose_no_change(path: Path) -> None:
    writers = [
        run(
            "import sys",
            "from pathlib import Path",
            "from mqtt443_authorizer.filestore import FileStore",
            "from tests.support.aws.logins import device",
            f"store = FileStore(Path({str(path)!r}))",
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
    assert {each.client_id for each in FileStore(path).all()} == expected
