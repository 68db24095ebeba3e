"""`make demo`: the whole path of a reading on this machine, with the commands that a person would type.

Starts `mqtt443 local`, registers a device, starts `mqtt443 board` with its config, and shows what `mqtt443 watch`
receives. Exits 0 if telemetry arrived, 1 if not.
"""

import argparse
import math
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

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


@contextmanager
def running(*arguments: str, stderr: int | None = subprocess.STDOUT) -> Iterator[subprocess.Popen[str]]:
    """Run one mqtt443 command with a pipe for its output; interrupt it at the end.

    Args:
        arguments: of the command.
        stderr: where its errors go: to the same pipe, or (None) to ours.
    """
    command = [*MQTT443, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(2)
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                process.kill()


def output(process: subprocess.Popen[str]) -> IO[str]:
    """Return the pipe to which a command of `running` writes."""
    if process.stdout is None:
        raise AssertionError("running() gives every command a pipe")
    return process.stdout


def wait_for_port(process: subprocess.Popen[str]) -> str:
    """Return the port of `mqtt443 local` once it is ready; raises DemoError if it never is."""
    timer = threading.Timer(START_S, process.kill)
    timer.start()
    try:
        for line in output(process):
            print(f"local | {line}", end="", flush=True)
            if ready := re.match(r"ready .*\bport=(\d+)", line):
                return ready[1]
    finally:
        timer.cancel()
    raise DemoError("`mqtt443 local` did not start; its message is above")


def show(label: str, process: subprocess.Popen[str]) -> None:
    """Print a command's output beside the telemetry, in a thread, until it ends."""

    def copy() -> None:
        for line in output(process):
            if HIDDEN.search(line):
                continue
            print(f"{label} | {line}", end="", flush=True)

    threading.Thread(target=copy, daemon=True).start()


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
        port = wait_for_port(local)
        show("local", local)
        config.parent.mkdir(mode=0o700, exist_ok=True)
        register(state, config, port)
        limit = [] if seconds is None else ["--seconds", str(seconds)]
        # Only messages are counted: its errors bypass the pipe.
        watch = stack.enter_context(running("watch", "--state", str(state), *limit, stderr=None))
        board = stack.enter_context(running("board", "--config", str(config)))
        show("board", board)
        try:
            for line in output(watch):
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
