"""umqtt's old name for struct: MicroPython has it built in, CPython gets it here."""

from struct import *  # noqa: F403
