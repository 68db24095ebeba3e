"""What a person sees while a board is flashed: lines, and a progress bar where there is a terminal to draw it on."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from mqtt443_tools.flash.flash_errors import KeptError
from mqtt443_tools.support.errors import UsageError

if TYPE_CHECKING:
    from mqtt443_tools.flash.ports import Port  # which loads pyserial


class Screen:
    """Prints what happens; with `as_json`, standard output is left to the result and all else goes to stderr."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._err = Console(stderr=True, highlight=False, soft_wrap=True)
        self._progress: Progress | None = None

    def say(self, line: str) -> None:
        """Print a line, as plain text."""
        typer.echo(line, err=self._as_json)

    def talk(self, line: str) -> None:
        """Print a line of esptool's, for `--verbose`."""
        typer.echo(f"esptool: {line}", err=True)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Show `progress` as a bar for the time of the block, if standard error is a terminal."""
        if not self._err.is_terminal:
            yield
            return
        columns = (TextColumn("writing"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"), TimeRemainingColumn())
        with Progress(*columns, console=self._err, transient=True) as bar:
            bar.add_task("", total=None)
            self._progress = bar
            try:
                yield
            finally:
                self._progress = None

    def progress(self, done: int, total: int) -> None:
        """Move the bar to `done` of `total` bytes."""
        if self._progress is not None:
            self._progress.update(self._progress.task_ids[0], completed=done, total=total)

    def ask_port(self, ports: "Sequence[Port]") -> "Port":
        """Let the person choose a port by its number."""
        for number, port in enumerate(ports, 1):
            typer.echo(f"{number}  {port.device}  {port.description}", err=True)

        def chosen(text: str) -> "Port":
            if not text.isdecimal() or not 1 <= int(text) <= len(ports):
                raise typer.BadParameter(f"expected a number from 1 to {len(ports)}")
            return ports[int(text) - 1]

        answer: Port = typer.prompt("Which one", value_proc=chosen, err=True)
        return answer

    def ask_erase(self, files: Sequence[str]) -> None:
        """Ask whether a board's files may go; raises KeptError if not, UsageError if nobody can answer."""
        held = ", ".join(files)
        if not sys.stdin.isatty():
            raise UsageError(f"this board holds {held}: to erase it, add --yes")
        if not typer.confirm(f"This board holds {held}. Erase it?", err=True):
            raise KeptError("nothing was erased")
