"""The database of devices takes over the old devices.json, once and as a whole."""

import json
from pathlib import Path

import pytest
from mqtt443_authorizer.device import Device, to_json
from mqtt443_authorizer.errors import StoreError
from mqtt443_authorizer.files import write_private
from mqtt443_authorizer.sqlitestore import IMPORTED_FILE, OLD_FILE, SqliteStore

from tests.support.aws.logins import device


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "devices.sqlite"


def write_old_file(path: Path, *devices: Device) -> Path:
    old = path.with_name(OLD_FILE)
    document = {"format": 1, "devices": [to_json(each) for each in devices]}
    write_private(old, json.dumps(document, indent=1).encode())
    return old


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
