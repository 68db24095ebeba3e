"""What the board keeps of the job in progress: the folder `update` on flash. Imported on demand.

`storage` writes the record; beside it lies the index of a bundle. Staged files lie beside the files that they replace,
because littlefs moves a file between folders in two steps: after a power cut between them, it may show neither this
file nor others until the first write (seen with MicroPython 1.26).
"""

import binascii
import json
import os

from . import storage
from ._port import const

FOLDER = "update"
_RECORD = FOLDER + "/job"
INDEX = FOLDER + "/index"

# Suffixes: a config on trial, a staged file, a file that was replaced.
CANDIDATE = ".trial"
STAGED = ".staged"
REPLACED = ".replaced"

# Flash for readings while a job restarts a board whose outbox_bytes is 0.
OUTBOX_BYTES = const(65536)


def outbox_bytes(root, on_trial):
    """Return how much flash the outbox may use if outbox_bytes is 0.

    None, unless something is on trial or a job has left readings on flash. on_trial: whether anything is on trial.
    """
    try:
        os.rmdir(root + "outbox")  # removes it only if it is empty
    except OSError:
        pass
    return OUTBOX_BYTES if on_trial or exists(root + "outbox") else 0


def exists(path):
    """Return whether a file or folder exists at path."""
    try:
        os.stat(path)
        return True
    except OSError:
        return False


def wipe(path):
    """Remove the file or folder at path with all its contents, if it exists."""
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
    """Write record (a dict that JSON can hold) to flash. Raises OSError if the flash fails."""
    if not exists(root + FOLDER):
        os.mkdir(root + FOLDER)
    storage.save_state(root + _RECORD, record)


def clear(root, path):
    """Remove the record, then everything that belongs to it. path: of config.json, below root."""
    # First the files that `storage.read` would use in place of a missing record.
    for suffix in (".old", ".new", ""):
        wipe(root + _RECORD + suffix)
    wipe(root + path + CANDIDATE)
    wipe_files(root)
    wipe(root + FOLDER)


def entries(root):
    """Yield the entries of the staged bundle's index, dicts with path, and size or delete, up to a damaged line."""
    try:
        with open(root + INDEX, "rb") as index:
            while True:
                line = index.readline()
                entry = json.loads(line) if line else None
                if not isinstance(entry, dict) or not isinstance(entry.get("path"), str):
                    return
                yield entry
    except (OSError, ValueError):
        pass  # no bundle, or damaged flash


def index_crc(root):
    """Return the CRC-32 of the index, by which `trial` knows that it is as `bundle` wrote it; None without an index."""
    crc = 0
    try:
        with open(root + INDEX, "rb") as index:
            while True:
                piece = index.read(512)
                if not piece:
                    return crc
                crc = binascii.crc32(piece, crc)
    except OSError:
        return None


def wipe_files(root):
    """Remove the staged and the replaced files of a bundle, then its index."""
    for entry in entries(root):
        for suffix in (STAGED, REPLACED):
            wipe(root + entry["path"] + suffix)
    wipe(root + INDEX)


def make_folders(root, path):
    """Create the folders of path."""
    parts = path.split("/")
    for i in range(1, len(parts)):
        folder = root + "/".join(parts[:i])
        if not exists(folder):
            os.mkdir(folder)
