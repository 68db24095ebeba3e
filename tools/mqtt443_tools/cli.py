"""The command `mqtt443`: puts the subcommands together, one file each, and turns their errors into exit codes."""

import os
import sys

import typer

from mqtt443_tools.board import board_command as board
from mqtt443_tools.check import check_command as check
from mqtt443_tools.cloud import cloud_command as cloud
from mqtt443_tools.config import config_command as config
from mqtt443_tools.device import device_command as device
from mqtt443_tools.flash import flash_command as flash
from mqtt443_tools.local import local_command as local
from mqtt443_tools.monitor import monitor_command as monitor
from mqtt443_tools.push import push_command as push
from mqtt443_tools.support.errors import CommandError
from mqtt443_tools.watch import watch_command as watch

app = typer.Typer(
    name="mqtt443",
    help="An ESP32 talks to AWS IoT Core with a user name and a password, over port 443.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(local.local)
app.add_typer(device.app, name="device")
app.command()(board.board)
app.command()(watch.watch)
app.command()(flash.flash)
app.add_typer(config.app, name="config")
app.command()(push.push)
app.command()(monitor.monitor)
app.command()(check.check)
app.add_typer(cloud.app, name="cloud")


def main() -> None:
    """Run the command line; exits 0 done, 1 failed, 2 wrong use, 130 interrupted."""
    try:
        app()
    except CommandError as error:
        print(f"mqtt443: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:  # `mqtt443 watch | head`: nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
