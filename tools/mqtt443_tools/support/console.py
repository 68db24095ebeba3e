"""Output and questions of the commands. The only module that knows the terminal.

With NO_COLOR set (https://no-color.org), or into a pipe, no escape sequences are written.
"""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TextIO

import rich.console
import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.style import Style
from rich.table import Table
from rich.text import Text

from mqtt443_tools.support.errors import UsageError
from mqtt443_tools.support.printable import printable

MAX_LINE_CHARS = 2000
PIPED_COLUMNS = 1000
PROGRESS_LINES = 10
"""Number of lines that show a progress without a terminal."""

UNATTENDED = "this needs your confirmation, and there is no terminal to ask at"

Advance = Callable[[int, int], None]
"""Called with the work done and the whole work, in any unit."""


def no_color() -> bool:
    """Return whether escape sequences are unwanted."""
    return bool(os.environ.get("NO_COLOR"))


def terminal(*, stderr: bool = False) -> rich.console.Console:
    """Return a rich console for standard output or standard error, which wraps and highlights nothing by itself."""
    system = None if no_color() else "auto"
    return rich.console.Console(stderr=stderr, highlight=False, soft_wrap=True, color_system=system)  # type: ignore[arg-type]


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether a standard stream is a terminal.

    Args:
        stream: `sys.stdin`, `sys.stdout` or `sys.stderr`; None if whoever started this program had closed it.
    """
    return stream is not None and stream.isatty()


def result_table(columns: Mapping[str, bool]) -> Table:
    """Return an empty table for a result.

    Args:
        columns: the name of each, and whether its cells may be folded; identifiers of devices are never cut.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, is_folded in columns.items():
        table.add_column(name, overflow="fold" if is_folded else "ellipsis", no_wrap=not is_folded)
    return table


def print_table(table: Table) -> None:
    """Print a table on standard output, as wide as the terminal; into a pipe, plain and as wide as needed."""
    out = terminal() if is_terminal(sys.stdout) else rich.console.Console(width=PIPED_COLUMNS, color_system=None)
    out.print(table)


class Console:
    """The user at the terminal, if there is one.

    Args:
        to_stderr: lines go to standard error, because standard output holds a result for a script.
        yes: answer every yes or no question with yes.
    """

    def __init__(self, *, to_stderr: bool = False, yes: bool = False) -> None:
        self._yes = yes
        self._lines = terminal(stderr=to_stderr)
        self._err = terminal(stderr=True)

    def say(self, line: str, style: str = "") -> None:
        """Print a line; control characters in it are escaped.

        Args:
            line: any text.
            style: as rich names it, such as "red bold".
        """
        # The local endpoint prints several lines for each connection: rich's layout of a line would cost more than TLS.
        text = printable(line, MAX_LINE_CHARS)
        if style and self._lines.color_system is not None:
            text = Style.parse(style).render(text, color_system=rich.console.COLOR_SYSTEMS[self._lines.color_system])
        self._lines.file.write(f"{text}\n")
        self._lines.file.flush()

    def warn(self, line: str) -> None:
        """Print a line on standard error, where it does not mix with a result."""
        self._err.print(Text(printable(line, MAX_LINE_CHARS)))

    @property
    def is_attended(self) -> bool:
        """Whether there is a terminal to ask at."""
        return is_terminal(sys.stdin)

    def confirm(self, question: str, unattended: str = UNATTENDED) -> bool:
        """Ask a yes or no question.

        Args:
            question: ends in a question mark.
            unattended: why an answer is needed, for the UsageError; the advice to add --yes follows it.

        Raises:
            UsageError: there is no terminal, and no `yes`.
        """
        if self._yes:
            return True
        self._need_answer(f"{unattended}: add --yes")
        return typer.confirm(printable(question, MAX_LINE_CHARS), err=True)

    def confirm_name(self, question: str, name: str) -> bool:
        """Ask for a name, before something that cannot be undone; return whether it was typed correctly.

        Raises:
            UsageError: there is no terminal, and no `yes`.
        """
        if self._yes:
            return True
        self._need_answer(f"{UNATTENDED}: add --yes")
        answer: str = typer.prompt(printable(question, MAX_LINE_CHARS), err=True)
        return answer == name

    def ask(self, question: str, unattended: str, *, default: str | None = None, hidden: bool = False) -> str:
        """Ask for a text.

        Args:
            question: such as "Name of the network".
            unattended: the whole message of the UsageError.
            default: the value of an empty answer.
            hidden: do not echo the input.

        Raises:
            UsageError: there is no terminal.
        """
        self._need_answer(unattended)
        answer: str = typer.prompt(printable(question, MAX_LINE_CHARS), default=default, hide_input=hidden, err=True)
        return answer

    def choose(self, question: str, choices: Sequence[str], unattended: str) -> int:
        """Let the user choose by number; return the index of the choice.

        Raises:
            UsageError: there is no terminal; `unattended` is the whole message.
        """
        self._need_answer(unattended)
        for number, choice in enumerate(choices, 1):
            self._err.print(Text(f"{number}  {printable(choice)}"))

        def chosen(text: str) -> int:
            if not text.isdecimal() or not 1 <= int(text) <= len(choices):
                raise typer.BadParameter(f"expected a number from 1 to {len(choices)}")
            return int(text) - 1

        answer: int = typer.prompt(question, value_proc=chosen, err=True)
        return answer

    @contextmanager
    def progress(self, label: str, *, piped: bool = False) -> Iterator[Advance]:
        """Show progress on standard error while the block runs.

        Args:
            label: the activity, such as "writing".
            piped: without a terminal for a bar, print a line now and then.

        Yields:
            A function to call with the work done and the whole work.
        """
        if not self._err.is_terminal or no_color():
            yield _in_lines(label, self.warn) if piped else lambda _done, _total: None
            return
        columns = (TextColumn(label), BarColumn(), TextColumn("{task.percentage:>3.0f}%"), TimeRemainingColumn())
        with Progress(*columns, console=self._err, transient=True) as bar:
            task = bar.add_task("", total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)

    def _need_answer(self, unattended: str) -> None:
        if not self.is_attended:
            raise UsageError(unattended)


def _in_lines(label: str, say: Callable[[str], None]) -> Advance:
    shown = 0

    def advance(done: int, total: int) -> None:
        nonlocal shown
        step = done * PROGRESS_LINES // total if total else 0
        if step > shown:
            shown = step
            say(f"{label}: {100 * done // total} %")

    return advance
