"""The ways in which a start of the board ends by order: a reset with its cause saved, and deep sleep.

Loaded for that moment. Both clear the count of starts that `start.begin` reads as crashes.
"""

from . import state


def reset(root, cause, counters, log):
    """Reset the board; `start.begin` finds cause and counters again.

    root: folder in front of file names. cause: a text, None saves nothing. counters: whole numbers by name.
    Does not return on a board, whatever fails on the way (log says it); returns False where there is no reset.
    """
    try:
        from machine import reset
    except ImportError:
        return False
    _remember(counters)
    if cause:
        try:
            values = state.load(root + "state", log)
            values["cause"] = cause
            state.save(root + "state", values)
        except Exception as e:  # no memory may be what it resets for
            log("state: %s" % e)
    reset()
    return True


def deep_sleep(ms, counters):
    """Sleep ms milliseconds, at least 1, and start again with counters (whole numbers by name).

    Does not return on a board; returns False where there is no deep sleep.
    """
    try:
        from machine import deepsleep
    except ImportError:
        return False
    _remember(counters)
    deepsleep(max(ms, 1))  # 0 is for ever
    return True


def _remember(counters):
    counters["starts"] = 0
    try:
        state.remember(counters)
    except Exception:
        pass  # a board that does not reset is stuck, one that does not sleep empties its battery
