"""The last good config.json: it is kept, and used where the file was torn or deleted."""

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from mqtt443 import config_schema, storage
from mqtt443.errors import ConfigError

BASE = {"endpoint": "abc-ats.iot.eu-west-1.amazonaws.com", "client_id": "dev1", "username": "u", "password": "p"}


class Kept:
    """A config.json on a board's root, and what a start makes of it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "config.json"
        self.good = folder / "config.json.good"

    def put(self, text: str) -> None:
        self.path.write_text(text)
        self.path.chmod(0o600)

    def start(self) -> Any:
        return config_schema.load(str(self.path), keep=True)


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


GOOD = json.dumps({**BASE, "interval_s": 7})
NEWER = json.dumps({**BASE, "interval_s": 8})


@pytest.mark.parametrize("torn", [None, "", GOOD[:-1], "\0" * 40])
def test_torn_config_is_replaced_by_the_last_good_one_and_said(kept: Kept, torn: str | None) -> None:
    for text in (GOOD, NEWER):
        kept.put(text)
        assert kept.start().notice is None
    kept.path.unlink()
    if torn is not None:
        kept.put(torn)
    got = kept.start()
    assert got.interval_s == 8
    assert got.notice.startswith(f"{kept.path}: ")
    assert "last good one" in got.notice
    assert "\n" not in got.notice
    with pytest.raises(ConfigError):
        config_schema.load(str(kept.path))


def test_config_that_is_refused_is_not_replaced(kept: Kept) -> None:
    kept.put(GOOD)
    kept.start()
    kept.put(GOOD.replace("interval_s", "intervall_s"))
    with pytest.raises(ConfigError, match="did you mean interval_s"):
        kept.start()


def test_copy_that_is_torn_falls_back_to_the_one_before(kept: Kept) -> None:
    for text in (GOOD, NEWER):
        kept.put(text)
        kept.start()
    kept.good.write_bytes(kept.good.read_bytes()[:-1])
    kept.put("")
    assert kept.start().interval_s == 7


def test_entries_are_written_once(kept: Kept) -> None:
    kept.put(GOOD)
    kept.start()
    before = kept.good.stat().st_mtime_ns
    inode = kept.good.stat().st_ino
    kept.start()
    assert (kept.good.stat().st_mtime_ns, kept.good.stat().st_ino) == (before, inode)


def test_copy_of_the_secrets_is_its_owner_s_alone(kept: Kept) -> None:
    before = os.umask(0o022)
    try:
        for text in (GOOD, NEWER):
            kept.put(text)
            kept.start()
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)
    for path in kept.path.parent.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name


def test_flash_without_room_for_a_copy_does_not_stop_the_board(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: str, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage, "write", full)
    kept.put(GOOD)
    got = kept.start()
    assert got.interval_s == 7
    assert "No space left" in got.notice


def test_host_tool_keeps_nothing(kept: Kept) -> None:
    kept.put(GOOD)
    assert config_schema.load(str(kept.path)).notice is None
    assert not kept.good.exists()
