"""The console and the command line around every command: one line for wrong use, no escapes where none are wanted."""

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from mqtt443_tools.support.console import Console
from mqtt443_tools.support.errors import UsageError

MQTT443 = [str(Path(sys.executable).with_name("mqtt443"))]
WAIT_S = 40


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*MQTT443, *arguments], capture_output=True, text=True, timeout=WAIT_S, check=False)


def on_terminal(*arguments: str, **environment: str) -> str:
    """Run a command on a terminal of its own, and return all that it shows."""
    master, slave = os.openpty()
    with subprocess.Popen(
        [*MQTT443, *arguments],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", **environment},
    ):
        os.close(slave)
        shown = b""
        with os.fdopen(master, "rb", buffering=0) as terminal:
            while True:
                try:
                    data = terminal.read(4096)
                except OSError:  # EIO: the other end is closed
                    break
                if not data:
                    break
                shown += data
    return shown.decode()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("nonesuch",), "mqtt443: No such command 'nonesuch'; see mqtt443 --help"),
        (("device", "add"), "mqtt443 device add: Missing argument 'CLIENT_ID'; see mqtt443 device add --help"),
        (
            ("device", "add", "b1", "--port", "x"),
            "see mqtt443 device add --help",
        ),
        (("watch", "--nonesuch"), "mqtt443 watch: No such option: --nonesuch; see mqtt443 watch --help"),
        (("watch", "--count", "0"), "see mqtt443 watch --help"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(arguments: tuple[str, ...], line: str) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    (only,) = done.stderr.splitlines()
    assert only.endswith(line)


def test_group_without_a_command_shows_its_help() -> None:
    done = run("device")
    assert (done.returncode, done.stderr) == (2, "")
    assert "rotate" in done.stdout


def test_version_is_that_of_the_distribution() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"mqtt443 {version('mqtt443')}\n")


@pytest.mark.parametrize(
    "arguments", [("--help",), ("device", "list"), ("check", "--config", "nonesuch.json"), ("device", "add")]
)
def test_no_color_means_no_escape_sequence(arguments: tuple[str, ...]) -> None:
    shown = on_terminal(*arguments, NO_COLOR="1")
    assert shown
    assert "\x1b" not in shown


def test_terminal_without_no_color_gets_colours() -> None:
    assert "\x1b[" in on_terminal("check", "--config", "nonesuch.json")


@pytest.fixture
def err(capsys: pytest.CaptureFixture[str]) -> "pytest.CaptureFixture[str]":
    return capsys


def test_piped_progress_is_ten_lines_at_most(err: "pytest.CaptureFixture[str]") -> None:
    with Console().progress("building", piped=True) as advance:
        for done in range(301):
            advance(done, 300)
    lines = err.readouterr().err.splitlines()
    assert lines == [f"building: {percent} %" for percent in range(10, 101, 10)]


def test_piped_progress_is_silent_by_default(err: "pytest.CaptureFixture[str]") -> None:
    with Console().progress("writing") as advance:
        advance(1, 1)
    assert err.readouterr() == ("", "")


def test_question_without_a_terminal_is_wrong_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Console, "is_attended", False)
    with pytest.raises(UsageError, match=r"^erasing it deletes files: add --yes$"):
        Console().confirm("Erase it?", "erasing it deletes files")
    with pytest.raises(UsageError, match="add --yes"):
        Console().confirm_name("Which?", "mqtt443")
    with pytest.raises(UsageError, match=r"^several ports$"):
        Console().choose("Which one", ["a", "b"], "several ports")


def test_yes_answers_every_question(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Console, "is_attended", False)
    assert Console(yes=True).confirm("Erase it?")
    assert Console(yes=True).confirm_name("Which?", "mqtt443")


def test_lines_and_result_do_not_mix(err: "pytest.CaptureFixture[str]") -> None:
    Console(to_stderr=True).say("\x1b[2J cleared")
    Console().say("plain")
    assert err.readouterr() == ("plain\n", "\\x1b[2J cleared\n")
