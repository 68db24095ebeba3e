"""`mqtt443 board`: one virtual board that runs the unchanged boot.py and main.py with a config.json."""

import sys
import tempfile
import threading
from pathlib import Path
from typing import Annotated

import typer

from mqtt443_tools.support.console import Console
from mqtt443_tools.support.errors import CommandError, UsageError
from mqtt443_tools.support.fetch_umqtt import fetch_umqtt
from mqtt443_tools.support.options import ConfigOption, SecondsOption
from mqtt443_tools.support.posix import needs_posix
from mqtt443_tools.support.signals import all_as_ctrl_c
from mqtt443_tools.virtualboard import interpreters
from mqtt443_tools.virtualboard.supervisor import VirtualBoard, lay_out


def choose(name: str | None) -> interpreters.Interpreter:
    """Return the interpreter with this name, or the best available one; raises CommandError, UsageError."""
    if name is None:
        return interpreters.best()
    try:
        interpreter = interpreters.find(name)
    except KeyError as error:
        known = ", ".join(interpreters.names())
        raise UsageError(f"--interpreter {name}: no such interpreter; use one of {known}") from error
    if interpreter is None:
        raise CommandError(
            f"the interpreter {name} is not built; run `{sys.executable} -m mqtt443_tools.micropython build {name}`"
        )
    return interpreter


class _Output:
    """Shows the board's lines, except those about the interrupt with which --seconds ends it."""

    def __init__(self) -> None:
        self.is_time_up = False

    def show(self, line: str) -> None:
        if not (self.is_time_up and line.endswith("] stopped by Ctrl-C")):
            typer.echo(line)


def board(
    config: ConfigOption = Path("config.json"),
    seconds: SecondsOption = None,
    interpreter: Annotated[
        str | None,
        typer.Option(help=f"Interpreter: {', '.join(interpreters.names())}; default: the first that is built."),
    ] = None,
    mpy: Annotated[bool, typer.Option("--mpy", help="Compile the package to .mpy first, as push does.")] = False,
) -> None:
    """Run a virtual board, and show its console until Ctrl-C or --seconds.

    The exit code is 1 if its program ends by itself.
    """
    needs_posix("mqtt443 board")
    chosen = choose(interpreter)
    if seconds is not None and not seconds <= threading.TIMEOUT_MAX:
        raise UsageError(f"--seconds {seconds:g}: leave it out for a board that runs until Ctrl-C")
    if mpy and chosen is interpreters.CPYTHON:
        raise UsageError("--mpy: CPython cannot run .mpy files; leave it out, or build MicroPython")
    fetch_umqtt()
    with all_as_ctrl_c(), tempfile.TemporaryDirectory(prefix="mqtt443-flash-") as folder:
        root = Path(folder)
        lay_out(root, config, compiled=mpy)
        Console().warn(f"virtual board: {chosen.description}")
        output = _Output()
        with VirtualBoard(chosen, root, output.show) as running:
            try:
                at_prompt = running.wait(seconds)
                output.is_time_up = not at_prompt
            except KeyboardInterrupt:
                at_prompt = False
        if output.is_time_up:
            Console().warn(f"virtual board: switched off after {seconds:g} s")
    if at_prompt:
        raise CommandError("the board's program ended; a real board would be at its prompt now. Its last line says why")
