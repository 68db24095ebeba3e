"""The slots of the package: which one runs, and what boot.py is told by the file `slot`. Imported on demand."""

import os
import sys

# Where each slot's package is; push puts it into the first one.
SLOTS = {"a": "lib", "b": "slot_b"}

# A package on trial gets this many starts, which boot.py counts.
STARTS = "2"

_FILE = "slot"


def running_slot():
    """Return the slot of the package that runs, "a" or "b"."""
    return "b" if SLOTS["b"] in str(sys.modules["mqtt443"].__path__) else "a"


def read_slot(root):
    """Return (slot, starts, why) of the file `slot`, as boot.py describes it; ("a", "-", "") without one."""
    try:
        with open(root + _FILE) as file:
            slot, starts, why = file.read().split(" ", 2)
            return slot, starts, why
    except (OSError, ValueError):
        return "a", "-", ""


def write_slot(root, slot, starts):
    """Let the next start take that slot; starts: how many a trial has, or "-" for a slot that is trusted."""
    with open(root + _FILE + ".new", "w") as file:
        file.write("%s %s " % (slot, starts))
    os.rename(root + _FILE + ".new", root + _FILE)


def forget_slot(root):
    """Let the slot that push fills be the only one."""
    os.remove(root + _FILE)
