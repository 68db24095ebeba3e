"""The command `mqtt443`: puts the subcommands together, one file each, and turns their errors into exit codes."""

import os
import sys

import typer

from mqtt443_tools.board.board_command import board
from mqtt443_tools.check.check_command import check
from mqtt443_tools.cloud.cloud_command import app as cloud_app
from mqtt443_tools.config.config_command import app as config_app
from mqtt443_tools.device.device_command import app as device_app
from mqtt443_tools.flash.flash_command import flash
from mqtt443_tools.local.local_command import local
from mqtt443_tools.monitor.monitor_command import monitor
from mqtt443_tools.push.push_command import push
from mqtt443_tools.support.errors import CommandError
from mqtt443_tools.watch.watch_command import watch

app = typer.Typer(
    name="mqtt443",
    help="An ESP32 talks to AWS IoT Core with a user name and a password, over port 443.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(local)
app.add_typer(device_app, name="device")
app.command()(board)
app.command()(watch)
app.command()(flash)
app.add_typer(config_app, name="config")
app.command()(push)
app.command()(monitor)
app.command()(check)
app.add_typer(cloud_app, name="cloud")


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
