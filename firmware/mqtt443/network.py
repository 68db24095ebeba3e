"""Brings up the network before each connection: Wi-Fi, and the clock when it is due. `app` decides when.

The radio is restarted only if it is at fault: if it is off, does not find its network again by itself, or claims to be
connected but hears nothing. Its status is reported but not used for decisions.
"""

import socket

from . import errors
from ._port import const, phase, sleep_ms, ticks_add, ticks_diff, ticks_ms

# After this many failures in a row, a radio that claims to be connected must prove it.
_DISTRUST = const(3)
_JOIN_MS = const(20000)
# A driver that lost its access point finds it again by itself, usually sooner than after a restart.
_ALONE_MS = const(5000)
_LOOK_MS = const(100)
_HEAR_S = const(2)


def up(app, sync):
    """Return once the network is up and, with sync, the clock is right.

    app: an `App`. Raises WifiError, ClockError and what the network raises.
    """
    config = app.config
    if config.wifi_ssid is not None:
        import network

        join(network, config.wifi_ssid, config.wifi_password, distrust=app.failures >= _DISTRUST)
        app.feed()
    if sync:
        with phase():
            from .clock import rtc_setter, set_clock

            def connect():
                app.feed()  # it may take many connections to find the time
                return app.client.transport.connect_http()

            set_clock(
                config.ntp_server, config.endpoint, connect, app.log,
                sure=app.clock_ok, doubted=app.clock_ok is None, set_rtc=rtc_setter(),
            )  # fmt: skip


def hears(wlan):
    """Return whether the network's DNS server answers within 2 s; with any answer, Wi-Fi is not at fault."""
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


def join(network, ssid, password, *, distrust=False, hears=hears, sleep=sleep_ms, ticks=ticks_ms):
    """Return once the board has an address; at once if it has one.

    network: the module. ssid, password: of the config. distrust: nothing got through lately, so a radio that claims to
    be connected must prove it. hears: seam. sleep, ticks: seams, milliseconds. Raises WifiError with the
    last reason that the driver gave.
    """
    wlan = network.WLAN(network.STA_IF)
    restart_ms = _JOIN_MS  # restart the radio when this much time is left
    code = 0
    try:
        if wlan.active() and not (distrust and wlan.isconnected() and not hears(wlan)):
            restart_ms -= _ALONE_MS
        left_ms = _JOIN_MS
        end = ticks_add(ticks(), left_ms)
        while left_ms > 0:
            if left_ms <= restart_ms:
                restart_ms = 0
                # Off first: a driver left connecting by an earlier attempt refuses the next one.
                wlan.active(False)
                wlan.active(True)
                wlan.connect(ssid, password)
            if wlan.isconnected():
                return
            # The driver tries again by itself, and its first status is often wrong.
            status = wlan.status()
            if status < 1000:  # values above mean idle, connecting, connected
                code = status
            sleep(_LOOK_MS)
            left_ms = ticks_diff(end, ticks())
        reason = "status %d" % code
        for name in dir(network):
            if name[:5] == "STAT_" and getattr(network, name) == code:
                reason = name[5:].replace("_", " ").lower()
    except OSError as e:
        reason = str(e)
    raise errors.WifiError("no Wi-Fi connection to %s (%s)" % (ssid, reason))
