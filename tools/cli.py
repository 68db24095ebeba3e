"""The command `mqtt443`: puts the subcommands together, one file each, and turns their errors into exit codes."""

import os
import sys

import typer

from tools import board, config, device, local, monitor, watch
from tools.check import command as check
from tools.cloud import command as cloud
from tools.errors import CommandError
from tools.flash import command as flash
from tools.push import command as push

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
