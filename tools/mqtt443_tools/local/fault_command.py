"""The command `mqtt443 local fault`: lets the local endpoint misbehave towards one device, to see how it copes."""

import json
from typing import Annotated

import typer

from mqtt443_tools.support.console import Console
from mqtt443_tools.support.errors import UsageError
from mqtt443_tools.support.options import JsonOption, StateOption
from mqtt443_tools.support.paths import STATE
from mqtt443_tools.support.posix import needs_posix
from mqtt443_tools.support.printable import printable


def fault(
    client_id: Annotated[
        str | None, typer.Argument(metavar="CLIENT_ID", show_default=False, help="The device.")
    ] = None,
    name: Annotated[
        str | None, typer.Argument(metavar="FAULT", show_default=False, help="The fault to switch.")
    ] = None,
    *,
    off: Annotated[
        bool,
        typer.Option(
            "--off", help="Switch it off; without FAULT, all faults of the device; without CLIENT_ID, all faults."
        ),
    ] = False,
    as_json: JsonOption = False,
    state: StateOption = STATE,
) -> None:
    """Switch a fault of the local endpoint on or off for one device, or list the faults that are on.

    Faults: drop, stall, refuse, close-after-connack, lose-pubacks, expire-session, throttle, wrong-certificate.
    """
    needs_posix("mqtt443 local")
    from mqtt443_tools.localcore.control.control_client import ControlClient  # noqa: PLC0415
    from mqtt443_tools.localcore.faults import MEANING, Fault  # noqa: PLC0415

    if name is not None and name not in set(Fault):
        raise UsageError(f"no fault {name}; faults are {', '.join(Fault)}")
    if client_id is not None and name is None and not off:
        raise UsageError(f"which fault? mqtt443 local fault {client_id} FAULT, one of {', '.join(Fault)}")
    chosen = None if name is None else Fault(name)
    with ControlClient(state) as control:
        found = control.switch_fault(client_id, chosen, on=not off) if client_id or off else control.faults()
    if as_json:
        typer.echo(json.dumps(found))
        return
    console = Console()
    if chosen is not None and not off:
        console.say(f"{printable(client_id or '')}: {chosen}: {MEANING[chosen]}")
        option = "" if state == STATE else f" --state {state}"
        console.say(f"switch it off with: mqtt443 local fault {printable(client_id or '')} {chosen} --off{option}")
        return
    for each in found:
        console.say(f"{printable(each['client_id'])}: {each['fault']}, has acted {each['hits']} times")
    if not found:
        console.say("no faults are on")
