"""Every command that README.md and docs/localcore.md show, run as it stands there (on a free port)."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from mqtt443_tools.support.paths import ROOT

Shell = Callable[[str], "subprocess.Popen[str]"]

# `make demo` is run by test_commands.py as the module behind it; `make test` is what runs this.
BY_OTHERS = {"make demo\n", "make test\n"}


def blocks(document: str) -> list[str]:
    """Return the shell commands of a document, block by block."""
    return re.findall(r"^```sh\n(.*?)^```", (ROOT / document).read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that looks like a checkout, in which git sees nothing new."""
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True, timeout=20)
    (tmp_path / ".venv").symlink_to(Path(sys.prefix))
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    (tmp_path / ".git" / "info" / "exclude").write_text("/.venv\n/docs\n/.gitignore\n")
    (tmp_path / ".gitignore").write_bytes((ROOT / ".gitignore").read_bytes())
    return tmp_path


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        number: int = probe.getsockname()[1]
        return number


@pytest.fixture
def shell(folder: Path, port: int) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Start a block of a document as it stands, but for the port; all of it has ended after the test."""
    with ExitStack() as stack:

        def shell(script: str) -> subprocess.Popen[str]:
            script = script.replace("mqtt443 local", f"mqtt443 local --port {port} --set connect_rate_per_s=0")
            script = re.sub(r"(mqtt443 device add .*--out \S+)", rf"\1 --port {port}", script)
            process = subprocess.Popen(
                ["bash", "-ec", script.replace("8443", str(port))],
                cwd=folder,
                env={"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1"},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
            stack.enter_context(process)
            stack.callback(os.killpg, process.pid, signal.SIGKILL)
            return process

        yield shell


def first_line(process: subprocess.Popen[str], pattern: str) -> str:
    """Return the first line that fits; raises AssertionError if the command ends without one."""
    said = []
    assert process.stdout is not None
    for line in process.stdout:
        said.append(line)
        if re.search(pattern, line):
            return line
    raise AssertionError(f"never said {pattern!r} but:\n{''.join(said)}")


def untracked(folder: Path) -> str:
    """Return what `git add .` would put into a repository."""
    command = ["git", "status", "--porcelain", "--untracked-files=all"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=20).stdout


def test_readme_goes_from_a_device_to_its_telemetry(shell: Shell, folder: Path, port: int) -> None:
    local, watch, board = (block for block in blocks("README.md") if block not in BY_OTHERS)
    first_line(shell(local), f"^ready host=localhost port={port} ")
    arrives = shell(watch)
    shell(board)
    first_line(arrives, r'^\d\d:\d\d:\d\d telemetry/my-board {"time"')
    assert (folder / "config.json").is_file() and (folder / ".mqtt443" / ".gitignore").is_file()
    assert untracked(folder) == ""


def test_localcore_page_lets_a_laptop_publish(shell: Shell, folder: Path, port: int) -> None:
    local, laptop = blocks("docs/localcore.md")
    first_line(shell(local), f"^ready host=localhost port={port} ca={folder}/.mqtt443/ca.pem$")
    watch = shell(".venv/bin/mqtt443 watch --count 1\n")
    shell(laptop)
    first_line(watch, r"telemetry/myClientName \d{4}-")


@pytest.mark.parametrize(
    "document", sorted(path.relative_to(ROOT) for path in [ROOT / "README.md", *ROOT.glob("docs/*.md")]), ids=str
)
def test_every_link_leads_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)", (ROOT / document).read_text())
    for target in targets:
        if not target.startswith("https://"):
            assert (ROOT / document.parent / target).exists(), target
