"""Files that are whole or of the version before, whatever was cut or spoiled."""

import itertools
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mqtt443 import storage

from tests.firmware.micropython import run
from tests.support.board.interpreters import MICROPYTHON, need

NAMES = ("state", "state.new", "state.old")


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "state")


def spoil(path: str, data: bytes = b"rubbish") -> None:
    Path(path).write_bytes(data)


@pytest.mark.parametrize("data", [b"", b"x", b"\n00000000", bytes(range(256)) * 20])
def test_written_data_is_read_back(path: str, data: bytes) -> None:
    storage.write(path, b"older")
    storage.write(path, data)
    assert storage.read(path) == (data, None)


def test_where_nothing_was_written_nothing_is_read_or_said(path: str) -> None:
    assert storage.read(path) == (None, None)


def test_torn_file_gives_the_previous_version_and_says_so(path: str) -> None:
    storage.write(path, b"one")
    storage.write(path, b"two")
    spoil(path, Path(path).read_bytes()[:-1])
    data, said = storage.read(path)
    assert data == b"one"
    assert said == f"{path} is missing or torn; taken from {path}.old"


def test_torn_file_without_another_version_is_said(path: str) -> None:
    storage.write(path, b"one")
    spoil(path)
    data, said = storage.read(path)
    assert data is None
    assert "torn" in str(said)


def test_torn_first_version_is_no_reason_to_fail_later(path: str) -> None:
    spoil(path)
    storage.write(path, b"one")
    assert storage.read(path) == (b"one", None)


def test_every_single_bit_is_covered_by_the_checksum(path: str) -> None:
    storage.write(path, b"some data")
    whole = Path(path).read_bytes()
    for bit in range(len(whole) * 8):
        torn = bytearray(whole)
        torn[bit // 8] ^= 1 << bit % 8
        spoil(path, bytes(torn))
        assert storage.read(path)[0] is None, f"bit {bit}"


def test_cut_between_the_two_renames_gives_the_newest(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    storage.write(path, b"one")
    cut_at_rename(monkeypatch, 2)
    with pytest.raises(KeyboardInterrupt):
        storage.write(path, b"two")
    monkeypatch.undo()
    data, said = storage.read(path)
    assert data == b"two"
    assert said == f"{path} is missing or torn; taken from {path}.new"


def test_newest_survives_a_write_that_is_cut_after_one_that_was(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    storage.write(path, b"one")
    cut_at_rename(monkeypatch, 2)
    with pytest.raises(KeyboardInterrupt):
        storage.write(path, b"two")
    monkeypatch.undo()
    # As FAT, which forgets what was in a file as soon as it is opened for writing.
    monkeypatch.setattr(storage, "_trailer", lambda _: b"cut")
    cut_at_rename(monkeypatch, 2)  # the first is what finishes the write before
    with pytest.raises(KeyboardInterrupt):
        storage.write(path, b"three")
    monkeypatch.undo()
    assert storage.read(path)[0] == b"two"


def cut_at_rename(monkeypatch: pytest.MonkeyPatch, nth: int) -> None:
    renames = itertools.count(1)
    rename = os.rename

    def cut(old: str, new: str) -> None:
        if next(renames) == nth:
            raise KeyboardInterrupt
        rename(old, new)

    monkeypatch.setattr(os, "rename", cut)


def test_failing_flash_raises_and_keeps_the_old_content(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    storage.write(path, b"one")
    Path(path + ".new").mkdir()
    with pytest.raises(OSError, match=r"state\.new"):
        storage.write(path, b"two")
    assert storage.read(path) == (b"one", None)


def test_board_without_sync_writes_all_the_same(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sync", raising=False)
    storage.write(path, b"one")
    assert storage.read(path) == (b"one", None)


@given(st.dictionaries(st.sampled_from(NAMES), st.binary(max_size=30)))
def test_rubbish_is_never_read_as_data(tmp_path_factory: pytest.TempPathFactory, rubbish: dict[str, bytes]) -> None:
    folder = tmp_path_factory.mktemp("rubbish")
    for name, data in rubbish.items():
        spoil(str(folder / name), data)
    data, said = storage.read(str(folder / "state"))
    assert data is None
    assert bool(said) == bool(rubbish)
    storage.write(str(folder / "state"), b"new")
    assert storage.read(str(folder / "state")) == (b"new", None)


@pytest.mark.parametrize("name", MICROPYTHON)
def test_all_of_it_works_on_micropython(name: str, tmp_path: Path) -> None:
    source = """
import os
from mqtt443 import storage
print(storage.read("state"))
storage.write("state", b"one")
storage.write("state", b"two")
print(storage.read("state"))
with open("state", "wb") as file:
    for _ in range(300):
        file.write(b"x" * 1024)  # more than the 32-bit one has memory
print(storage.read("state"))
os.remove("state")
os.rename("state.old", "state.new")
print(storage.read("state"))
storage.write("state", b"three")
print(storage.read("state"), storage.read("state.new"))
with open("state", "wb") as file:
    file.write(b"x")
print(storage.read("state"))
"""
    assert run(need(name), tmp_path, source).splitlines() == [
        "(None, None)",
        "(b'two', None)",
        "(b'one', 'state is missing or torn; taken from state.old')",
        "(b'one', 'state is missing or torn; taken from state.new')",
        "(b'three', None) (None, None)",
        "(b'one', 'state is missing or torn; taken from state.old')",
    ]
