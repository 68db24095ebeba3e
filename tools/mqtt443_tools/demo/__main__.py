"""`make demo`: the whole path of a reading on this machine, with the commands that a person would type.

Starts `mqtt443 local`, registers a device, starts `mqtt443 board` with its config, and shows what `mqtt443 watch`
receives. Exits 0 if telemetry arrived, 1 if not.
"""

import argparse
import math
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mqtt443_tools.support.config_file import update_config
from mqtt443_tools.support.errors import CommandError
from mqtt443_tools.support.paths import STATE
from mqtt443_tools.support.signals import all_as_ctrl_c

CLIENT_ID = "demo-board"
MQTT443 = (str(Path(sys.executable).with_name("mqtt443")),)
DEFAULT_PORT = 8443
START_S = 30.0
END_S = 10.0

HIDDEN = re.compile(r"^\[ *[\d.]+\] (published |stopped by Ctrl-C)")
"""The board's lines about each reading, which `watch` shows anyway, and about how the demo stops the board."""

NEXT = """
What to try next, with .venv/bin/mqtt443 as the command{options_note}:

  mqtt443 local{port}
      the endpoint alone; leave it running in its own terminal, where it says why it refuses a client
  mqtt443 board --config {config}
      the board alone; put a wrong password into that file, and the board says not authorized (0x87) and the likely
      causes, while the endpoint says NOT_AUTHENTICATED; set "topic" to "telemetry/another", and the policy lacks
      iot:Publish on it
  mqtt443 watch
      the messages that arrive
  mqtt443 device add my-board --out config.json
      your own device
"""


class DemoError(Exception):
    """A part of the demo did not start or did not answer."""


class Part:
    """A running mqtt443 command, whose lines are shown with a label: of its errors if they have a pipe, or of all.

    Args:
        label: the command's name.
        process: with a pipe for its output, and perhaps another for its errors.
    """

    def __init__(self, label: str, process: subprocess.Popen[str]) -> None:
        if process.stdout is None:
            raise AssertionError("running() gives every command a pipe")
        self.output = process.stdout
        self._shown = process.stderr or process.stdout
        self._label = label
        self._process = process
        self._threads: list[threading.Thread] = []

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Show lines until one matches; return the match. Raises DemoError if none does in time."""
        timer = threading.Timer(START_S, self._process.kill)
        timer.start()
        try:
            for line in self._shown:
                self._print(line)
                if match := re.match(pattern, line):
                    return match
        finally:
            timer.cancel()
        raise DemoError(f"`mqtt443 {self._label}` did not start; its message is above")

    def show(self) -> None:
        """Show the other lines beside the telemetry, in a thread, until the command ends."""

        def copy() -> None:
            for line in self._shown:
                if not HIDDEN.search(line):
                    self._print(line)

        self._threads.append(threading.Thread(target=copy, daemon=True))
        self._threads[-1].start()

    def end(self) -> None:
        """Interrupt the command; return when it has ended and its last line is shown."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
        for thread in self._threads:
            thread.join(END_S)

    def _print(self, line: str) -> None:
        print(f"{self._label} | {line}", end="", flush=True)


@contextmanager
def running(label: str, *options: str, stderr: int = subprocess.STDOUT) -> Iterator[Part]:
    """Run one mqtt443 command; interrupt it at the end.

    Args:
        label: the command's name.
        options: of the command.
        stderr: subprocess.PIPE to show its errors alone, STDOUT to show its output too.
    """
    command = [*MQTT443, label, *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True) as process:
        part = Part(label, process)
        try:
            yield part
        finally:
            part.end()


def register(state: Path, config: Path, port: str) -> None:
    """Register the demo's device again and write its config; raises DemoError, CommandError."""
    device = [*MQTT443, "device"]
    options = ["--state", str(state)]
    subprocess.run([*device, "remove", CLIENT_ID, "--yes", *options], check=False, capture_output=True, timeout=START_S)
    add = [*device, "add", CLIENT_ID, "--port", port, "--out", str(config), *options]
    done = subprocess.run(add, check=False, capture_output=True, text=True, timeout=START_S)
    if done.returncode:
        raise DemoError(done.stderr.strip())
    update_config(config, {"interval_s": 1})


def free_port() -> int:
    """Return the default port of `mqtt443 local`; 0, for any free one, if it is in use."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", DEFAULT_PORT))
        except OSError:
            return 0
    return DEFAULT_PORT


def demo(state: Path, seconds: float | None) -> int:
    """Run the demo for `seconds` (None: until Ctrl-C); return how many messages arrived."""
    config = state / CLIENT_ID / "config.json"
    seen = 0
    with ExitStack() as stack:
        local = stack.enter_context(running("local", "--port", str(free_port()), "--state", str(state)))
        port = local.wait_for(r"ready .*\bport=(\d+)")[1]
        local.show()
        config.parent.mkdir(mode=0o700, exist_ok=True)
        register(state, config, port)
        limit = [] if seconds is None else ["--seconds", str(seconds)]
        # Only messages are counted, so its errors have a pipe of their own.
        watch = stack.enter_context(running("watch", "--state", str(state), *limit, stderr=subprocess.PIPE))
        watch.wait_for("watching ")
        watch.show()
        board = stack.enter_context(running("board", "--config", str(config)))
        board.show()
        try:
            for line in watch.output:
                print(f"cloud | {line}", end="", flush=True)
                seen += 1
        except KeyboardInterrupt:
            print(flush=True)
    print(
        NEXT.format(
            config=config,
            port="" if port == str(DEFAULT_PORT) else f" --port {port}",
            options_note="" if state == STATE else f" and --state {state} behind local, watch and device",
        ),
        end="",
    )
    return seen


def duration_s(text: str) -> float:
    """Parse the value of --seconds; raises ValueError."""
    seconds = float(text)
    if not math.isfinite(seconds) or seconds < 0:
        raise ValueError
    return seconds


def main() -> int:
    """Parse the demo's arguments and run it; returns the exit code."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--seconds", type=duration_s, help="end after this many seconds")
    parser.add_argument("--state", type=Path, default=STATE, help="the local mode's state folder")
    arguments = parser.parse_args()
    try:
        with all_as_ctrl_c():
            seen = demo(arguments.state, arguments.seconds)
    except (DemoError, CommandError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # before the first telemetry
        return 130
    if not seen:
        print("demo: no telemetry arrived; the lines of `board` and `local` above say why", file=sys.stderr)
        return 1
    print(f"\n{seen} messages arrived.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
