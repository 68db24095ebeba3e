"""Ports: real pseudo terminals that are there, missing, busy or not permitted; several of them to choose from."""

import errno
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
import serial
from mqtt443_tools.flash.flash_errors import PortError
from mqtt443_tools.flash.ports import Port, choose, open_port, usb_ports
from mqtt443_tools.support.console import Console
from mqtt443_tools.support.errors import UsageError

USB0, USB1 = Port("/dev/ttyUSB0", "CP2102"), Port("/dev/ttyACM0", "USB JTAG")


@pytest.fixture
def pty() -> Iterator[str]:
    master, slave = os.openpty()
    yield os.ttyname(slave)
    os.close(master)
    os.close(slave)


@pytest.fixture
def forbidden(pty: str) -> Iterator[str]:
    """A port that this process may not open; where the tests run as root, they are somebody else for a while."""
    Path(pty).chmod(0)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    yield pty
    if root:
        os.seteuid(0)


class Answering(Console):
    """A person who always chooses the same line."""

    def __init__(self, answer: int | None) -> None:
        super().__init__()
        self._answer = answer
        self.offered: list[str] = []

    def choose(self, question: str, choices: Sequence[str], unattended: str) -> int:  # noqa: ARG002
        assert self._answer is not None, "asked"
        self.offered += choices
        return self._answer


def test_port_is_opened_exclusively(pty: str) -> None:
    with open_port(pty) as port:
        assert port.port == pty
        with pytest.raises(PortError, match=rf"^{pty} is busy: close the program that uses it \(monitor, mpremote"):
            open_port(pty)
    open_port(pty).close()


def test_claimed_port_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    def claimed(*args: object, **kwargs: object) -> None:
        raise serial.SerialException(errno.EBUSY, "could not open port: Device or resource busy")  # TIOCEXCL

    monkeypatch.setattr(serial, "serial_for_url", claimed)
    with pytest.raises(PortError, match="/dev/ttyUSB0 is busy"):
        open_port("/dev/ttyUSB0")


def test_missing_port_is_named() -> None:
    with pytest.raises(PortError, match=r"^there is no port /dev/ttyUSB77: is the board plugged in\?"):
        open_port("/dev/ttyUSB77")


def test_forbidden_port_names_its_group(forbidden: str) -> None:
    group = Path(forbidden).group()
    with pytest.raises(PortError, match=rf"you may not open {forbidden}: `sudo usermod -aG {group} \$USER`, then log"):
        open_port(forbidden)


def test_group_defaults_to_dialout(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*args: object, **kwargs: object) -> None:
        raise serial.SerialException(errno.EACCES, "Permission denied")

    monkeypatch.setattr(serial, "serial_for_url", denied)
    with pytest.raises(PortError, match="usermod -aG dialout"):
        open_port("/dev/ttyUSB77")


def test_other_file_is_not_a_port(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(PortError, match=rf"{file} cannot be opened as a serial port: "):
        open_port(str(file))


def test_invalid_url_is_reported() -> None:
    with pytest.raises(PortError, match=r"nonsense://x cannot be opened as a serial port: invalid URL"):
        open_port("nonsense://x")


def test_usb_ports_list_espressifs_first_and_no_mainboard_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        SimpleNamespace(device="/dev/ttyUSB0", description="CP2102", vid=0x10C4),
        SimpleNamespace(device="/dev/ttyS0", description="n/a", vid=None),
        SimpleNamespace(device="/dev/ttyACM0", description=None, vid=0x303A),
    ]
    monkeypatch.setattr("serial.tools.list_ports.comports", lambda: found)
    assert usb_ports() == [Port("/dev/ttyACM0", ""), Port("/dev/ttyUSB0", "CP2102")]


def test_single_port_needs_no_question() -> None:
    assert choose([USB0], Answering(None)) is USB0


def test_missing_board_gets_advice() -> None:
    with pytest.raises(PortError, match=r"no board on USB: plug it in with a cable that carries data"):
        choose([], Answering(None))


def test_several_ports_raise_a_question() -> None:
    person = Answering(1)
    assert choose([USB0, USB1], person) is USB1
    assert person.offered == ["/dev/ttyUSB0  CP2102", "/dev/ttyACM0  USB JTAG"]


def test_several_ports_without_a_terminal_are_wrong_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with pytest.raises(UsageError, match=r"several ports: /dev/ttyUSB0, /dev/ttyACM0; choose one with --port"):
        choose([USB0, USB1], Console())
