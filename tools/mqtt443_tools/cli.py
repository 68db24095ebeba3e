"""The command `mqtt443`: joins the subcommands, one package each, and turns their errors into exit codes."""

import errno
import io
import os
import sys
from importlib.metadata import version as installed_version
from typing import Annotated

import typer

from mqtt443_tools.board.board_command import board
from mqtt443_tools.check.check_command import check
from mqtt443_tools.cloud.cloud_command import app as cloud_app
from mqtt443_tools.config.config_command import app as config_app
from mqtt443_tools.console.console_command import console
from mqtt443_tools.console.export_command import export
from mqtt443_tools.device.device_command import app as device_app
from mqtt443_tools.factory.factory_command import app as factory_app
from mqtt443_tools.flash.flash_command import flash
from mqtt443_tools.load.load_command import load
from mqtt443_tools.local.local_command import app as local_app
from mqtt443_tools.monitor.monitor_command import monitor
from mqtt443_tools.push.push_command import push
from mqtt443_tools.run.run_command import run
from mqtt443_tools.send.send_command import send
from mqtt443_tools.support.command_line import new_app
from mqtt443_tools.support.console import MAX_LINE_CHARS
from mqtt443_tools.support.errors import CommandError
from mqtt443_tools.support.printable import printable
from mqtt443_tools.update.update_command import update
from mqtt443_tools.watch.watch_command import watch

_OUTPUT_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}

app = new_app("mqtt443", "Connect an ESP32 to AWS IoT Core with a user name and a password, over port 443.")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mqtt443 {installed_version('mqtt443')}")
        raise typer.Exit


@app.callback()
def root(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Connect an ESP32 to AWS IoT Core with a user name and a password, over port 443."""


app.command()(run)
app.add_typer(local_app, name="local")
app.add_typer(device_app, name="device")
app.command()(board)
app.command()(console)
app.command()(export)
app.command()(watch)
app.command()(send)
app.command()(load)
app.command()(flash)
app.add_typer(config_app, name="config")
app.command()(push)
app.command()(monitor)
app.command()(update)
app.command()(check)
app.add_typer(factory_app, name="factory")
app.add_typer(cloud_app, name="cloud")


def main() -> None:
    """Run the command line; exits 0 done, 1 failed, 2 wrong use, 130 interrupted."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that the terminal's encoding lacks must not end a command
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except CommandError as error:
        print(f"mqtt443: {printable(str(error), MAX_LINE_CHARS)}", file=sys.stderr)
        _end_output()
        sys.exit(error.exit_code)
    except BrokenPipeError:  # `mqtt443 watch | head`: the reader is gone
        _end_output()
        sys.exit(1)
    except OSError as error:
        if error.filename is not None or error.errno not in _OUTPUT_ERRNOS:
            raise
        print(f"mqtt443: standard output cannot be written: {error.strerror}", file=sys.stderr)
        _end_output()
        sys.exit(1)


def _end_output() -> None:
    """Drop what standard output does not take, so that Python does not try again, and complain, when it exits."""
    if sys.stdout is None:  # closed by whoever started this program
        return
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
