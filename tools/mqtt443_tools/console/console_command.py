"""The command `mqtt443 console`: serves the live page of an endpoint that already runs."""

from typing import Annotated

import typer

from mqtt443_tools.support.errors import CommandError
from mqtt443_tools.support.options import StateOption
from mqtt443_tools.support.paths import STATE
from mqtt443_tools.support.posix import needs_posix


def console(
    *,
    state: StateOption = STATE,
    port: Annotated[int, typer.Option(min=0, max=65535, help="TCP port on 127.0.0.1; 0 picks a free one.")] = 0,
) -> None:
    """Show devices, messages and refusals of the local endpoint in the browser, until Ctrl-C.

    Example: mqtt443 console --port 8444
    """
    needs_posix("mqtt443 console")
    from mqtt443_tools.console.run import run_local  # noqa: PLC0415 - loads the web server

    if not state.is_dir():
        raise CommandError(f"{state} does not exist; start an endpoint with: mqtt443 local --state {state}")
    run_local(state, port=port)
