"""Serial ports: which exist, which one to use, and why one cannot be opened. Knows nothing about ESP32s.

On Linux a port belongs to a group (dialout on Debian, uucp on Arch); a user outside it gets EACCES. Two programs on
one port steal each other's bytes, so a port is opened exclusively (flock).
"""

import errno
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import serial
from serial.tools import list_ports

from mqtt443_tools.flash.flash_errors import PortError
from mqtt443_tools.support.console import Console

ESPRESSIF_VID = 0x303A
"""USB vendor id of chips with USB of their own (ESP32-S3, -C3, -C6); others have another maker's bridge."""


@dataclass(frozen=True)
class Port:
    """A serial port: its `device` (a path or a URL that pyserial knows) and what the system says of it."""

    device: str
    description: str


def usb_ports() -> list[Port]:
    """Return the serial ports on USB, Espressif's own first; ports of the mainboard are left out."""
    found = [info for info in list_ports.comports() if info.vid is not None]
    found.sort(key=lambda info: (info.vid != ESPRESSIF_VID, info.device))
    return [Port(info.device, info.description or "") for info in found]


def choose(ports: Sequence[Port], console: Console) -> Port:
    """Return the only port, or the one that the person chooses.

    Args:
        ports: the candidates, see `usb_ports`.
        console: asks.

    Raises:
        PortError: there is no port.
        UsageError: there are several, and no terminal to ask at.
    """
    if not ports:
        raise PortError(
            "no board on USB: plug it in with a cable that carries data (many only charge); "
            "if its port has another name, add --port"
        )
    if len(ports) == 1:
        return ports[0]
    names = ", ".join(port.device for port in ports)
    shown = [f"{port.device}  {port.description}" for port in ports]
    return ports[console.choose("Which one", shown, f"several ports: {names}; choose one with --port")]


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
        return f"there is no port {device}: is the board plugged in? Leave out --port to auto-detect it"
    if number in {errno.EBUSY, errno.EAGAIN}:
        return f"{device} is busy: close the program that uses it (monitor, mpremote, an IDE), then run this again"
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
