"""The slots of the package: which one runs, and what the file `slot` tells boot.py. Imported on demand."""

import os
import sys

from ._port import const

# The folder of each slot; push fills the first one.
SLOTS = {"a": "lib", "b": "slot_b"}

# A package on trial gets this many starts, counted by boot.py.
STARTS = "2"

_FILE = const("slot")


def running_slot():
    """Return the slot of the running package, "a" or "b"."""
    return "b" if SLOTS["b"] in str(sys.modules["mqtt443"].__path__) else "a"


def read_slot(root):
    """Return (slot, starts, why) of the file `slot`, which boot.py describes; ("a", "-", "") if it is missing."""
    try:
        with open(root + _FILE) as file:
            slot, starts, why = file.read().split(" ", 2)
            return slot, starts, why
    except (OSError, ValueError):
        return "a", "-", ""


def write_slot(root, slot, starts):
    """Make the next start use that slot; starts: how many the trial has, or "-" for a trusted slot."""
    with open(root + _FILE + ".new", "w") as file:
        file.write("%s %s " % (slot, starts))
    os.rename(root + _FILE + ".new", root + _FILE)


def clear_slot(root):
    """Use only the slot that push fills."""
    os.remove(root + _FILE)
