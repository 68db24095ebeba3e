"""Loads the user's sensors.py, once, at the start. Imported on demand."""

from .readings import reason


def load():
    """Return (read, failure): the function `read` of sensors.py on the board's root, or why there is none.

    failure: a text if the file cannot be imported or has no `read`. Both are None if there is no such file.
    Raises KeyboardInterrupt, and nothing else, whatever the file does.
    """
    try:
        import sensors

        return sensors.read, None
    except BaseException as e:  # SystemExit, too
        why = reason(e)
        if isinstance(e, SyntaxError) and _marked():
            why = "sensors.py begins with a byte order mark; save it as UTF-8 without one"
        # Only the file's own absence is no error; a module that it misses is one.
        return None, None if isinstance(e, ImportError) and "'sensors'" in str(e) else why


def _marked():
    """Return whether sensors.py begins with a byte order mark, which MicroPython takes for a mistake."""
    try:
        with open("sensors.py", "rb") as file:
            return file.read(3) == b"\xef\xbb\xbf"
    except OSError:
        return False
