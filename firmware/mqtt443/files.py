"""Files that a power cut cannot spoil: written beside, checked by a checksum, the previous version kept.

littlefs makes a file's change all or nothing when it is closed; the checksum is for what does not (FAT, worn flash).
"""

import binascii
import os

_TRAILER_BYTES = 9  # a line end, and the CRC-32 of what is before it in hexadecimal


def write(path, data):
    """Make data (bytes) the content of path: path + ".new" is written, path becomes path + ".old".

    Raises OSError if the flash refuses; what `read` returns is then as it was, or data.
    """
    new = path + ".new"
    try:
        os.stat(path)
    except OSError:
        _rename(new, path)  # a cut between the two renames: it is the newest, and must not be written over
    with open(new, "wb") as file:
        file.write(data)
        file.write(_trailer(data))
    if hasattr(os, "sync"):
        os.sync()
    _rename(path, path + ".old")
    os.rename(new, path)


def read(path):
    """Return (data, said): the newest version that is whole, None if there is none.

    said: None if that is path itself, or if there never was one; else a line that says where it was found.
    """
    said = None
    # The newest first: a cut between the two renames leaves .new and .old alone.
    for name in (path, path + ".new", path + ".old"):
        try:
            with open(name, "rb") as file:
                said = path + " is torn, and so is every other version"
                data = file.read()
        except (OSError, MemoryError):  # what fills the memory was not written here
            continue
        whole = data[:-_TRAILER_BYTES]
        if data[-_TRAILER_BYTES:] == _trailer(whole):
            return whole, None if name == path else "%s is missing or torn; taken from %s" % (path, name)
    return None, said


def _rename(old, new):
    try:
        os.rename(old, new)
    except OSError:
        pass  # the first version of all


def _trailer(data):
    return b"\n%08x" % binascii.crc32(data)
