"""What a start of the board means: why it started, how often in a row it crashed, whether it must stay at the prompt.

Loaded at the start, and forgotten. Nothing here stops the program or resets the board; `app.run` obeys.
"""

import os

from . import errors, state


def begin(root, log):
    """Count this start; return (reason, cause, counters).

    root: folder in front of file names. log: takes a line.
    reason: a text if the board must stay at its prompt, else None: the file `safe_mode` is there, or the last three
    starts all ended in a crash, that is in a reset before `healthy`. Power-on, deep sleep and a soft reset end none.
    cause: why the board started, for its next message: what `ending.reset` saved, else "watchdog" or "reset" (a panic,
    or `machine.reset()` by others); None after power-on, deep sleep and a soft reset.
    counters: what `ending` put into RTC memory, whole numbers by name.
    """
    try:
        from machine import reset_cause

        code = reset_cause()
    except ImportError:
        code = 1
    counters = {"starts": 0}
    for name, count in state.recall().items():
        if isinstance(count, int):
            counters[name] = count
    starts = counters["starts"]
    what = None
    # ESP32 (modmachine.h): 1 power-on, also RESET and a brownout, 2 reset or panic, 3 watchdog, 4 deep sleep, 5 soft
    # reset; 0 for what it does not know.
    if code in (1, 4, 5):
        starts = 0
    else:
        what = "watchdog" if code == 3 else "reset"
    values = state.load(root + "state", log)
    saved = values.get("cause")
    new = reason = None  # a saved cause is told once
    try:
        os.stat(root + "safe_mode")
        new = saved
        reason = "delete the file safe_mode"
    except OSError:
        if starts >= 3:
            # Told in the next message, too: nobody may be at the prompt.
            new = reason = "three crashes in a row; the last: " + what
    if reason:
        starts = -1  # so that the next reset tries again
        reason = "safe mode: %s. Press RESET to try again" % reason
    try:
        counters["starts"] = starts + 1
        state.remember(counters)
        if saved != new:
            values["cause"] = new
            state.save(root + "state", values)
    except (OSError, ValueError) as e:
        log("state: %s" % e)
    return reason, saved if isinstance(saved, str) else what, counters


def pin_held(pin):
    """Return whether the pin of that number is held low; the chip pulls it up.

    Raises ConfigError if the chip has no such pin.
    """
    try:
        from machine import Pin

        return not Pin(pin, Pin.IN, Pin.PULL_UP).value()
    except ImportError:
        return False
    except ValueError:
        raise errors.ConfigError("safe_pin: this chip has no pin %d" % pin)


def healthy():
    """Clear the count of starts: this one was none of those that crash. To be called, too, when `run` returns."""
    values = state.recall()
    if values.get("starts"):
        values["starts"] = 0
        state.remember(values)
