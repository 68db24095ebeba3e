"""The command `mqtt443 board` when its user, its config or its reader misbehaves."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from mqtt443_tools.localcore.front.certificates import CA_FILE, local_ca

WAIT_S = 30.0
MQTT443 = (sys.executable, "-c", "from mqtt443_tools.cli import main; main()")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A config with which a board never stops trying: nothing listens on that port."""
    path = tmp_path / "config.json"
    login = {"client_id": "b", "username": "b", "password": "p@ssw0rd-1"}
    path.write_text(json.dumps({"endpoint": "localhost", "port": 1, "ca": CA_FILE, "interval_s": 1, **login}))
    local_ca(tmp_path)
    return path


def started(config: Path, temporary: Path) -> subprocess.Popen[str]:
    temporary.mkdir()
    return subprocess.Popen(
        [*MQTT443, "board", "--config", str(config), "--interpreter", "cpython"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
    )


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*MQTT443, "board", "--interpreter", "cpython", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, check=False)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_terminated_board_leaves_no_process_and_no_password(
    config: Path, tmp_path: Path, number: signal.Signals
) -> None:
    temporary = tmp_path / "temporary"
    with started(config, temporary) as process:
        assert process.stdout is not None
        assert process.stdout.readline() != ""
        tasks = Path(f"/proc/{process.pid}/task").iterdir()
        children = [child for task in tasks for child in (task / "children").read_text().split()]
        assert children
        process.send_signal(number)
        _, err = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, err
    assert list(temporary.iterdir()) == []
    assert not any(Path("/proc", child).exists() for child in children)


def test_board_stopped_by_seconds_does_not_mention_ctrl_c(config: Path) -> None:
    done = run("--config", str(config), "--seconds", "2")
    assert done.returncode == 0
    assert done.stderr.endswith("virtual board: switched off after 2 s\n")
    assert "Ctrl-C" not in done.stdout


def test_board_ends_when_its_reader_goes_away(config: Path, tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    with started(config, temporary) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(WAIT_S) == 1
        assert "Traceback" not in process.stderr.read()
    assert list(temporary.iterdir()) == []


def test_binary_config_is_reported_by_the_board(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(b"\xff\xfe{}")
    done = run("--config", str(tmp_path / "config.json"))
    assert done.returncode == 1
    assert "config.json" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("seconds", ["-1", "nan", "inf", "1e300"])
def test_impossible_duration_is_wrong_use(config: Path, seconds: str) -> None:
    done = run("--config", str(config), f"--seconds={seconds}")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--seconds" in done.stderr


def test_config_with_a_byte_order_mark_runs_as_push_would_send_it(config: Path) -> None:
    config.write_bytes(b"\xef\xbb\xbf" + config.read_bytes())
    done = run("--config", str(config), "--seconds", "2")
    assert done.returncode == 0, done.stdout
    assert "not valid JSON" not in done.stdout


def test_ca_file_without_an_end_is_not_read(config: Path) -> None:
    config.write_text(json.dumps({**json.loads(config.read_text()), "ca": "/dev/zero"}))
    done = run("--config", str(config), "--seconds", "2")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("mqtt443: ca: /dev/zero is not a file, or over 1,048,576 bytes")
