"""The commands as a user types them: the endpoint, a device, a laptop with paho, a board, and the demo."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from mqtt443_tools import cli
from mqtt443_tools.support.paths import ROOT
from typer.main import get_command
from typer.testing import CliRunner

MQTT443 = str(Path(sys.executable).with_name("mqtt443"))
PAHO = (ROOT / "docs" / "examples" / "paho_publish.py").read_text()
WAIT_S = 40


class Running:
    """A command in the background whose output can be awaited."""

    def __init__(self, *command: str, stderr: int | None = subprocess.STDOUT) -> None:
        self.lines: list[str] = []
        self._more = threading.Condition()
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True, env=plain())
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._more:
                self.lines.append(line.rstrip("\n"))
                self._more.notify_all()

    def wait_for(self, pattern: str, since: int = 0) -> re.Match[str]:
        def found() -> re.Match[str] | None:
            return next((match for line in self.lines[since:] if (match := re.search(pattern, line))), None)

        with self._more:
            match = self._more.wait_for(found, WAIT_S)
            assert match, f"never said {pattern!r} but:\n" + "\n".join(self.lines)
            return match

    def end(self, signal: int = 2) -> int:
        """Stop it as Ctrl-C does; return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal)
        code = self.process.wait(WAIT_S)
        self._thread.join()
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code


Start = Callable[..., Running]


def plain() -> dict[str, str]:
    """Return this process's environment without pytest's variables, which make a child more verbose."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([MQTT443, *arguments], capture_output=True, text=True, timeout=WAIT_S, check=False)


@pytest.fixture
def start() -> Iterator[Callable[..., Running]]:
    with ExitStack() as stack:

        def start(*command: str) -> Running:
            running = Running(*command)
            stack.callback(running.end, 9)
            return running

        yield start


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def local(start: Start, state: Path) -> tuple[Running, int]:
    running = start(
        MQTT443, "local", "--no-console", "--port", "0", "--state", str(state), "--set", "connect_rate_per_s=0"
    )
    ready = running.wait_for(rf"^ready host=localhost port=(\d+) ca={re.escape(str(state / 'ca.pem'))}$")
    added = run("device", "add", "myClientName", "--username", "username", "--password", "test", "--state", str(state))
    assert added.returncode == 0, added.stderr
    return running, int(ready[1])


def paho(start: Start, folder: Path, port: int, ca: Path, script: str = PAHO) -> Running:
    path = folder / "publish.py"
    path.write_text(script)
    return start(sys.executable, str(path), "localhost", str(port), str(ca))


def test_laptop_script_delivers_its_messages(start: Start, local: Any, state: Path, tmp_path: Path) -> None:
    _, port = local
    watch = start(MQTT443, "watch", "--state", str(state), "--count", "2")
    paho(start, tmp_path, port, state / "ca.pem")
    watch.wait_for(r"telemetry/myClientName \d{4}-\d\d-\d\dT")
    assert watch.process.wait(WAIT_S) == 0


@pytest.mark.parametrize(
    ("change", "to", "reason"),
    [
        ('"test"', '"text"', "refused .*NOT_AUTHENTICATED"),
        ('CLIENT_ID = "myClientName"', 'CLIENT_ID = "another"', "refused .*NOT_AUTHENTICATED"),
        ('f"telemetry/{CLIENT_ID}"', '"telemetry/another"', r"closed .*iot:Publish on .*topic/telemetry/another"),
    ],
    ids=["wrong password", "another client id", "another topic"],
)
def test_changed_laptop_script_delivers_nothing(
    start: Start, local: Any, state: Path, tmp_path: Path, change: str, to: str, reason: str
) -> None:
    running, port = local
    assert change in PAHO
    added = run("device", "add", "witness", "--username", "witness", "--password", "test", "--state", str(state))
    assert added.returncode == 0, added.stderr
    witness = PAHO.replace('"myClientName"', '"witness"').replace('"username"', '"witness"')
    watch = start(MQTT443, "watch", "--state", str(state), "--filter", "#")
    (tmp_path / "witness").mkdir()
    paho(start, tmp_path / "witness", port, state / "ca.pem", witness)
    watch.wait_for("telemetry/witness")  # so a message that gets through would be seen
    paho(start, tmp_path, port, state / "ca.pem", PAHO.replace(change, to))
    running.wait_for(reason)
    seen = len(watch.lines)
    watch.wait_for("telemetry/witness", since=seen)  # by now it would have been seen
    assert [line for line in watch.lines if "telemetry/witness" not in line] == ["watching #"]


def test_config_of_an_added_device_works_on_a_board(start: Start, local: Any, state: Path, tmp_path: Path) -> None:
    _, port = local
    config = tmp_path / "config.json"
    added = run("device", "add", "b1", "--port", str(port), "--out", str(config), "--state", str(state))
    assert added.returncode == 0, added.stderr
    password = json.loads(config.read_text())["password"]
    assert password not in added.stdout + added.stderr
    watch = start(MQTT443, "watch", "--state", str(state), "--json", "--count", "1")
    board = run("board", "--config", str(config), "--seconds", "5")
    assert board.returncode == 0, board.stderr
    assert "virtual board:" in board.stderr
    assert "connected to localhost" in board.stdout
    message = json.loads(watch.wait_for("^{.*}$")[0])
    assert message["topic"] == "telemetry/b1"
    assert password not in board.stdout + board.stderr


def test_broken_config_ends_the_board_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"endpoint": "localhost", "client_id": "b", "intervall_s": 5}')
    board = run("board", "--config", str(tmp_path / "config.json"))
    assert board.returncode == 1
    assert "unknown key 'intervall_s'; did you mean interval_s?" in board.stdout
    assert "prompt" in board.stderr


@pytest.mark.parametrize("signal", [2, 15])
def test_endpoint_ends_cleanly(local: Any, signal: int) -> None:
    running, _ = local
    assert running.end(signal) == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["watch", "--state", "nowhere"], 1, "mqtt443 local --state nowhere"),
        (["board", "--config", "nowhere.json"], 1, "mqtt443 device add"),
        (["board", "--interpreter", "lua"], 2, "use one of alpn"),
        (["board", "--interpreter", "cpython", "--mpy"], 2, "CPython cannot run .mpy"),
        (["local", "--set", "qos2=perhaps"], 2, "qos2"),
        (["local", "--port", "70000"], 2, "port"),
        (["device", "add", "a/b", "--state", "nowhere"], 2, "client id"),
    ],
)
def test_wrong_use_is_one_line_with_the_next_step(arguments: Any, code: int, said: str) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield every command and group of commands below a group."""
    for name, command in group.commands.items():
        yield (*path, name)
        yield from commands(command, (*path, name)) if hasattr(command, "commands") else ()


ALL_COMMANDS = sorted(commands(get_command(cli.app)))


@pytest.mark.parametrize("command", ALL_COMMANDS, ids=" ".join)
def test_help_has_an_example(command: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(cli.app, [*command, "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    assert shown.stdout.count("Example: ") == 1
    assert f"Example: mqtt443 {' '.join(command)} " in shown.stdout + " "


def test_help_lists_every_command_in_its_panel() -> None:
    shown = CliRunner().invoke(cli.app, ["--help"], env={"COLUMNS": "200"}).stdout
    listed = re.findall(r"^│ (\w+) +[A-Z]", shown, re.MULTILINE)
    assert sorted(listed) == sorted({name for name, *_ in ALL_COMMANDS})
    assert "─ Commands ─" not in shown


def demo(state: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mqtt443_tools.demo", "--state", str(state), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, check=False, cwd=ROOT)


def test_demo_shows_telemetry_and_what_to_try_next(state: Path) -> None:
    done = demo(state, "--seconds", "8")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "board | virtual board: " in done.stdout
    assert "local | ready host=" in done.stdout
    assert re.search(r"^board \| .*transport \w+: .*", done.stdout, re.MULTILINE)
    assert re.search(r'^cloud \| \d\d:\d\d:\d\d telemetry/demo-board {"time"', done.stdout, re.MULTILINE)
    assert "wrong password" in done.stdout
    assert done.stdout.count('"seq": 1,') == 1, "each reading is shown once"
    assert "Ctrl-C" not in done.stdout, "time was up, nobody pressed it"


def test_demo_without_telemetry_fails(state: Path) -> None:
    done = demo(state, "--seconds", "0")
    assert done.returncode == 1
    assert "no telemetry arrived" in done.stderr
