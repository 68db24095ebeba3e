"""The shell around every command: prints errors as one line, with an exit code for the kind of error."""

import inspect
import sys
from collections.abc import Callable
from typing import Any

import typer
import typer.rich_utils
from typer.core import TyperGroup

from mqtt443_tools.support.console import no_color


class OneLineErrors(TyperGroup):
    """A group of commands that reports wrong use in one line instead of typer's box."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run the command line, and exit with its code; with `standalone_mode=False`, return or raise instead."""
        is_standalone = extra.pop("standalone_mode", True)
        extra["standalone_mode"] = False
        if not is_standalone:
            return super().main(*args, **extra)
        try:
            code = super().main(*args, **extra)
        except typer.Abort:  # the end of input at a question
            print("mqtt443: a question was left unanswered; nothing more was done", file=sys.stderr)
            sys.exit(1)
        except typer.TyperException as error:
            if str(error) or getattr(error, "message", ""):  # a group without a command has printed its help
                print(_line(error), file=sys.stderr)
            sys.exit(getattr(error, "exit_code", 2))
        sys.exit(code if isinstance(code, int) else 0)


def _line(error: typer.TyperException) -> str:
    """Return what is wrong, where, and how to look it up."""
    message = str(getattr(error, "format_message", lambda: error)())
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "mqtt443"
    return f"{command}: {message.rstrip('.')}; see {command} --help"


def add_command(app: typer.Typer, command: Callable[..., object], example: str, panel: str | None = None) -> None:
    """Add a command to a group; its docstring is its help.

    Args:
        app: the group.
        command: its parameters are the options.
        example: a command that works; its help ends with it.
        panel: heading in the group's own help; None: "Commands".
    """
    paragraphs = inspect.cleandoc(command.__doc__ or "").split("\n\n")
    text = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)  # the terminal wraps the lines
    app.command(help=text, epilog=f"Example: {example}", rich_help_panel=panel)(command)


def new_app(name: str, text: str, example: str | None = None, *, runs_alone: bool = False) -> typer.Typer:
    """Return a command group.

    Args:
        name: as it is typed.
        text: what it is for, one sentence.
        example: a command that works.
        runs_alone: whether the group does something without a subcommand; its callback does it.
    """
    if no_color():
        typer.rich_utils.COLOR_SYSTEM = None  # typer itself keeps bold and underline
    return typer.Typer(
        name=name,
        cls=OneLineErrors,
        help=text,
        epilog=example and f"Example: {example}",
        no_args_is_help=not runs_alone,
        invoke_without_command=runs_alone,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
