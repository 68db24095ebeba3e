"""The trial of a new config, new files or a new package, which ends in keeping or reverting them.

Imported on demand. The change is kept once the server has acknowledged a message; until then the board can always
return to the old state. `job_record` documents the files; the board's boot.py chooses the package's slot and counts its
starts, because a package on trial may not even get here.
"""

import os

from ._port import const
from .job_record import CANDIDATE, REPLACED, STAGED, entries, exists, index_crc, load, save, wipe
from .slots import read_slot, running_slot, write_slot

# A config or files get this many starts, including those after a power cut or a watchdog reset.
_STARTS = const(2)
# How long one start of a new package may take to connect and publish; boot.py gives it a little more.
_PACKAGE_S = const(300)


def begin(root):
    """Resume, at a start, the work that a job left; return (candidate, trial_s).

    root: folder in front of file names. candidate: the name of a config.json on trial, else None. trial_s: how many
    seconds the trial may take from now on, None if nothing is on trial.
    """
    record = load(root)
    step = record.get("step")
    if step == "switch":
        slot, starts, _ = read_slot(root)
        on_trial = slot == record["slot"] == running_slot() and starts in "012"
        return None, _PACKAGE_S if on_trial else None
    if step == "swap":
        if record.get("index") == index_crc(root):
            swap(root)
            record["step"] = step = "trial"
        else:  # a damaged list must move nothing; a swap that a power cut stopped stays as it is
            record["step"] = "failed"
            record["reason"] = "flash has damaged the list of files"
            save(root, record)
    elif step == "revert":
        _revert(root, record)
    if step != "trial":
        return None, None
    candidate = None if record["action"] == "files" else record["path"] + CANDIDATE
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
    """Keep what is on trial, after a message was acknowledged. Raises OSError if the flash fails."""
    record = load(root)
    if record["step"] == "switch":
        write_slot(root, record["slot"], "-")
    elif record["action"] != "files":
        os.rename(root + record["path"] + CANDIDATE, root + record["path"])
    _end(root, record)


def _end(root, record):
    record["step"] = "done"
    record.pop("reason", None)
    save(root, record)


def failed(root, reason):
    """Restore the old config or files; return whether that was done. A package has a second start, which boot.py
    counts.

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
        wipe(root + record["path"] + CANDIDATE)
    return True


def swap(root):
    """Move the old files aside and the staged ones into place; safe to repeat after an interruption at any point."""
    for entry in entries(root):
        path = root + entry["path"]
        new = path + STAGED
        old = path + REPLACED
        if (entry.get("delete") or exists(new)) and exists(path) and not exists(old):
            os.rename(path, old)
        if exists(new):
            os.rename(new, path)


def _revert(root, record):
    """Undo `swap`; safe to repeat as well."""
    for entry in entries(root):
        path = root + entry["path"]
        new = path + STAGED
        old = path + REPLACED
        if not entry.get("delete") and exists(path) and not exists(new):
            os.rename(path, new)
        if exists(old):
            os.rename(old, path)
    record["step"] = "failed"
    save(root, record)
