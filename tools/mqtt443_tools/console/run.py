"""Serves the console on 127.0.0.1 until it is told to stop."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from mqtt443_tools.console.feed import Feed
from mqtt443_tools.console.guard import Access
from mqtt443_tools.console.local_source import LocalSource
from mqtt443_tools.console.recent import Past
from mqtt443_tools.console.source import Source
from mqtt443_tools.console.web import Web
from mqtt443_tools.localcore.history import HISTORY_FILE, History
from mqtt443_tools.support.errors import CommandError

if TYPE_CHECKING:
    from mqtt443_tools.cloud.aws import Aws

CLOSE_S = 1


def run_local(state: Path, *, port: int, until_stdin_ends: bool = False) -> None:
    """Show the local endpoint.

    Args:
        state: its state folder, which exists.
        port: to listen on; 0 picks a free one.
        until_stdin_ends: stop when standard input ends, because the parent process has.

    Raises:
        CommandError: the port is in use, or the history cannot be opened.
    """
    history = History(state / HISTORY_FILE)
    try:
        _run(LocalSource(state), history, port, until_stdin_ends=until_stdin_ends)
    finally:
        history.close()


def run_stack(aws: Aws, stack: str, *, state: Path, port: int, topic_filter: str, options: Sequence[str]) -> None:
    """Show a deployed stack.

    Args:
        aws: account and region.
        stack: its name.
        state: folder with the key that signs tokens.
        port: to listen on; 0 picks a free one.
        topic_filter: which messages to show.
        options: options that lead `mqtt443 device` to the stack.

    Raises:
        CommandError: there is no such stack, the AWS SDK is not installed, or the port is in use.
    """
    # AWS's SDK takes a second to load, and the local mode does not need it.
    from mqtt443_tools.cloud.aws_backend import AwsBackend  # noqa: PLC0415
    from mqtt443_tools.console.aws_source import AwsSource  # noqa: PLC0415
    from mqtt443_tools.watch.aws_messages import needs_sdk, open_watcher  # noqa: PLC0415

    needs_sdk("mqtt443 console --stack")
    backend = AwsBackend(aws, stack, state)
    _ = backend.stack  # report a wrong name before a page is open
    source = AwsSource(aws, backend, stack, topic_filter, options=options, connect=lambda: open_watcher(aws, stack))
    _run(source, source.recent, port)


def _run(source: Source, past: Past, port: int, *, until_stdin_ends: bool = False) -> None:
    try:
        with socket.create_server(("127.0.0.1", port)) as listener:
            access = Access(listener.getsockname()[1])
            server = server_of(Web(source, Feed(source, past.events()), past, access))
            asyncio.run(_serve(server, access, listener, until_stdin_ends=until_stdin_ends))
    except OSError as error:
        raise CommandError(f"cannot listen on port {port}: {os.strerror(error.errno or 0)}; try --port 0") from None


def server_of(web: Web) -> uvicorn.Server:
    """Return the server of the application."""
    config = uvicorn.Config(
        web.app,
        log_level="critical",  # an access log would contain the token
        access_log=False,
        ws="websockets-sansio",
        ws_max_size=1024,
        ws_max_queue=1,
        server_header=False,
        timeout_graceful_shutdown=CLOSE_S,
    )
    return uvicorn.Server(config)


async def _serve(server: uvicorn.Server, access: Access, listener: socket.socket, *, until_stdin_ends: bool) -> None:
    loop = asyncio.get_running_loop()

    def stop() -> None:
        server.should_exit = True

    if until_stdin_ends:
        loop.add_signal_handler(signal.SIGINT, lambda: None)  # Ctrl-C ends the parent, which closes standard input

        def wait_for_parent() -> None:
            sys.stdin.buffer.read()
            loop.call_soon_threadsafe(stop)

        threading.Thread(target=wait_for_parent, daemon=True).start()
    else:
        loop.add_signal_handler(signal.SIGINT, stop)
    loop.add_signal_handler(signal.SIGTERM, stop)
    print(f"console: {access.link}", file=sys.stderr, flush=True)
    await server._serve([listener])  # serve() would install its own signal handlers
