"""Joins the Wi-Fi network of the config and says why it could not. When to join is `app`'s decision."""

from . import errors
from ._port import const, sleep_ms, ticks_add, ticks_diff, ticks_ms

_JOIN_MS = const(20000)
_LOOK_MS = const(100)

# What the names in module `network` mean; a port has some of them.
_REASONS = (
    ("WRONG_PASSWORD", "wrong password"),
    ("NO_AP_FOUND", "no network of that name"),
    ("NO_AP_FOUND_W_COMPATIBLE_SECURITY", "its security does not fit"),
    ("HANDSHAKE_TIMEOUT", "wrong password or weak signal"),
    ("ASSOC_FAIL", "the access point refused"),
    ("BEACON_TIMEOUT", "signal lost"),
)


def join(network, ssid, password, *, distrust=False, deadline_ms=_JOIN_MS, sleep_ms=sleep_ms):
    """Return once the board has an address; at once if it has one.

    network: the module. ssid, password: of the config. distrust: the radio says that it is connected, but nothing got
    through, so it is restarted all the same. deadline_ms: how long to try. sleep_ms: seam.
    Raises WifiError with the last reason that the driver gave.
    """
    wlan = network.WLAN(network.STA_IF)
    if wlan.isconnected() and not distrust:
        return
    reason = "no reason given"
    try:
        # Off and on first: a driver left connecting by an earlier attempt refuses the next one.
        wlan.active(False)
        wlan.active(True)
        wlan.connect(ssid, password)
        end = ticks_add(ticks_ms(), deadline_ms)
        while ticks_diff(end, ticks_ms()) > 0:
            if wlan.isconnected():
                return
            # Not the end yet: the driver tries again by itself, and its first word is often wrong.
            status = wlan.status()
            for name, text in _REASONS:
                if getattr(network, "STAT_" + name, None) == status:
                    reason = text
            sleep_ms(_LOOK_MS)
    except OSError as e:
        reason = str(e)
    raise errors.WifiError("no Wi-Fi connection to %s (%s)" % (ssid, reason))
