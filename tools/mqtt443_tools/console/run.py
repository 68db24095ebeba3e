"""Serves the console on 127.0.0.1 until it is told to stop."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import threading
from pathlib import Path

import uvicorn

from mqtt443_tools.console.feed import Feed
from mqtt443_tools.console.guard import Access
from mqtt443_tools.console.local_source import LocalSource
from mqtt443_tools.console.web import Web
from mqtt443_tools.localcore.history import HISTORY_FILE, History
from mqtt443_tools.support.errors import CommandError

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
    source = LocalSource(state)
    history = History(state / HISTORY_FILE)
    try:
        with socket.create_server(("127.0.0.1", port)) as listener:
            access = Access(listener.getsockname()[1])
            web = Web(source, Feed(source, history.events()), history, access)
            asyncio.run(_serve(web, access, listener, until_stdin_ends=until_stdin_ends))
    except OSError as error:
        raise CommandError(f"cannot listen on port {port}: {os.strerror(error.errno or 0)}; try --port 0") from None
    finally:
        history.close()


async def _serve(web: Web, access: Access, listener: socket.socket, *, until_stdin_ends: bool) -> None:
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
    server = uvicorn.Server(config)
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
