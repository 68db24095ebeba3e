"""The command `mqtt443`: joins the subcommands, one package each, and turns their errors into exit codes."""

import errno
import io
import os
import sys
from importlib.metadata import version as installed_version
from typing import Annotated, Any, NoReturn

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
from mqtt443_tools.support.command_line import OneLineErrors, add_command, new_app
from mqtt443_tools.support.console import MAX_LINE_CHARS
from mqtt443_tools.support.errors import CommandError
from mqtt443_tools.support.printable import printable
from mqtt443_tools.update.update_command import update
from mqtt443_tools.watch.watch_command import watch

_OUTPUT_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}

_HERE, _DEVICES, _USB, _AWS = "On this machine", "Devices", "Boards on USB", "AWS"
_ORDER = (
    *("local", "board", "watch", "console", "export", "load"),
    *("device", "config", "send", "update", "check"),
    *("run", "flash", "push", "monitor", "factory"),
    "cloud",
)


class _InOrder(OneLineErrors):
    """Lists the commands in the order in which a newcomer meets them."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands; typer puts groups last."""
        return sorted(super().list_commands(ctx), key=_ORDER.index)


app = new_app("mqtt443", "Connect an ESP32 to AWS IoT Core with a user name and a password, over port 443.")
app.info.cls = _InOrder


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


add_command(app, run, "mqtt443 run --name my-board", _USB)
add_command(app, flash, "mqtt443 flash --image build/image/MQTT443_ESP32.bin", _USB)
add_command(app, push, "mqtt443 push --config config.json", _USB)
add_command(app, monitor, "mqtt443 monitor --port /dev/ttyUSB0", _USB)
add_command(app, board, "mqtt443 board --config config.json --seconds 10", _HERE)
add_command(app, watch, "mqtt443 watch --filter 'telemetry/#' --json --count 10", _HERE)
add_command(app, console, "mqtt443 console --port 8444", _HERE)
add_command(app, export, "mqtt443 export --since 1h > messages.ndjson", _HERE)
add_command(app, load, "mqtt443 load --devices 1000 --rate 200 --seconds 30 --picture load.svg", _HERE)
add_command(app, send, "mqtt443 send my-board interval interval_s=5", _DEVICES)
add_command(app, update, "mqtt443 update my-board --config interval_s=30", _DEVICES)
add_command(app, check, "mqtt443 check --config config.json", _DEVICES)
app.add_typer(local_app, name="local", rich_help_panel=_HERE)
app.add_typer(device_app, name="device", rich_help_panel=_DEVICES)
app.add_typer(config_app, name="config", rich_help_panel=_DEVICES)
app.add_typer(factory_app, name="factory", rich_help_panel=_USB)
app.add_typer(cloud_app, name="cloud", rich_help_panel=_AWS)


def main() -> None:
    """Run the command line; exits 0 done, 1 failed, 2 wrong use, 130 interrupted."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that the terminal's encoding lacks must not end a command
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except CommandError as error:
        _fail(str(error), error.exit_code)
    except BrokenPipeError:  # `mqtt443 watch | head`: the reader is gone
        _end_output()
        sys.exit(1)
    except OSError as error:
        if error.filename is not None:  # a file or folder that cannot be used
            _fail(f"{error.filename}: {error.strerror}")
        if error.errno not in _OUTPUT_ERRNOS:
            raise
        _fail(f"standard output cannot be written: {error.strerror}")


def _fail(message: str, exit_code: int = 1) -> NoReturn:
    """Exit with one line on standard error."""
    print(f"mqtt443: {printable(message, MAX_LINE_CHARS)}", file=sys.stderr)
    _end_output()
    sys.exit(exit_code)


def _end_output() -> None:
    """Discard what standard output did not accept; otherwise Python would try again at exit, and complain."""
    if sys.stdout is None:  # closed by the program that started this one
        return
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
