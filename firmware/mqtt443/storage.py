"""What the board stores: files that a power cut cannot damage, the state file, and RTC memory.

A file is written beside the old one, has a checksum, and its previous version is kept. On littlefs, closing a file
commits it all or nothing; the checksum covers file systems that do not (FAT) and worn flash. RTC memory survives resets
and deep sleep and costs no flash, but holds random bytes after a power cut, so it has a checksum as well.
"""

import binascii
import json
import os

from ._port import const

_TRAILER_BYTES = const(9)  # a line end, and the CRC-32 of everything before it in hexadecimal


def write(path, data):
    """Make data (bytes) the content of path: path + ".new" is written, path becomes path + ".old".

    Raises OSError if the flash fails; `read` then returns the old content or data.
    """
    new = path + ".new"
    try:
        os.stat(path)
    except OSError:
        _rename(new, path)  # after a cut between the two renames it is the newest, and must not be overwritten
    with open(new, "wb") as file:
        file.write(data)
        file.write(_trailer(data))
    if hasattr(os, "sync"):
        os.sync()
    _rename(path, path + ".old")
    os.rename(new, path)


def read(path):
    """Return (data, notice): data is the newest complete version, None if there is none.

    notice: None if that is path itself or if no version ever existed; else a log line that says where data was found.
    """
    notice = None
    # The newest first: a cut between the two renames leaves .new and .old alone.
    for name in (path, path + ".new", path + ".old"):
        try:
            with open(name, "rb") as file:
                notice = path + " is torn, and so is every other version"
                data = file.read()
        except (OSError, MemoryError):  # a file that fills the memory is not ours
            continue
        whole = data[:-_TRAILER_BYTES]
        if data[-_TRAILER_BYTES:] == _trailer(whole):
            return whole, None if name == path else "%s is missing or torn; taken from %s" % (path, name)
    return None, notice


def _rename(old, new):
    try:
        os.rename(old, new)
    except OSError:
        pass  # the first version of all


def _trailer(data):
    return b"\n%08x" % binascii.crc32(data)


def load_state(path, log):
    """Return the dict in the state file at path, {} if no version is whole. log: takes a line."""
    data, notice = read(path)
    if notice:
        log(notice)
    return _parsed(data or b"")


def save_state(path, values):
    """Write values (a dict that JSON can hold) to the state file at path. Raises OSError if the flash fails."""
    write(path, json.dumps(values).encode())


def recall():
    """Return the dict in RTC memory, {} if there is none."""
    memory = _rtc_memory()
    data = memory() if memory else b""
    return _parsed(data[4:]) if data[:4] == _checksum(data[4:]) else {}


def remember(values):
    """Write values (a dict that JSON can hold in 2,044 bytes) to RTC memory, if the chip has it.

    Raises ValueError for more.
    """
    memory = _rtc_memory()
    if memory:
        data = json.dumps(values).encode()
        memory(_checksum(data) + data)


def _rtc_memory():
    try:
        from machine import RTC

        return RTC().memory
    except (ImportError, AttributeError):
        return None


def _checksum(data):
    return binascii.crc32(data).to_bytes(4, "big")


def _parsed(data):
    try:
        values = json.loads(data)
    except ValueError:
        values = None
    return values if isinstance(values, dict) else {}
