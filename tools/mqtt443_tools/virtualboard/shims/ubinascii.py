"""umqtt's old name for binascii: MicroPython has it built in, CPython gets it here."""

from binascii import *  # noqa: F403
