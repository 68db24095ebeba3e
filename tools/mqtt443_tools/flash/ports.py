"""Serial ports: which are there, which one is meant, and why one cannot be opened. Knows nothing of ESP32s.

On Linux a port belongs to a group (dialout on Debian, uucp on Arch); a user outside it gets EACCES. Two programs on
one port steal each other's bytes, so a port is opened exclusively (flock).
"""

import errno
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import serial
from serial.tools import list_ports

from mqtt443_tools.flash.flash_errors import PortError
from mqtt443_tools.support.errors import UsageError

ESPRESSIF_VID = 0x303A
"""USB vendor id of a chip that speaks USB itself (ESP32-S3, -C3, -C6); others have a bridge of another maker."""


@dataclass(frozen=True)
class Port:
    """A serial port: its `device` (a path or a URL that pyserial knows) and what the system says of it."""

    device: str
    description: str


def usb_ports() -> list[Port]:
    """Return the serial ports on USB, Espressif's own first; ports of the mainboard hold no boards."""
    found = [info for info in list_ports.comports() if info.vid is not None]
    found.sort(key=lambda info: (info.vid != ESPRESSIF_VID, info.device))
    return [Port(info.device, info.description or "") for info in found]


def choose(ports: Sequence[Port], ask: Callable[[Sequence[Port]], Port] | None) -> Port:
    """Return the port that is meant.

    Args:
        ports: what is there, see `usb_ports`.
        ask: lets a person choose among several; None where nobody is there to answer.

    Raises:
        PortError: there is none.
        UsageError: there are several, and nobody to ask.
    """
    if not ports:
        raise PortError(
            "no board on USB: plug it in with a cable that carries data (many only charge); "
            "if its port has another name, add --port"
        )
    if len(ports) == 1:
        return ports[0]
    if ask is None:
        raise UsageError(f"several ports: {', '.join(port.device for port in ports)}; say which with --port")
    return ask(ports)


def open_port(device: str) -> Any:
    """Open a port for this process alone, and return pyserial's object for it.

    Args:
        device: a path such as /dev/ttyUSB0, or a URL such as rfc2217://host:port.

    Raises:
        PortError: it is missing, busy, not permitted, or no serial port.
    """
    try:
        return serial.serial_for_url(device, exclusive=True)
    except (OSError, ValueError) as error:
        raise PortError(_cause(device, error)) from error


def _cause(device: str, error: OSError | ValueError) -> str:
    number = getattr(error, "errno", None)
    if number in {errno.ENOENT, errno.ENODEV, errno.ENXIO}:
        return f"there is no port {device}: is the board plugged in? without --port, flash looks for it"
    if number in {errno.EBUSY, errno.EAGAIN}:
        return f"{device} is busy: close the program that has it (monitor, mpremote, an IDE), then run this again"
    if number in {errno.EACCES, errno.EPERM}:
        group = _group(device)
        return (
            f"you may not open {device}: `sudo usermod -aG {group} $USER`, then log out and in (its group is {group})"
        )
    return f"{device} cannot be opened as a serial port: {error}"


def _group(device: str) -> str:
    try:
        return Path(device).group()
    except (OSError, KeyError):
        return "dialout"
