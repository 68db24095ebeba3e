"""Files with secrets: private, whole or absent, and in a folder that git ignores."""

import errno
import subprocess
from pathlib import Path
from typing import Any

import pytest
from mqtt443_authorizer.files import IGNORE_FILE, keep_out_of_git, make_private_folder, write_private


@pytest.fixture
def repository(tmp_path: Path) -> Any:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True, timeout=20)
    return tmp_path


def untracked(repository: Path) -> Any:
    command = ["git", "status", "--porcelain", "--untracked-files=all"]
    return subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True, timeout=20).stdout


def mode(path: Path) -> Any:
    return oct(path.stat().st_mode & 0o777)


def test_folder_made_for_a_secret_ignores_itself(repository: Path) -> None:
    write_private(repository / "bundles" / "sensor-1.bin", b"secret")
    write_private(repository / "state" / "signing" / "key.pem", b"secret")
    assert untracked(repository) == ""
    assert [str(path.relative_to(repository)) for path in repository.rglob(f"*/{IGNORE_FILE}")] == [
        f"bundles/{IGNORE_FILE}",
        f"state/{IGNORE_FILE}",
    ]
    assert mode(repository / "state" / "signing") == "0o700"


def test_existing_folder_is_left_as_it_is(repository: Path) -> None:
    (repository / "mine").mkdir(mode=0o755)
    make_private_folder(repository / "mine")
    write_private(repository / "mine" / "config.json", b"{}")
    assert mode(repository / "mine") == "0o755"
    assert untracked(repository) == "?? mine/config.json\n"


def test_relative_folder_ignores_itself(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository)
    make_private_folder(type(repository)("state"))
    (repository / "state" / "devices.sqlite").touch()
    assert untracked(repository) == ""


def test_folder_on_a_full_disk_gets_no_empty_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, _: str) -> int:
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="No space left"):
        patched.setattr(Path, "write_text", full)
        make_private_folder(tmp_path / "state")
    keep_out_of_git(tmp_path / "state")
    assert (tmp_path / "state" / IGNORE_FILE).read_text() == "*\n"


def test_ignore_file_of_the_user_is_kept(tmp_path: Path) -> None:
    (tmp_path / IGNORE_FILE).write_text("*.pem\n")
    keep_out_of_git(tmp_path)
    assert (tmp_path / IGNORE_FILE).read_text() == "*.pem\n"
