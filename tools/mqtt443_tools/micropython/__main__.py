"""The command `python -m mqtt443_tools.micropython`: a thin shell over the library beside it."""

import sys
from typing import Annotated

import typer

from mqtt443_tools.micropython import builder
from mqtt443_tools.micropython.recipes import RECIPES, find
from mqtt443_tools.support.command_line import new_app
from mqtt443_tools.support.console import Console
from mqtt443_tools.support.errors import CommandError, UsageError
from mqtt443_tools.support.posix import needs_posix

app = new_app("python -m mqtt443_tools.micropython", "Build real MicroPython for the virtual board and the tests.")


@app.command(epilog="Example: python -m mqtt443_tools.micropython build stock alpn")
def build(
    names: Annotated[list[str] | None, typer.Argument(help=f"Which: {', '.join(RECIPES)}. Default: all.")] = None,
) -> None:
    """Build the interpreters that are missing or out of date."""
    needs_posix("the build of MicroPython")
    if unknown := [name for name in names or [] if name not in RECIPES]:
        raise UsageError(f"no interpreter is called {unknown[0]}: choose from {', '.join(RECIPES)}")
    builder.build(names or None, console=Console())


@app.command("list", epilog="Example: python -m mqtt443_tools.micropython list")
def show() -> None:
    """Show which interpreters are built and up to date."""
    for name in RECIPES:
        print(f"{name:12}{find(name) or 'not built'}")


if __name__ == "__main__":
    try:
        app()
    except CommandError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
