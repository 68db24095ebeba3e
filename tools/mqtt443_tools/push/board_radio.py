"""Asks a board's radio for the networks that it hears and for its address."""

from dataclasses import dataclass

from mqtt443_tools.push.board_programs import Runs, values

MAX_NETWORKS = 30
OPEN, ENTERPRISE = 0, 5  # numbers of MicroPython's network.WLAN.scan()

_SCAN = """
import network
w = network.WLAN(network.STA_IF)
a = w.active()
w.active(True)
try:
    for s in w.scan():
        print((bytes(s[0]), s[2], s[3], s[4]))
finally:
    w.active(a)
"""
_MAC = """
import network
w = network.WLAN(network.STA_IF)
print((bytes(w.config("mac")),))
"""


@dataclass(frozen=True)
class Network:
    """A network that the board hears.

    Attributes:
        ssid: its name.
        channel: 1 to 14 are in the 2.4 GHz band.
        rssi: signal strength in dBm.
        security: as MicroPython numbers it; 0 is open.
    """

    ssid: str
    channel: int
    rssi: int
    security: int


def scan(board: Runs) -> list[Network]:
    """Return the networks that a board hears, the strongest first, each name once.

    Raises:
        LinkError: the board is gone, or has no radio.
        CommandError: its answer makes no sense.
    """
    heard: dict[str, Network] = {}
    for line in board.run(_SCAN).splitlines():
        name, channel, rssi, security = values(line, bytes, int, int, int)
        try:
            ssid = name.decode()
        except UnicodeDecodeError:
            continue  # config.json cannot hold it
        if ssid and (ssid not in heard or heard[ssid].rssi < rssi):  # a hidden network has no name
            heard[ssid] = Network(ssid, channel, rssi, security)
    return sorted(heard.values(), key=lambda network: (-network.rssi, network.ssid))[:MAX_NETWORKS]


def mac(board: Runs) -> bytes:
    """Return the board's Wi-Fi address. Raises LinkError, CommandError."""
    return bytes(values(board.run(_MAC), bytes)[0])
