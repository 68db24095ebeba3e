"""Makes text from outside safe to show, because a terminal obeys control characters."""

MAX_CHARS = 300
"""Default length of one piece of foreign text in a line."""


def printable(text: str, max_chars: int = MAX_CHARS, *, keep: str = "") -> str:
    """Escape control characters, and truncate the text.

    Args:
        text: anything from a network, a board or a file.
        max_chars: longest text that stays whole; a longer one ends in an ellipsis.
        keep: control characters to leave as they are, such as a tab.

    Returns:
        The text with every other non-printable character as a Python escape.
    """
    cut = text if len(text) <= max_chars else text[: max_chars - 1] + "…"
    if cut.isprintable():
        return cut
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode("ascii") for c in cut)
