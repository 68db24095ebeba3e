"""The demo with fake commands: how it handles the ones that fail."""

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from mqtt443_tools.demo import __main__ as demo

WAIT_S = 20.0
PARTS = """
import pathlib, signal, sys
here = pathlib.Path(__file__).parent
signal.signal(signal.SIGINT, lambda *_: sys.exit())
command, arguments = sys.argv[1], sys.argv[2:]
if command == "local":
    print("ready host=localhost port=1 ca=ca.pem", flush=True)
    signal.pause()
elif command == "board":
    (here / "board started").touch()
    signal.pause()
elif "--out" in arguments:
    pathlib.Path(arguments[arguments.index("--out") + 1]).write_text("{}")
elif command == "watch" and (here / "refused").exists():
    sys.exit("mqtt443: no localcore runs")
elif command == "watch":
    print("watching telemetry/#", file=sys.stderr)
    sys.exit("the local endpoint was stopped")
"""

NEVER_READY = """
import pathlib, signal
try:
    print("not ready yet", flush=True)
    signal.pause()
except KeyboardInterrupt:
    pathlib.Path(__file__).with_name("ended").touch()
"""


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "parts.py"
    script.write_text(PARTS)
    monkeypatch.setattr(demo, "MQTT443", (sys.executable, str(script)))


@pytest.mark.usefixtures("parts")
def test_errors_of_watch_do_not_count_as_telemetry(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "state").mkdir()
    assert demo.demo(tmp_path / "state", 1.0) == 0
    assert capfd.readouterr().out.count("\nwatch | the local endpoint was stopped\n") == 1


@pytest.mark.usefixtures("parts")
def test_board_starts_only_once_watch_watches(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "refused").touch()
    with pytest.raises(demo.DemoError, match="`mqtt443 watch` did not start"):
        demo.demo(tmp_path / "state", 1.0)
    assert "watch | mqtt443: no localcore runs\n" in capfd.readouterr().out
    assert not (tmp_path / "board started").exists()


@pytest.mark.parametrize("seconds", ["-5", "nan", "inf", "soon"])
def test_impossible_duration_is_wrong_use(tmp_path: Path, seconds: str) -> None:
    command = [sys.executable, "-m", "mqtt443_tools.demo", "--state", str(tmp_path), f"--seconds={seconds}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--seconds" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_early_end_stops_all_parts_silently(tmp_path: Path, number: signal.Signals) -> None:
    part = tmp_path / "part.py"
    part.write_text(NEVER_READY)
    program = f"""
        import sys
        from mqtt443_tools.demo import __main__ as demo
        sys.argv = ["demo", "--state", {str(tmp_path)!r}]
        demo.MQTT443 = (sys.executable, {str(part)!r})
        sys.exit(demo.main())
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "local | not ready yet\n"
        process.send_signal(number)
        _, err = process.communicate(timeout=WAIT_S)
    assert (process.returncode, err) == (130, "")
    assert (tmp_path / "ended").exists()
