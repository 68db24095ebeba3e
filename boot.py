"""Runs first at power-on: chooses the slot from which main.py loads the package mqtt443. Never replaced over the air.

Does nothing if the file `slot` is missing, as after a push. The file holds SLOT STARTS WHY. SLOT is "a" (the folder
lib, which push fills) or "b" (the folder slot_b). STARTS is the number of starts that the slot has left to connect and
publish, "-" once it has done so, "!" if the other slot failed; WHY is then the last error. See docs/updates.md.
"""

import os
import sys
import time

FOLDERS = {"a": "lib", "b": "slot_b"}
# How long a start of a package on trial may take to connect and publish.
LIMIT_MS = 360000


def read_slot():
    """Return the three fields of the file `slot`; None if the file is missing or invalid."""
    try:
        with open("slot") as file:
            fields = file.read().split(" ", 2)
        return fields if len(fields) == 3 and fields[0] in FOLDERS else None
    except (OSError, ValueError):
        return None


def write_slot(slot, starts, why):
    """Replace the file `slot`; return whether flash took it."""
    try:
        with open("slot.new", "w") as file:
            file.write("%s %s %s" % (slot, starts, why[:100]))
        os.rename("slot.new", "slot")
    except OSError:
        return False
    return True


def choose(slot, starts, why):
    """Import the package from its slot; return the function that runs it on trial, or None if it is trusted."""
    other = "b" if slot == "a" else "a"
    left = {"2": "1", "1": "0"}.get(starts)
    on_trial = left is not None and write_slot(slot, left, why)
    if on_trial:
        starts = left
        from machine import WDT

        WDT(timeout=LIMIT_MS)  # unless the package feeds it, the board restarts
    elif left or starts == "0":  # also where flash is too full to count a start
        slot, starts = other, "!"
        write_slot(slot, starts, why)
    sys.path.insert(0, FOLDERS[slot])
    try:
        import mqtt443  # noqa: F401 (main.py finds it loaded)
    except Exception as error:
        if starts == "!":
            raise
        if on_trial:
            start_again(slot, starts, error)
        start_again(other, "!", error)
    finally:
        sys.path.pop(0)
    return on_trial and make_trial(slot, starts)


def start_again(slot, starts, error=None):
    """Note the error in the file `slot`, and reset."""
    from machine import reset

    if error:
        why = "%s: %s" % (type(error).__name__, error)
        print("slot: " + why)
        write_slot(slot, starts, why)
    reset()


def make_trial(slot, starts):
    """Return the function that runs the package on trial; the board restarts whenever it ends, except by Ctrl-C."""
    ticks_ms = getattr(time, "ticks_ms", lambda: int(time.monotonic() * 1000))
    began = ticks_ms()
    passed = False

    def over():
        nonlocal passed
        if not passed and (ticks_ms() - began) & 0x3FFFFFFF > LIMIT_MS:
            passed = (read_slot() or "--")[1] == "-"
            return not passed
        return False

    def trial():
        try:
            from mqtt443 import run

            if run(stop=over) and not over():
                return  # Ctrl-C
        except Exception as error:
            start_again(slot, starts, error)
        start_again(slot, starts)

    return trial


trial = read_slot()
trial = trial and choose(*trial)
if not trial:
    del read_slot, write_slot, choose, start_again, make_trial
