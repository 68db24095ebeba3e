"""A board in its loader, over esptool: identifies it, reads and writes its flash. Knows no files and no questions.

esptool first talks to the loader in the chip's ROM, then puts a faster one of its own (the "stub") into RAM. Both are
lost at the next reset and touch no flash, so a board can always be flashed again.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Self

from mqtt443_tools.flash.esplog import RELAY, FatalError, Progress, cmds, flash_size_bytes
from mqtt443_tools.flash.flash_errors import BoardError, FlashError, NoAnswerError, PortError, WriteError
from mqtt443_tools.flash.partitions import TABLE_BYTES, TABLE_OFFSET, Partition, parse_table

ROM_BAUD = 115200
DEFAULT_BAUD = 460800
"""Fast, and within reach of every USB bridge in use; a chip with USB of its own ignores it."""
CONNECT_ATTEMPTS = 7
"""Resets to try before giving up: about 10 s."""

AGAIN = "run the same command again: a board can always be flashed"
BY_HAND = (
    "hold its BOOT button, press and let go of RESET (or EN), let go of BOOT, then run this again; "
    "if that does not help: a cable that only charges, or a port of another device"
)


class Board:
    """A connected board. Made by `connect`; a context manager that closes the port.

    `chip` is its kind (ESP32-S3), `description` its exact type, `mac` its base address, `revision` major times 100
    plus minor, `image_offset` the address its boot ROM starts from, `flash_bytes` the size of its flash.
    """

    def __init__(self, esp: Any, device: str, flash_bytes: int) -> None:
        self._esp = esp
        self._device = device
        self.chip: str = esp.CHIP_NAME
        self.chip_id: int = esp.IMAGE_CHIP_ID
        self.image_offset: int = esp.BOOTLOADER_FLASH_OFFSET
        self.flash_bytes = flash_bytes
        self.revision: int = esp.get_chip_revision()
        self.description: str = esp.get_chip_description()
        self.mac = ":".join(f"{byte:02x}" for byte in esp.read_mac())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close its port; harmless the second time."""
        with suppress(OSError):  # a port that went away needs no closing
            self._esp._port.close()

    def read(self, offset: int, size: int) -> bytes:
        """Return `size` bytes of flash from the address `offset`; raises FlashError."""
        with _reported(self._device, "reading its flash failed"):
            return bytes(cmds.read_flash(self._esp, offset, size, no_progress=True))

    def partitions(self) -> tuple[Partition, ...]:
        """Return the board's partition table, empty if it has none; raises FlashError."""
        return parse_table(self.read(TABLE_OFFSET, TABLE_BYTES))

    def write(self, parts: Sequence[tuple[int, bytes]], progress: Progress) -> None:
        """Erase the whole flash, write, and let the chip compute the MD5 of its new content.

        Args:
            parts: addresses and what goes there.
            progress: called with the bytes sent and the total (compressed), separately for each part.

        Raises:
            WriteError: it was interrupted, or the flash does not hold what was sent.
        """
        self._esp.WRITE_FLASH_ATTEMPTS = 1  # another board may come up on the port of one that was unplugged
        RELAY.progress_to = progress
        try:
            cmds.write_flash(self._esp, [(offset, data) for offset, data in parts], erase_all=True)
        except OSError as error:
            raise WriteError(
                f"{self._device} was unplugged while it was written: check the cable, then {AGAIN}"
            ) from error
        except FatalError as error:
            raise WriteError(_write_cause(error)) from error
        finally:
            RELAY.progress_to = None

    def restart(self) -> bool:
        """Leave the loader and start the new program; return False if the user has to press RESET."""
        try:
            cmds.reset_chip(self._esp, "hard-reset")
        except (OSError, FatalError):
            return False
        return True


def connect(
    port: Any,
    *,
    baud: int = DEFAULT_BAUD,
    attempts: int = CONNECT_ATTEMPTS,
    log: Callable[[str], None] | None = None,
) -> Board:
    """Put the board on an open port into its loader, and return it.

    Args:
        port: pyserial's object, see `ports.open_port`; closed with the board, or on an error.
        baud: bits per second after connecting.
        attempts: resets to try.
        log: gets esptool's own lines from now on.

    Raises:
        NoAnswerError: nothing there speaks as an ESP32's loader does.
        BoardError: the chip is locked, is not an ESP32, or does not reach its flash.
        PortError: the port went away.
    """
    RELAY.log = log
    try:
        return _connect(port, baud, attempts)
    except BaseException:
        with suppress(OSError):
            port.close()
        raise


def _connect(port: Any, baud: int, attempts: int) -> Board:
    device = str(port.port)
    try:
        esp = cmds.detect_chip(port, ROM_BAUD, connect_attempts=attempts)
    except FatalError as error:
        if isinstance(error.__context__, OSError):  # the port is gone, rather than an answer missing
            raise PortError(_gone(device)) from error
        raise NoAnswerError(f"no ESP32 answers on {device}: {BY_HAND}") from error
    except OSError as error:
        raise PortError(_gone(device)) from error
    with _reported(device, "its loader stopped answering"):
        _check_open(esp)
        esp = cmds.run_stub(esp)
        if baud != ROM_BAUD:
            _change_baud(esp, device, baud)
        cmds.attach_flash(esp)
        size = cmds.detect_flash_size(esp)
        if size is None:
            raise BoardError(
                f"the {esp.CHIP_NAME} on {device} cannot reach its flash: disconnect what is wired to its pins, "
                "then run this again"
            )
        return Board(esp, device, flash_size_bytes(size))


def _change_baud(esp: Any, device: str, baud: int) -> None:
    try:
        esp.change_baud(baud)
    except FatalError as error:
        if isinstance(error.__context__, OSError):
            raise PortError(f"{device} does not support {baud} bits per second: add --baud {ROM_BAUD}") from error
        raise


def _check_open(esp: Any) -> None:
    """Refuse chips that would not run the image, because theirs must be signed or encrypted."""
    if esp.CHIP_NAME == "ESP8266":
        raise BoardError("this board has an ESP8266, which is too small for TLS with AWS: use an ESP32")
    if esp.secure_download_mode or esp.get_flash_encryption_enabled() or esp.get_secure_boot_enabled():
        raise BoardError(
            f"this {esp.CHIP_NAME} is permanently locked by its maker (secure boot, flash encryption or secure "
            "download mode): use another board"
        )


def _write_cause(error: FatalError) -> str:
    """Return in one line why esptool gave up; it has no error codes, only text."""
    text = str(error)
    if "MD5" in text or "region is empty" in text:
        return (
            f"verifying failed: the flash does not hold what was sent; run this again with --baud {ROM_BAUD}; "
            "if it fails again, the flash is worn out"
        )
    reason = _first_line(text)
    return f"the board stopped answering while it was written ({reason}): check the cable, then {AGAIN}"


def _gone(device: str) -> str:
    return f"{device} was unplugged: check the cable, then run this again"


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0].rstrip(".") if text.strip() else "no reason given"


@contextmanager
def _reported(device: str, what: str) -> Iterator[None]:
    """Turn esptool's errors before any writing into ours."""
    try:
        yield
    except FlashError:
        raise
    except OSError as error:
        raise PortError(_gone(device)) from error
    except FatalError as error:
        raise NoAnswerError(
            f"the board on {device} answered, then {what} ({_first_line(str(error))}): {BY_HAND}"
        ) from error
