"""umqtt comes from the package index by hash; an archive that is not the pinned one is never installed."""

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest
from mqtt443_tools.support import fetch_umqtt
from mqtt443_tools.support.paths import UMQTT


def archive(path: Path, content: bytes = b"class MQTTClient: pass\n") -> Any:
    with tarfile.open(path, "w:gz") as tar:
        member = tarfile.TarInfo("micropython-umqtt.simple-1.3.4/umqtt/simple.py")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return path


def test_archive_with_another_hash_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(fetch_umqtt.FetchError, match="expected b6a25"):
        fetch_umqtt.unpack(archive(tmp_path / "umqtt.tar.gz"), tmp_path / "library")
    assert not (tmp_path / "library").exists()


def test_pinned_module_is_installed_for_the_board() -> None:
    assert b"class MQTTClient" in (UMQTT / "umqtt" / "simple.py").read_bytes()


def test_pip_settings_are_read_from_every_section(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://mirror.invalid/simple with space/")
    assert fetch_umqtt.pip_settings()["index-url"] == "https://mirror.invalid/simple with space/"


def test_unreachable_index_is_one_line_with_the_next_step(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple/")  # the discard port: nothing listens
    with pytest.raises(fetch_umqtt.FetchError, match=r"cannot download .*check the network"):
        fetch_umqtt.download(tmp_path)


def test_changed_module_is_fetched_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(fetch_umqtt, "UMQTT", tmp_path)
    (tmp_path / "umqtt").mkdir()
    (tmp_path / "umqtt" / "simple.py").write_bytes((UMQTT / "umqtt" / "simple.py").read_bytes())
    assert fetch_umqtt.is_fetched()
    assert fetch_umqtt.fetch_umqtt() is False, "nothing is downloaded again"
    (tmp_path / "umqtt" / "simple.py").write_text("class MQTTClient: pass")
    assert not fetch_umqtt.is_fetched()
