"""What the documented commands write with secrets in it is never one `git add .` from a repository."""

import re
import subprocess
from pathlib import Path

import pytest
from mqtt443_tools.support.paths import ROOT

SECRET = (
    "config.json",
    "config.json.good",
    "ca.pem",
    "ca.der",
    "key.pem",
    "sensor-1.bin",
    "devices.csv",
    "bundles/sensor-1.bin",
    "bundles/labels.html",
    ".mqtt443/devices.json",
    ".mqtt443/devices.sqlite",
    ".mqtt443/devices.sqlite-wal",
)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True, timeout=20)
    (tmp_path / ".gitignore").write_bytes((ROOT / ".gitignore").read_bytes())
    for name in SECRET:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("secret")
    return tmp_path


def test_files_with_secrets_are_ignored_at_the_root(repository: Path) -> None:
    shown = subprocess.run(
        ["git", "status", "--porcelain", "--untracked-files=all"],
        cwd=repository, capture_output=True, text=True, check=True, timeout=20,
    ).stdout  # fmt: skip
    assert shown == "?? .gitignore\n"


def test_file_of_the_project_is_not_ignored() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)
    if tracked.returncode:
        pytest.skip("this is not a git checkout")
    ignored = subprocess.run(
        ["git", "check-ignore", "--no-index", "--stdin"],
        cwd=ROOT, input=tracked.stdout, capture_output=True, text=True, timeout=20, check=False,
    ).stdout  # fmt: skip
    assert ignored == ""


def test_every_file_that_the_documentation_writes_is_ignored_by_git() -> None:
    pages = "".join(path.read_text() for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
    written = re.findall(r"mqtt443 .*(?:--out|--bundle|--csv) ([\w.-]+)", pages)
    assert len(written) > 5
    assert {name for name in written if not any(secret.startswith(name) for secret in SECRET)} == set()
