"""What can go wrong on the way to a flashed board; each text says what happened and what to do.

CommandError
 └── FlashError
      ├── PortError        the port is missing, busy, not permitted, or went away
      ├── NoAnswerError    the port is open, and no ESP32 answers
      ├── BoardError       no image can be written to the board: locked, or its flash does not answer
      ├── ImageError       the image does not fit the board, or is not one; nothing was erased
      ├── KeptError        the person wants to keep what is on the board; nothing was erased
      └── WriteError       the board was erased, and holds no complete image now
"""

from mqtt443_tools.support.errors import CommandError


class FlashError(CommandError):
    """A board could not be flashed."""


class PortError(FlashError):
    """The serial port cannot be used."""


class NoAnswerError(FlashError):
    """Nothing on the port speaks as an ESP32's loader does."""


class BoardError(FlashError):
    """No image can be written to this board."""


class ImageError(FlashError):
    """The image does not fit this board; nothing was erased."""


class KeptError(FlashError):
    """The board keeps its files, as the person decided."""


class WriteError(FlashError):
    """Erasing, writing or verifying failed; the board can always be flashed again."""
