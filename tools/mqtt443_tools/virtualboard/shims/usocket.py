"""umqtt's old name for socket: MicroPython has it built in, CPython gets it here."""

from socket import *  # noqa: F403
