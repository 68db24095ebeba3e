"""Windows, emulated by removing what it lacks: --help works, as does what needs no POSIX; the rest says so."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
from mqtt443_tools.cli import app
from mqtt443_tools.support.paths import ROOT

# The standard library, pyserial and mpremote choose their backend by os.name: they are loaded before POSIX goes away.
PROGRAM = """
import asyncio, getpass, os, shutil, signal, subprocess, sys, tempfile
import esptool.cmds, mpremote.transport_serial, serial, serial.tools.list_ports

MISSING = {"fcntl", "grp", "posix", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty"}

class Windows:
    def find_spec(self, name, path=None, target=None):
        if name in MISSING:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Windows())
for name in MISSING:
    sys.modules.pop(name, None)
for name in ("O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "fork", "getuid", "geteuid", "killpg", "mkfifo", "setsid"):
    delattr(os, name)
del signal.SIGHUP, signal.SIGKILL
from mqtt443_tools.cli import main
main()
"""
WAIT_S = 40


def run(*arguments: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", PROGRAM, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, check=False, cwd=folder)


def commands() -> Iterator[tuple[str, ...]]:
    """Yield every command of the program, as it is typed."""
    waiting: list[tuple[tuple[str, ...], object]] = [((), typer.main.get_command(app))]
    while waiting:
        typed, command = waiting.pop()
        yield typed
        waiting += [((*typed, name), each) for name, each in getattr(command, "commands", {}).items()]


@pytest.mark.parametrize("typed", sorted(commands()), ids=" ".join)
def test_help_works_without_posix(typed: tuple[str, ...], tmp_path: Path) -> None:
    done = run(*typed, "--help", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage" in done.stdout


@pytest.mark.parametrize(
    "typed",
    [
        ("local",),
        ("board",),
        ("monitor",),
        ("device", "list"),
        ("run",),
        ("factory", "run", "devices.csv", "--image", "board.bin"),
    ],
    ids=" ".join,
)
def test_command_that_needs_posix_says_so(typed: tuple[str, ...], tmp_path: Path) -> None:
    done = run(*typed, folder=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith(" needs Linux or macOS: on Windows, run it in WSL\n")
    assert len(done.stderr.splitlines()) == 1


@pytest.fixture
def config(tmp_path: Path) -> Path:
    content = json.loads((ROOT / "config.example.json").read_text())
    content["endpoint"] = "abc-ats.iot.eu-west-1.amazonaws.com"
    path = tmp_path / "config.json"
    path.write_text(json.dumps(content))
    return path


def test_config_is_shown_and_described(config: Path) -> None:
    assert "abc-ats.iot" in run("config", "show", folder=config.parent).stdout
    assert json.loads(run("config", "schema", folder=config.parent).stdout)["properties"]


def test_bundle_is_written_for_a_board(config: Path) -> None:
    done = run("push", "--bundle", "b1.bin", folder=config.parent)
    assert done.returncode == 0, done.stderr
    assert (config.parent / "b1.bin").stat().st_size == 512 * 4096


def test_zip_of_the_authorizer_is_written(tmp_path: Path) -> None:
    assert run("cloud", "zip", "authorizer.zip", folder=tmp_path).returncode == 0


@pytest.mark.parametrize("typed", [("push",), ("flash", "--image", "board.bin")], ids=" ".join)
def test_command_for_a_board_gets_as_far_as_its_port(typed: tuple[str, ...], config: Path) -> None:
    (config.parent / "board.bin").write_bytes(b"\xe9" + bytes(100))
    done = run(*typed, "--port", "COM7", folder=config.parent)
    assert done.returncode == 1
    assert "COM7" in done.stderr
