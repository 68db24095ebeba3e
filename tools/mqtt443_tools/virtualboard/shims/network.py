"""The `network` module of an ESP32: Wi-Fi that works, or fails, drops and lies as world.json says.

Keys of world.json: `wifi_ssid`, `wifi_password` (what the access point answers to; None takes anything),
`wifi_up` (False: the access point is gone), `wifi_status` (a status the chip reports whatever is true, for a chip that
lies), `wifi_connected` (likewise for isconnected()), `wifi_rssi` (dBm), `wifi_error` (connect raises OSError with it).
scan() hears that access point, if it has a name and is up.
"""

import _world

STA_IF = 0
AP_IF = 1
STAT_BEACON_TIMEOUT = 200
STAT_NO_AP_FOUND = 201
STAT_WRONG_PASSWORD = 202
STAT_ASSOC_FAIL = 203
STAT_HANDSHAKE_TIMEOUT = 204
STAT_IDLE = 1000
STAT_CONNECTING = 1001
STAT_GOT_IP = 1010


class WLAN:
    """The station interface; all objects share one radio."""

    PM_NONE = 0
    PM_PERFORMANCE = 1
    PM_POWERSAVE = 2
    _active = False
    _asked = None  # (ssid, password) of the last connect()

    def __init__(self, interface=STA_IF):
        if interface not in (STA_IF, AP_IF):
            raise OSError("invalid WLAN interface identifier")

    def active(self, on=None):
        """Return or set whether the radio is on."""
        if on is None:
            return WLAN._active
        WLAN._active = bool(on)
        if not on:
            WLAN._asked = None
        return WLAN._active

    def connect(self, ssid=None, password=None):
        """Start joining `ssid`; watch status() for the outcome."""
        if not WLAN._active:
            raise OSError("Wifi Internal Error")
        error = _world.look("wifi_error", None)
        if error is not None:
            raise OSError(error)
        WLAN._asked = (ssid, password)

    def disconnect(self):
        """Leave the network."""
        WLAN._asked = None

    def scan(self):
        """Return the networks in reach: (ssid, bssid, channel, RSSI, security, hidden) each."""
        if not WLAN._active:
            raise OSError("STA must be active")
        # The one access point of the keys above: another key or name would count against the board's heap.
        ssid = _world.look("wifi_ssid", None)
        if not (ssid and _world.look("wifi_up", True)):
            return []
        return [(ssid.encode(), b"\x02apmac", 6, _world.look("wifi_rssi", -60), 3, False)]

    def _truth(self):
        if not WLAN._active or WLAN._asked is None:
            return STAT_IDLE
        if not _world.look("wifi_up", True):
            return STAT_NO_AP_FOUND
        ssid, password = WLAN._asked
        if _world.look("wifi_ssid", ssid) != ssid:
            return STAT_NO_AP_FOUND
        if _world.look("wifi_password", password) != password:
            return STAT_WRONG_PASSWORD
        return STAT_GOT_IP

    def status(self, what=None):
        """Return one of the STAT_* constants, or the signal in dBm for "rssi"."""
        if what == "rssi":
            if self._truth() != STAT_GOT_IP:
                raise OSError("STA not connected")
            return _world.look("wifi_rssi", -60)
        if what is not None:
            raise ValueError("unknown status param")
        return _world.look("wifi_status", self._truth())

    def isconnected(self):
        """Return whether the board believes that it has an address."""
        return _world.look("wifi_connected", self._truth() == STAT_GOT_IP)

    def ifconfig(self):
        """Return (address, netmask, gateway, DNS server)."""
        address = "127.0.0.1" if self._truth() == STAT_GOT_IP else "0.0.0.0"  # noqa: S104 - what the chip reports
        return (address, "255.0.0.0", address, address)

    def config(self, name=None, **settings):
        """Take any setting; return the one asked for where a board needs it."""
        if name == "mac":
            return b"\x02mq443"
        return None
