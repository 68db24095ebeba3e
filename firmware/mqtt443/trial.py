"""What a job leaves on flash, and the trial of a new config, new files or a new package.

Imported on demand. What is new is kept once the server has acknowledged a message; until then the old state can return,
whatever happens. The folder `update` holds the job's record (`storage` writes it), the new config.json, and the
staged files; the index of a bundle names them. `jobs` talks to the server; the board's boot.py chooses the package's
slot and counts its starts, since a package on trial may not even get here.
"""

import json
import os
import sys

from . import storage
from ._port import const

FOLDER = "update"
_RECORD = FOLDER + "/job"
CANDIDATE = FOLDER + "/config.json"
INDEX = FOLDER + "/index"
NEW = FOLDER + "/new"
_OLD = FOLDER + "/old"
_SLOT = "slot"

# Where each slot's package is; push puts it into the first one.
SLOTS = {"a": "lib", "b": "slot_b"}

# A config or files get this many starts, a power cut or a watchdog reset included.
_STARTS = const(2)
# How long one start of a new package may take to connect and publish; boot.py gives it a little more.
_PACKAGE_S = const(300)


# On flash for readings while a job restarts a board whose outbox_bytes is 0.
OUTBOX_BYTES = const(65536)


def outbox_bytes(root, on_trial):
    """Return how much flash the outbox may use where outbox_bytes is 0.

    Nothing, unless something is on trial or readings are on flash because of a job. on_trial: whether anything is.
    """
    try:
        os.rmdir(root + "outbox")  # only an empty one goes
    except OSError:
        pass
    return OUTBOX_BYTES if on_trial or exists(root + "outbox") else 0


def exists(path):
    """Return whether there is a file or folder at path."""
    try:
        os.stat(path)
        return True
    except OSError:
        return False


def wipe(path):
    """Remove the file or folder at path, with all that is in it; nothing there is fine."""
    try:
        is_folder = os.stat(path)[0] & 0x4000
    except OSError:
        return
    if not is_folder:
        os.remove(path)
        return
    for name in os.listdir(path):
        wipe(path + "/" + name)
    os.rmdir(path)


def load(root):
    """Return the record of the job in progress, {} if there is none."""
    if not exists(root + FOLDER):
        return {}
    return storage.load_state(root + _RECORD, print)


def save(root, record):
    """Put record (a dict that JSON can hold) on flash. Raises OSError if flash refuses."""
    if not exists(root + FOLDER):
        os.mkdir(root + FOLDER)
    storage.save_state(root + _RECORD, record)


def forget(root):
    """Remove the record, then all that belongs to it."""
    # First what `storage.read` would take for the record where that one is missing.
    for suffix in (".old", ".new", ""):
        wipe(root + _RECORD + suffix)
    wipe(root + FOLDER)


def running_slot():
    """Return the slot of the package that runs, "a" or "b"."""
    return "b" if SLOTS["b"] in str(sys.modules["mqtt443"].__path__) else "a"


def read_slot(root):
    """Return (slot, starts, why) of the file `slot`, as boot.py describes it; ("a", "-", "") without one."""
    try:
        with open(root + _SLOT) as file:
            slot, starts, why = file.read().split(" ", 2)
            return slot, starts, why
    except (OSError, ValueError):
        return "a", "-", ""


def write_slot(root, slot, starts):
    """Let the next start take that slot; starts: how many a trial has, or "-" for a slot that is trusted."""
    with open(root + _SLOT + ".new", "w") as file:
        file.write("%s %s " % (slot, starts))
    os.rename(root + _SLOT + ".new", root + _SLOT)


def begin(root):
    """Take up at a start what a job left behind; return (candidate, trial_s).

    root: folder in front of file names. candidate: the name of a config.json on trial, else None. trial_s: the seconds
    that what is on trial has from now on, None if nothing is.
    """
    record = load(root)
    step = record.get("step")
    if step == "switch":
        slot, starts, _ = read_slot(root)
        on_trial = slot == record["slot"] == running_slot() and starts in "012"
        return None, _PACKAGE_S if on_trial else None
    if step == "swap":
        swap(root)
        record["step"] = step = "trial"
    elif step == "revert":
        _revert(root, record)
    if step != "trial":
        return None, None
    candidate = None if record["action"] == "files" else CANDIDATE
    if candidate and not exists(root + candidate):
        _end(root, record)  # the power failed between the two steps of `passed`
        return None, None
    record["starts"] = starts = record.get("starts", 0) + 1
    if starts > _STARTS:
        failed(root, record.get("reason") or "the board did not connect and publish in %d starts" % _STARTS)
        return None, None
    save(root, record)
    return candidate, record["within_s"]


def passed(root):
    """Keep what is on trial: a message was acknowledged. Raises OSError if flash refuses."""
    record = load(root)
    if record["step"] == "switch":
        write_slot(root, record["slot"], "-")
    elif record["action"] != "files":
        os.rename(root + CANDIDATE, root + record["path"])
    _end(root, record)


def _end(root, record):
    record["step"] = "done"
    record.pop("reason", None)
    save(root, record)


def failed(root, reason):
    """Bring the old config or files back; return whether they are. A package has a second start, which boot.py counts.

    reason: a text for the job.
    """
    record = load(root)
    record["reason"] = reason[:200]
    if record["step"] == "switch":
        save(root, record)
        return False
    if record["action"] == "files":
        record["step"] = "revert"
        save(root, record)
        _revert(root, record)
    else:
        record["step"] = "failed"
        save(root, record)
        wipe(root + CANDIDATE)
    return True


def entries(root):
    """Yield (number, entry) of the staged bundle's index; entry: a dict with path, and size or delete."""
    try:
        with open(root + INDEX, "rb") as index:
            number = 0
            while True:
                line = index.readline()
                if not line:
                    return
                yield number, json.loads(line)
                number += 1
    except OSError:
        pass  # no bundle


def swap(root):
    """Put the staged files in place and the old ones aside; may be repeated from any point at which it ended."""
    if not exists(root + _OLD):
        os.mkdir(root + _OLD)
    for number, entry in entries(root):
        path = root + entry["path"]
        new = "%s%s/%d" % (root, NEW, number)
        old = "%s%s/%d" % (root, _OLD, number)
        if entry.get("delete") or exists(new):
            if exists(path) and not exists(old):
                os.rename(path, old)
        if exists(new):
            _make_folders(root, entry["path"])
            os.rename(new, path)


def _revert(root, record):
    """Undo `swap`; may be repeated, too."""
    for number, entry in entries(root):
        path = root + entry["path"]
        new = "%s%s/%d" % (root, NEW, number)
        old = "%s%s/%d" % (root, _OLD, number)
        if not entry.get("delete") and exists(path) and not exists(new):
            os.rename(path, new)
        if exists(old):
            os.rename(old, path)
    record["step"] = "failed"
    save(root, record)


def _make_folders(root, path):
    """Make the folders that path needs."""
    parts = path.split("/")
    for i in range(1, len(parts)):
        folder = root + "/".join(parts[:i])
        if not exists(folder):
            os.mkdir(folder)
