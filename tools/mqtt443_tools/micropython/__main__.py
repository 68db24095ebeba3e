"""The command `python -m mqtt443_tools.micropython`: a thin shell over the library beside it."""

import sys
from functools import partial
from typing import Annotated

import typer

from mqtt443_tools.micropython import RECIPES, BuildError, find
from mqtt443_tools.micropython import build as build_interpreters

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.command()
def build(
    names: Annotated[
        list[str] | None, typer.Argument(help=f"Which: {', '.join(RECIPES)}. All if none is named.")
    ] = None,
) -> None:
    """Build the test interpreters into build/micropython, where they are not there and up to date.

    Example: python -m mqtt443_tools.micropython build stock alpn
    """
    if unknown := [name for name in names or [] if name not in RECIPES]:
        print(f"no interpreter is called {unknown[0]}; there are {', '.join(RECIPES)}", file=sys.stderr)
        raise typer.Exit(2)
    try:
        build_interpreters(names or None, say=partial(print, flush=True))
    except BuildError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from error


@app.command("list")
def list_() -> None:
    """Show which interpreters are there and up to date.

    Example: python -m mqtt443_tools.micropython list
    """
    for name in RECIPES:
        print(f"{name:12}{find(name) or 'not built'}")


if __name__ == "__main__":
    app()
