"""The class `I2C` of `machine`: a bus with the devices of `i2c` in world.json.

That is {address: {register: value}}, decimal numbers as texts on the left and a byte on the right; registers that are
not named hold 0. A register that the board writes keeps its value until the next reset.
"""

from array import array

import _world

_NO_DEVICE = 19  # ENODEV, which the ESP32 port raises without an acknowledgement


class I2C:
    """A bus; `scl`, `sda` and `freq` are taken and not checked."""

    def __init__(self, id, *, scl=None, sda=None, freq=400000, timeout=50000):
        self._written = {}

    def scan(self):
        """Return the addresses that answer."""
        return sorted(int(address) for address in _world.look("i2c", {}))

    def readfrom_mem(self, addr, memaddr, nbytes, *, addrsize=8):
        """Return bytes from a register on."""
        device = self._device(addr)
        written = self._written
        return bytes(
            written.get((addr, register), device.get(str(register), 0)) for register in range(memaddr, memaddr + nbytes)
        )

    def readfrom_mem_into(self, addr, memaddr, buf, *, addrsize=8):
        """Fill a buffer from a register on."""
        data = self.readfrom_mem(addr, memaddr, len(buf))
        buf[:] = array(buf.typecode, data) if isinstance(buf, array) else data

    def writeto_mem(self, addr, memaddr, buf, *, addrsize=8):
        """Write bytes from a register on."""
        self._device(addr)
        for offset, value in enumerate(buf):
            self._written[addr, memaddr + offset] = value

    def _device(self, addr):
        try:
            return _world.look("i2c", {})[str(addr)]
        except KeyError:
            raise OSError(_NO_DEVICE) from None
