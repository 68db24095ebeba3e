"""The `esp32` module: IDF heap figures, chip temperature, NVS.

Keys of world.json: `idf_heap` (a list of (total, free, largest, lowest free)), `temperature_c`, `temperature_error`.
"""

import json

import _world

HEAP_DATA = 4
HEAP_EXEC = 1


def idf_heap_info(capabilities):
    """Return a list of (total, free, largest free block, lowest free so far), bytes."""
    return [tuple(region) for region in _world.look("idf_heap", [[150_000, 96_000, 64_000, 90_000]])]


def mcu_temperature():
    """Return the chip's temperature in whole degrees Celsius."""
    error = _world.look("temperature_error", None)
    if error is not None:
        raise OSError(error)
    return _world.look("temperature_c", 42)


class NVS:
    """Non-volatile storage: values survive a power cut once commit() has returned."""

    def __init__(self, namespace):
        self._file = "nvs-%s.json" % namespace
        self._values = json.loads(_world.kept(self._file) or b"{}")

    def _get(self, key):
        if key not in self._values:
            raise OSError(-0x1102)  # ESP_ERR_NVS_NOT_FOUND
        return self._values[key]

    def set_i32(self, key, value):
        """Store an integer of 32 bits."""
        self._values[key] = int(value)

    def get_i32(self, key):
        """Return an integer; OSError if the key does not exist."""
        return self._get(key)

    def set_blob(self, key, value):
        """Store bytes."""
        self._values[key] = list(bytes(value))

    def get_blob(self, key, buffer):
        """Fill `buffer` and return the length; OSError if the key does not exist."""
        value = bytes(self._get(key))
        if len(value) > len(buffer):
            raise OSError(-0x110C)  # ESP_ERR_NVS_INVALID_LENGTH
        buffer[: len(value)] = value
        return len(value)

    def erase_key(self, key):
        """Remove a key; OSError if it does not exist."""
        self._get(key)
        del self._values[key]

    def commit(self):
        """Write all values."""
        _world.keep(self._file, json.dumps(self._values).encode())
