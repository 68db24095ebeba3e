"""The command `mqtt443 local`: runs the local AWS IoT Core endpoint until it is told to stop.

A thin shell over mqtt443_tools.localcore: decisions and the Lambda's log go to stderr, the line `ready ...` to stdout.
"""

import asyncio
import os
import signal
import sys
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from mqtt443_tools.localcore.auth.account import product_registry
from mqtt443_tools.localcore.clock import SystemClock
from mqtt443_tools.localcore.events import Decision
from mqtt443_tools.localcore.front.server import LocalCore
from mqtt443_tools.localcore.settings import SettingError, Settings, parse_setting
from mqtt443_tools.localcore.state_folder import StateFolderError
from mqtt443_tools.support.errors import CommandError, UsageError
from mqtt443_tools.support.paths import AUTHORIZER, STATE
from mqtt443_tools.support.printable import printable

STYLES = {"accepted": "green", "refused": "red", "closed": "yellow", "dropped": "magenta"}
MAX_LOG_CHARS = 2000
MAX_CODE_BYTES = 250 * 1024 * 1024  # unpacked (AWS Lambda Developer Guide, "Lambda quotas")


def local(
    *,
    port: Annotated[int, typer.Option(help="TCP port; 0 takes a free one.")] = 8443,
    name: Annotated[str, typer.Option(help="Host name of the endpoint; clients must send it as SNI.")] = "localhost",
    state: Annotated[Path, typer.Option(help="Folder with the CA and the devices.")] = STATE,
    domain_name: Annotated[
        str | None, typer.Option(help="Also play a domain configuration (MQTT without ALPN) of this name.")
    ] = None,
    domain_port: Annotated[int, typer.Option(help="TCP port of the domain configuration; 0 takes a free one.")] = 0,
    zip_file: Annotated[
        Path | None, typer.Option("--zip", help="Run the authorizer of this zip (`mqtt443 cloud zip`), not ours.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change one of tools/mqtt443_tools/localcore/settings.py."),
    ] = None,
) -> None:
    """Run a local AWS IoT Core endpoint on this machine, until Ctrl-C.

    Example: mqtt443 local --port 8443 --set connect_rate_per_s=0
    """
    chosen: dict[str, Any] = {
        "port": port,
        "name": name,
        "state": state,
        "domain_name": domain_name,
        "domain_port": domain_port,
    }
    try:
        chosen |= parse_settings(settings or ())
        checked = Settings(**chosen)
    except SettingError as error:
        raise UsageError(f"{error}; see mqtt443 local --help") from None
    try:
        with _code(zip_file) as code:
            asyncio.run(serve(checked, Console(stderr=True, highlight=False, soft_wrap=True), code))
    except StateFolderError as error:
        raise CommandError(str(error)) from None
    except BrokenPipeError:  # nobody reads what it says; main() knows
        raise
    except OSError as error:
        problem = f"cannot listen on port {checked.port}: {os.strerror(error.errno or 0)}"
        raise CommandError(f"{problem}; choose another with --port") from None


def parse_settings(texts: Sequence[str]) -> dict[str, object]:
    """Parse the values of `--set`. Raises SettingError."""
    return dict(parse_setting(text) for text in texts)


@contextmanager
def _code(zip_file: Path | None) -> Iterator[Path]:
    """Give the folder with the authorizer's code; a zip is unpacked for as long, as by Lambda. Raises CommandError."""
    if zip_file is None:
        yield AUTHORIZER
        return
    with tempfile.TemporaryDirectory(prefix="mqtt443-code-") as folder:
        try:
            with zipfile.ZipFile(zip_file) as archive:
                if sum(entry.file_size for entry in archive.infolist()) > MAX_CODE_BYTES:
                    raise CommandError(f"{zip_file}: Lambda takes no code of over {MAX_CODE_BYTES >> 20} MB")
                archive.extractall(folder)
        except OSError as error:
            raise CommandError(f"{zip_file}: {error.strerror}; write one with: mqtt443 cloud zip {zip_file}") from None
        except (zipfile.BadZipFile, zlib.error):
            raise CommandError(f"{zip_file}: no zip; write one with: mqtt443 cloud zip {zip_file}") from None
        yield Path(folder)


async def serve(settings: Settings, console: Console, code: Path) -> None:
    """Run the endpoint until SIGINT or SIGTERM; `code` is the authorizer's. Raises what LocalCore.start raises."""

    def log(line: str) -> None:
        console.print(Text(printable(line.rstrip(), MAX_LOG_CHARS), style="dim"))

    def decide(decision: Decision) -> None:
        at = time.strftime("%H:%M:%S", time.localtime(decision.time))
        console.print(Text(f"{at} {decision.line()}", style=STYLES[decision.outcome]))

    def complain(odd: "sys.UnraisableHookArgs") -> None:
        log(f"{type(odd.exc_value).__name__} in a callback, which cost no more than its connection")

    sys.unraisablehook = complain  # a server name that is no text ends in one: Python's ssl would print a traceback
    loop = asyncio.get_running_loop()
    clock = SystemClock(loop)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    registry = product_registry(settings, clock, log, code)
    core = LocalCore(settings, registry, clock=clock, decide=decide, log=log)
    try:
        await core.start()
        domain = f" domain={settings.domain_name} domain_port={core.domain_port}" if settings.domain_name else ""
        print(f"ready host={settings.name} port={core.port} ca={core.ca_path}{domain}", flush=True)
        await stop.wait()
    finally:
        await core.stop()
        await registry.close()
