"""What the board keeps about itself: a small file for what must outlive a power cut, RTC memory for the rest.

RTC memory outlives resets and deep sleep, costs no flash, and holds anything after a power cut: hence its checksum.
"""

import binascii
import json

from .files import read, write


def load(path, log):
    """Return the dict in the state file at path, {} if there is none that is whole. log: takes a line."""
    data, said = read(path)
    if said:
        log(said)
    return _parsed(data or b"")


def save(path, values):
    """Make values (a dict that JSON can hold) the state file at path. Raises OSError if flash refuses."""
    write(path, json.dumps(values).encode())


def recall():
    """Return the dict in RTC memory, {} if there is none."""
    memory = _rtc_memory()
    data = memory() if memory else b""
    return _parsed(data[4:]) if data[:4] == _checksum(data[4:]) else {}


def remember(values):
    """Make values (a dict that JSON can hold in 2,044 bytes) the content of RTC memory, where there is one.

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
