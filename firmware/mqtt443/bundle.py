"""Unpacks the bundle of a job onto flash, piece by piece, and resumes after a reset.

A bundle is a sequence of files: a line of JSON, {"path": ..., "size": ..., "sha256": ...}, and the bytes of the file;
{"path": ..., "delete": true} stands alone. The index keeps the lines as they came. The index and the staged files
together are the part of the bundle that has arrived; no other file records the progress. Imported on demand by
`job_files`.
"""

import binascii
import hashlib
import json
import os

from ._port import const
from .job_end import fail, refuse
from .job_record import FOLDER, INDEX, REPLACED, STAGED, exists, make_folders, wipe, wipe_files

_MAX_LINE_BYTES = const(256)
_MAX_PATH_BYTES = const(96)
_PIECE_BYTES = const(512)
_MAX_BYTES = const(25165824)  # of a file in a stream (AWS General Reference, "AWS IoT Core endpoints and quotas")

# Names in the root of a board that a job must not write, with any extension.
_OURS = const(
    ("boot.py", "main.py", "config.json", "push.json", "state", "outbox", "update", "slot", "slot_b", "safe_mode")
)
_PACKAGE = const("lib/mqtt443")

# Modules that the program imports, most of them before a trial begins. MicroPython would import a file or folder of
# this name in the root or in lib instead: a broken one would stop every start, and no trial would take it back.
_MODULES = const((
    "mqtt443", "alpn", "binascii", "errno", "esp32", "gc", "hashlib", "io", "json", "machine", "micropython", "network",
    "os", "select", "socket", "ssl", "struct", "sys", "time", "tls", "umqtt",
))  # fmt: skip


class Spoiled(Exception):
    """A file arrived damaged. It has been removed from flash."""


class Bundle:
    """The bundle that a job document describes.

    root: folder in front of file names. values: the document's member `bundle`. package: the folder of the slot that
    the package goes into; None for files.
    """

    def __init__(self, root, values, package=None):
        if not isinstance(values, dict) or type(values.get("size")) is not int or not _is_hash(values.get("sha256")):
            refuse("bundle must have size and sha256")
        if not 0 <= values["size"] <= _MAX_BYTES:
            refuse("bundle: size must be 0 to %d", _MAX_BYTES)
        if ("data" in values) == ("stream" in values):
            refuse("bundle must have data or stream")
        self.root = root
        self.size = values["size"]
        self.package = package
        self._sha256 = values["sha256"]
        self._restart()

    def _restart(self):
        self._hash = hashlib.sha256()
        self.done = 0  # bytes of the bundle that are on flash
        self._line = b""  # the beginning of a line, which goes into the index when it is complete
        self._left = 0  # bytes of the current file still to come
        self._count = 0  # lines so far

    @property
    def at(self):
        """How many bytes of the bundle have arrived."""
        return self.done + len(self._line)

    def wipe(self):
        """Remove all staged files."""
        wipe_files(self.root)
        if self.package:
            wipe(self.root + self.package)
        self._restart()

    def open(self):
        """Resume from the part that is on flash."""
        self._restart()
        if not exists(self.root + FOLDER):
            os.mkdir(self.root + FOLDER)
        if self.package:
            make_folders(self.root, self.package + "/")
        try:
            with open(self.root + INDEX, "rb") as index:
                while not self._left:
                    line = index.readline()
                    if not line:
                        break
                    self._begin(line)
                    if self._left:
                        self._take_up_file()
        except OSError:
            pass  # nothing has arrived yet

    def feed(self, data):
        """Take the next bytes. Raises Spoiled, Finished, or OSError if the flash fails."""
        data = memoryview(data)[: self.size - self.at]
        while len(data):
            if self._left:
                piece = data[: self._left]
                with open(self._path, "ab") as file:
                    file.write(piece)
                self._count_in(piece)
                self._left -= len(piece)
                if not self._left:
                    self._check_file()
            else:
                piece = bytes(data[:_MAX_LINE_BYTES])
                end = piece.find(b"\n") + 1
                piece = piece[:end] if end else piece
                self._line += piece
                if len(self._line) > _MAX_LINE_BYTES:
                    refuse("bundle: a line of more than %d bytes", _MAX_LINE_BYTES)
                if end:
                    line, self._line = self._line, b""
                    self._begin(line, new=True)
                    if not self._left and not self._entry.get("delete"):
                        with open(self._path, "wb"):
                            pass  # an empty file
                        self._check_file()
            data = data[len(piece) :]

    def check(self):
        """Raise Finished unless the whole bundle is on flash, undamaged."""
        if self._left or self._line or self.done != self.size:
            fail("bundle: it ends after %d of %d bytes", self.at, self.size)
        if binascii.hexlify(self._hash.digest()).decode() != self._sha256:
            fail("bundle: wrong SHA-256")

    def _count_in(self, piece):
        self._hash.update(piece)
        self.done += len(piece)

    def _begin(self, line, new=False):
        """Parse a line of the bundle. new: it is not in the index yet."""
        try:
            entry = json.loads(line)
            path = entry["path"]
            deleted = entry.get("delete", False)
            fits = isinstance(path, str) and (
                deleted is True
                or (type(entry["size"]) is int and 0 <= entry["size"] <= self.size and _is_hash(entry["sha256"]))
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            fits = False
        if not fits:
            refuse("bundle: line %d is not a file", self._count + 1)
        if self.package:
            folder, _, name = path.rpartition("/")
            if folder != _PACKAGE or deleted or not name.endswith((".py", ".mpy")):
                refuse("bundle: %r is not of the package", path[:_MAX_PATH_BYTES])
            self._path = "%s%s/%s" % (self.root, self.package, name)
        else:
            if not may_write(path):
                refuse("bundle: %r may not be written", path[:_MAX_PATH_BYTES])
            self._path = self.root + path + STAGED
            make_folders(self.root, path)
        if new:
            with open(self.root + INDEX, "ab") as index:
                index.write(line)
        self._entry = entry
        self._start = self.done + len(line)
        self._count_in(line)
        self._count += 1
        self._left = 0 if deleted else entry["size"]

    def _take_up_file(self):
        """Count the bytes of the current file that are on flash."""
        try:
            for piece in _pieces(self._path):
                self._count_in(piece)
                self._left -= len(piece)
        except OSError:
            pass  # nothing yet
        if not self._left:
            self._check_file()

    def _check_file(self):
        """Read the file back and compare its hash; raise Spoiled if it differs."""
        found = hashlib.sha256()
        for piece in _pieces(self._path):
            found.update(piece)
        if binascii.hexlify(found.digest()).decode() != self._entry["sha256"]:
            os.remove(self._path)
            raise Spoiled(self._entry["path"])


def _pieces(path):
    """Yield the content of the file at path, piece by piece."""
    with open(path, "rb") as file:
        while True:
            piece = file.read(_PIECE_BYTES)
            if not piece:
                return
            yield piece


def _is_hash(text):
    # As bytes: each character taken from a text becomes one more name, which MicroPython keeps.
    return isinstance(text, str) and len(text) == 64 and all(b in b"0123456789abcdef" for b in text.encode())


def may_write(path):
    """Return whether a job may write or remove the file at path. The host asks this too, before it makes a job."""
    data = path.encode()
    if not 0 < len(data) <= _MAX_PATH_BYTES:
        return False
    for b in data:
        if not 0x20 < b < 0x7F or b in b'\\:"*?<>|':
            return False
    path = path.lower()  # some boards have a FAT file system
    parts = path.split("/")
    if "" in parts or "." in parts or ".." in parts or path.endswith((STAGED, REPLACED)):
        return False
    for name in _OURS:
        if parts[0] == name or parts[0].startswith(name + "."):
            return False
    if parts[0] == "lib":
        parts.pop(0)  # leaves nothing of the folder itself, which holds the package
    return bool(parts) and parts[0].split(".")[0] not in _MODULES
