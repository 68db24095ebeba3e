"""Files that a power cut cannot spoil: written beside, checked by a checksum, the previous version kept.

littlefs makes a file's change all or nothing when it is closed; the checksum is for what does not (FAT, worn flash).
"""

import binascii
import os

_TRAILER_BYTES = 9  # a line end, and the CRC-32 of what is before it in hexadecimal


def write(path, data):
    """Make data (bytes) the content of path: path + ".new" is written, path becomes path + ".old".

    Raises OSError if the flash refuses; path is then as it was.
    """
    new = path + ".new"
    with open(new, "wb") as file:
        file.write(data)
        file.write(_trailer(data))
        file.flush()
    if hasattr(os, "sync"):
        os.sync()
    try:
        os.rename(path, path + ".old")
    except OSError:
        pass  # the first version of all
    os.rename(new, path)


def read(path):
    """Return (data, said): what `write` wrote last, None if nothing whole is there; what is wrong, None for nothing."""
    torn = False
    # The newest first: a cut between the two renames leaves .new and .old alone.
    for name in (path, path + ".new", path + ".old"):
        try:
            with open(name, "rb") as file:
                data = file.read()
        except OSError:
            continue
        whole = data[:-_TRAILER_BYTES]
        if data[-_TRAILER_BYTES:] == _trailer(whole):
            return whole, "%s is torn; taken from %s" % (path, name) if torn else None
        torn = torn or name == path
    return None, path + " is torn, and no older version is there" if torn else None


def _trailer(data):
    return b"\n%08x" % binascii.crc32(data)
