"""Leads NTP queries, UDP port 123, to the supervisor's server, so that no virtual board asks the internet for the time.

`MQTT443_NTP` in the environment is the server's port on 127.0.0.1. Key of world.json: `ntp_error` (the server's name is
not found: OSError with it).
"""

import os
import socket
import sys

import _world

_resolve = socket.getaddrinfo
_NTP = 123


def _getaddrinfo(host, port, *kinds):
    if port != _NTP:
        return _resolve(host, port, *kinds)
    error = _world.look("ntp_error", None)
    if error is not None:
        raise OSError(error)
    return _resolve("127.0.0.1", int(os.getenv("MQTT443_NTP")), *kinds)


class _Sockets:
    """The module `socket`: MicroPython's own cannot be changed."""

    getaddrinfo = staticmethod(_getaddrinfo)

    def __getattr__(self, name):
        return getattr(socket, name)


if os.getenv("MQTT443_NTP"):
    if sys.implementation.name == "micropython":
        sys.modules["socket"] = _Sockets()
    else:
        socket.getaddrinfo = _getaddrinfo
