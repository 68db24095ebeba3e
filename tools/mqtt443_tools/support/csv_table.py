"""Mistakes in tables that the user saved as CSV."""

from collections.abc import Sequence


def wrong_separator(first: Sequence[str]) -> str | None:
    """Return what is wrong with the separators of a table, None if nothing is.

    Args:
        first: the cells of its first line, as `csv` reads them.
    """
    for separator, name in ((";", "semicolons"), ("\t", "tabs")):
        if len(first) == 1 and separator in first[0]:
            return f"the cells are separated by {name}; save the table with commas"
    return None
