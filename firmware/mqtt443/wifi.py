"""Joins the Wi-Fi network of the config, and says why it could not. When to join is `app`'s decision.

The radio is restarted only when it is at fault: when it is off, when it does not find its network again by itself, or
when it says that it is connected and hears nothing. What its status says is told, and decides nothing.
"""

import socket

from . import errors
from ._port import const, sleep_ms, ticks_add, ticks_diff, ticks_ms

_JOIN_MS = const(20000)
# A driver that lost its access point finds it again by itself, mostly sooner than from off.
_ALONE_MS = const(5000)
_LOOK_MS = const(100)
_HEAR_S = const(2)


def join(network, ssid, password, *, distrust=False, hears=None, sleep_ms=sleep_ms):
    """Return once the board has an address; at once if it has one.

    network: the module. ssid, password: of the config. distrust: nothing got through of late, so a radio that says it
    is connected must show it. hears: seam, as the function of that name. sleep_ms: seam.
    Raises WifiError with the last reason that the driver gave.
    """
    wlan = network.WLAN(network.STA_IF)
    restart_ms = _JOIN_MS  # the radio is restarted when so much time is left
    code = 0
    try:
        if wlan.active() and not (distrust and wlan.isconnected() and not (hears or _hears)(wlan)):
            restart_ms -= _ALONE_MS
        left_ms = _JOIN_MS
        end = ticks_add(ticks_ms(), left_ms)
        while left_ms > 0:
            if left_ms <= restart_ms:
                restart_ms = 0
                # Off first: a driver left connecting by an earlier attempt refuses the next one.
                wlan.active(False)
                wlan.active(True)
                wlan.connect(ssid, password)
            if wlan.isconnected():
                return
            # Not the end yet: the driver tries again by itself, and its first word is often wrong.
            status = wlan.status()
            if status < 1000:  # above are idle, connecting, connected
                code = status
            sleep_ms(_LOOK_MS)
            left_ms = ticks_diff(end, ticks_ms())
        reason = "status %d" % code
        for name in dir(network):
            if name[:5] == "STAT_" and getattr(network, name) == code:
                reason = name[5:].replace("_", " ").lower()
    except OSError as e:
        reason = str(e)
    raise errors.WifiError("no Wi-Fi connection to %s (%s)" % (ssid, reason))


def _hears(wlan):
    """Return whether the network's DNS server answers within 2 s; whatever it answers, Wi-Fi is not at fault then."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.settimeout(_HEAR_S)
        sock.connect(socket.getaddrinfo(wlan.ifconfig()[3], 53)[0][-1])
        sock.send(b"\0\1\1\0\0\1\0\0\0\0\0\0\0\0\2\0\1")  # RFC 1035 section 4.1: who serves the root?
        return bool(sock.recv(1))
    except OSError:
        return False
    finally:
        sock.close()
