"""The zip that is deployed."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shutil
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mqtt443_authorizer.errors import PolicyError
from mqtt443_tools.support.lambda_zip import PACKAGE, build, key, read_policy, unpack


def names(content: bytes) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return archive.namelist()


def test_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    shutil.copytree(PACKAGE, copy)
    for path in copy.rglob("*"):
        os.utime(path, (0, 0))
        path.chmod(0o700)
    assert build(copy) == build()


def test_changed_byte_changes_the_key(tmp_path: Path) -> None:
    copy = tmp_path / "changed"
    shutil.copytree(PACKAGE, copy)
    before = key(build(copy))
    (copy / "event.py").write_bytes((copy / "event.py").read_bytes() + b"\n")
    assert key(build(copy)) != before
    assert before == f"{hashlib.sha256(build()).hexdigest()}.zip"


def test_zip_holds_only_the_package_and_its_policy() -> None:
    expected = [
        *(f"mqtt443_authorizer/{path.name}" for path in PACKAGE.glob("*.py")),
        "mqtt443_authorizer/policy.json",
    ]
    assert names(build()) == sorted(expected)


def test_lambda_can_read_every_file() -> None:
    with zipfile.ZipFile(io.BytesIO(build())) as archive:
        assert {entry.external_attr >> 16 for entry in archive.infolist()} == {0o100644}
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}


def test_own_policy_replaces_the_default(tmp_path: Path) -> None:
    own = tmp_path / "policy.json"
    own.write_text(
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iot:Connect", '
        '"Resource": "<arn>:client/<client_id>"}]}'
    )
    with zipfile.ZipFile(io.BytesIO(build(policy=read_policy(own)))) as archive:
        assert archive.read("mqtt443_authorizer/policy.json") == own.read_bytes()


def test_policy_that_breaks_the_rules_is_refused(tmp_path: Path) -> None:
    own = tmp_path / "policy.json"
    own.write_text('{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}')
    with pytest.raises(PolicyError, match="iot:Publish"):
        read_policy(own)


def _changed(at: int, in_directory: int, value: int) -> bytes:
    """Return a zip with one file, whose local header and directory entry have another byte."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("x.py", "1")
    data = bytearray(content.getvalue())
    data[at] = data[data.rindex(b"PK\1\2") + in_directory] = value
    return bytes(data)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (_changed(6, 8, 1), "the zip is encrypted, which Lambda does not accept"),
        (_changed(8, 10, 99), "the zip is compressed in a way that Lambda does not accept"),
        (_changed(8, 10, 8), "not a zip file"),
        (_changed(8, 10, 12), "Invalid data stream"),
        (_changed(8, 10, 14), "not a zip file"),
    ],
    ids=["encrypted", "unknown method", "no deflate", "no bzip2", "no lzma"],
)
def test_odd_zip_is_refused_with_its_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises((ValueError, OSError)) as refusal:
        unpack(io.BytesIO(content), tmp_path)
    assert reason in str(refusal.value)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_any_damage_to_a_zip_is_a_value_error_or_an_os_error(data: st.DataObject) -> None:
    content = bytearray(_changed(8, 10, 0))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(ValueError, OSError):
        unpack(io.BytesIO(bytes(content)), Path(folder))
