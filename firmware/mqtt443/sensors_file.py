"""Loads the user's sensors.py, once, at the start. Imported on demand."""

from .readings import reason


def load():
    """Return (read, failure): the function `read` of sensors.py in the board's root, or why it cannot be used.

    failure: a text if the file cannot be imported or has no `read`. Both are None if the file does not exist.
    Raises only KeyboardInterrupt, whatever the file does.
    """
    try:
        import sensors

        return sensors.read, None
    except BaseException as e:  # also SystemExit
        why = reason(e)
        if isinstance(e, SyntaxError) and _marked():
            why = "sensors.py begins with a byte order mark; save it as UTF-8 without one"
        # It is no error if the file is missing, but one if a module that it imports is.
        return None, None if isinstance(e, ImportError) and "'sensors'" in str(e) else why


def _marked():
    """Return whether sensors.py begins with a byte order mark, which MicroPython takes for a mistake."""
    try:
        with open("sensors.py", "rb") as file:
            return file.read(3) == b"\xef\xbb\xbf"
    except OSError:
        return False
