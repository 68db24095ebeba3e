"""The command `mqtt443 local`: runs the local AWS IoT Core endpoint until Ctrl-C.

A thin shell over mqtt443_tools.localcore: events and the Lambda's log go to standard error, `ready ...` to standard
output.
"""

import asyncio
import errno
import gc
import io
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mqtt443_tools.local.fault_command import fault
from mqtt443_tools.localcore.auth.login_log import RecentLogins, parse_login
from mqtt443_tools.support import lambda_zip
from mqtt443_tools.support.command_line import add_command, new_app
from mqtt443_tools.support.console import Console
from mqtt443_tools.support.errors import CommandError, UsageError
from mqtt443_tools.support.options import given_options
from mqtt443_tools.support.paths import STATE
from mqtt443_tools.support.posix import needs_posix

if TYPE_CHECKING:
    from mqtt443_tools.localcore.events import Event
    from mqtt443_tools.localcore.front.server import LocalCore
    from mqtt443_tools.localcore.history_writer import HistoryWriter
    from mqtt443_tools.localcore.settings import Settings

RECENT_LOGINS = 100
YOUNG_OBJECTS = 20_000
"""New objects until the garbage collector looks at them; with Python's 700 it took a sixth of the time of a connect."""
CONSOLE_END_S = 5
app = new_app(
    "local",
    "Run a local AWS IoT Core endpoint on this machine, until Ctrl-C.",
    "mqtt443 local --port 8443",
    runs_alone=True,
)
add_command(app, fault, "mqtt443 local fault kitchen stall")

STYLES = {"accepted": "green", "refused": "red", "closed": "yellow", "dropped": "magenta"}


@app.callback()
def local(
    context: typer.Context,
    *,
    port: Annotated[int, typer.Option(help="TCP port; 0 picks a free one.")] = 8443,
    name: Annotated[
        str | None,
        typer.Option(
            show_default=False,
            help="Host name of the endpoint; clients must send it as SNI. Default: localhost, or the address of --lan.",
        ),
    ] = None,
    lan: Annotated[
        bool, typer.Option("--lan", help="Accept boards on your network, at this machine's address.")
    ] = False,
    address: Annotated[
        str | None, typer.Option(show_default=False, help="For --lan: the address to use, if this machine has several.")
    ] = None,
    state: Annotated[Path, typer.Option(help="Folder with the CA and the devices.")] = STATE,
    domain_name: Annotated[
        str | None, typer.Option(help="Also emulate a domain configuration (MQTT without ALPN) of this name.")
    ] = None,
    domain_port: Annotated[int, typer.Option(help="TCP port of the domain configuration; 0 picks a free one.")] = 0,
    zip_file: Annotated[
        Path | None, typer.Option("--zip", help="Run the authorizer in this zip (`mqtt443 cloud zip`), not ours.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a setting of the endpoint; repeatable."),
    ] = None,
    no_console: Annotated[bool, typer.Option("--no-console", help="Do not serve the live page.")] = False,
) -> None:
    """Run a local AWS IoT Core endpoint on this machine, until Ctrl-C."""
    if context.invoked_subcommand is not None:
        _refuse_options(context)
        return
    needs_posix("mqtt443 local")
    from mqtt443_tools.localcore.localcore_errors import SettingError, StateFolderError  # noqa: PLC0415
    from mqtt443_tools.localcore.settings import Settings  # noqa: PLC0415

    console = Console(to_stderr=True)
    chosen: dict[str, Any] = {
        "port": port,
        "name": name or "localhost",
        "state": state,
        "domain_name": domain_name,
        "domain_port": domain_port,
    }
    if lan or address is not None:
        chosen |= _on_the_network(console, state, name, address)
    try:
        chosen |= parse_settings(settings or ())
        checked = Settings(**chosen)
    except SettingError as error:
        raise UsageError(f"{error}; see mqtt443 local --help") from None
    try:
        with _code(zip_file) as code:
            asyncio.run(serve(checked, console, code, has_page=not no_console))
    except StateFolderError as error:
        raise CommandError(str(error)) from None
    except BrokenPipeError:  # the reader of its output is gone; main() handles that
        raise
    except OSError as error:
        problem = f"cannot listen on {checked.bind} port {checked.port}: {os.strerror(error.errno or 0)}"
        other = "--address" if error.errno == errno.EADDRNOTAVAIL else "--port"
        raise CommandError(f"{problem}; choose another with {other}") from None


def _refuse_options(context: typer.Context) -> None:
    """Refuse options in front of a subcommand, which would not get them. Raises UsageError."""
    for option in given_options(context).values():
        raise UsageError(f"write {option} behind {context.invoked_subcommand}; in front of it, it has no effect")


def _on_the_network(console: Console, state: Path, name: str | None, wanted: str | None) -> dict[str, str]:
    """Return the settings that let boards in: where to listen, and what the certificate holds. Raises CommandError."""
    from mqtt443_tools.local.lan import choose_address, lan_addresses, own_names  # noqa: PLC0415
    from mqtt443_tools.localcore.endpoint_file import known_endpoint  # noqa: PLC0415

    def ask(lines: Sequence[str]) -> int:
        return console.choose("Which address can the boards reach? Number", lines, "")

    last = known_endpoint(state)
    address = choose_address(
        lan_addresses() if wanted is None else (),
        wanted,
        last.bind if last is not None else None,
        ask if console.is_attended else None,
    )
    host = name or address
    if last is not None and last.host not in {host, "localhost"}:
        console.warn(f"boards that were told {last.host} no longer find this endpoint: push them the new {host}")
    return {"bind": address, "name": host, "also": ",".join(own_names() if name is None else [address, *own_names()])}


def parse_settings(texts: Sequence[str]) -> dict[str, object]:
    """Parse the values of `--set`. Raises SettingError."""
    from mqtt443_tools.localcore.settings import parse_setting  # noqa: PLC0415

    return dict(parse_setting(text) for text in texts)


@contextmanager
def _code(zip_file: Path | None) -> Iterator[Path]:
    """Yield a folder with the authorizer's code and nothing else, unpacked as by Lambda. Raises CommandError."""
    with tempfile.TemporaryDirectory(prefix="mqtt443-code-") as folder:
        try:
            lambda_zip.unpack(zip_file or io.BytesIO(lambda_zip.build()), Path(folder))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            is_replaceable = zip_file is not None and (zip_file.is_file() or not zip_file.exists())
            ours = zip_file if is_replaceable else "authorizer.zip"
            raise CommandError(f"{zip_file}: {reason}; write one with: mqtt443 cloud zip {ours}") from None
        yield Path(folder)


def describe_log(line: str, decision: dict[str, Any] | None) -> str:
    """Return a line of the Lambda's log for people: the authorizer's decision in words, anything else as it is."""
    if decision is None:
        return f"lambda | {line}"
    who = decision.get("client_id") or decision.get("username") or "a client"
    return f"authorizer: {decision['decision']} {who}: {decision.get('reason')} ({decision.get('duration_ms')} ms)"


@asynccontextmanager
async def _page(state: Path) -> AsyncIterator[None]:
    """Serve the console in a separate process, which prints its link; it ends with its standard input."""
    command = (sys.executable, "-m", "mqtt443_tools.console", "--state", str(state))
    process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE, stdout=sys.stderr)
    try:
        yield
    finally:
        if process.stdin is not None:
            process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), CONSOLE_END_S)
        except TimeoutError:
            process.kill()
            await process.wait()


async def serve(settings: "Settings", console: Console, code: Path, *, has_page: bool) -> None:
    """Run the endpoint until SIGINT or SIGTERM.

    Args:
        settings: of the endpoint.
        console: gets a line for each event, and the Lambda's log.
        code: folder with the authorizer's code.
        has_page: serve the live page in the browser.

    Raises:
        StateFolderError, OSError: see LocalCore.start.
    """
    from mqtt443_tools.localcore.auth.account import product_registry  # noqa: PLC0415
    from mqtt443_tools.localcore.clock import SystemClock  # noqa: PLC0415
    from mqtt443_tools.localcore.front.server import LocalCore as Core  # noqa: PLC0415
    from mqtt443_tools.localcore.history_writer import writing_history  # noqa: PLC0415

    logins = RecentLogins(RECENT_LOGINS)
    writer: HistoryWriter | None = None
    core: LocalCore | None = None

    def log(line: str) -> None:
        login = parse_login(line)
        if login is not None:
            logins.add(login)
            if core is not None:
                core.note_login(login)
        console.say(describe_log(line.rstrip(), login), style="dim")

    def on_event(event: "Event") -> None:
        if writer is not None:
            writer.take_event(event)
        at = time.strftime("%H:%M:%S", time.localtime(event.time))
        console.say(f"{at} {event.line()}", style=STYLES[event.outcome])

    def complain(odd: "sys.UnraisableHookArgs") -> None:
        # Python's ssl reports a server name that is not text here, and the event of the refused client names it.
        if not isinstance(odd.exc_value, UnicodeDecodeError):
            log(f"{type(odd.exc_value).__name__} in a callback; only its connection was closed")

    sys.unraisablehook = complain
    loop = asyncio.get_running_loop()
    clock = SystemClock(loop)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    registry = product_registry(settings, clock, log, code)
    gc.set_threshold(YOUNG_OBJECTS)
    core = Core(settings, registry, clock=clock, on_event=on_event, log=log, logins=logins)
    async with AsyncExitStack() as cleanup:
        cleanup.push_async_callback(registry.close)
        cleanup.push_async_callback(core.stop)
        await core.start()
        writer = await cleanup.enter_async_context(writing_history(settings.state, logins.of_connection, log))
        cleanup.push_async_callback(core.stop)  # before the history is closed: it tells how connections ended
        core.broker.watch(writer.take_message)
        domain = f" domain={settings.domain_name} domain_port={core.domain_port}" if settings.domain_name else ""
        gc.freeze()  # what lives as long as the process is not looked at again
        print(f"ready host={settings.name} port={core.port} ca={core.ca_path}{domain}", flush=True)
        if settings.also:
            console.say(
                f"boards on this network: endpoint {settings.name}, port {core.port}, or by name: {settings.also}"
            )
            option = "" if settings.state == STATE else f" --state {settings.state}"
            console.say(f"to register one: mqtt443 device add NAME --out config.json{option}; then mqtt443 push")
        if has_page:
            async with _page(settings.state):
                await stop.wait()
        else:
            await stop.wait()
