"""Chooses a board's Wi-Fi: offers the networks that it hears, and refuses at once what cannot work."""

from collections.abc import Callable, Mapping, Sequence

from mqtt443_tools.push.board_radio import ENTERPRISE, OPEN, Network
from mqtt443_tools.support.console import Console
from mqtt443_tools.support.errors import UsageError
from mqtt443_tools.support.wifi import MAX_SSID_BYTES, password_mistake

HIGHEST_24_GHZ_CHANNEL = 14
OTHER = "another network, by name"


def choose_wifi(
    heard: Callable[[], Sequence[Network]], ssid: str | None, password: str | None, console: Console
) -> dict[str, str]:
    """Return the value of the key `wifi`.

    Args:
        heard: scans with the board; called once.
        ssid: the name that the person gave, if any.
        password: the password that the person gave; "" is an open network, None asks.
        console: who is asked.

    Raises:
        UsageError: a name or password that cannot be right, or no terminal to ask at.
    """
    networks = {network.ssid: network for network in heard()}
    if ssid is None:
        ssid = _ask_ssid(list(networks.values()), console)
    if not 1 <= len(ssid.encode()) <= MAX_SSID_BYTES:
        raise UsageError(f"--ssid: a Wi-Fi name has 1 to {MAX_SSID_BYTES} bytes, this one has {len(ssid.encode())}")
    network = networks.get(ssid)
    if network is None:
        console.warn(f"warning: the board does not hear {ssid}: is it hidden, out of reach, or on 5 GHz alone?")
    elif network.channel > HIGHEST_24_GHZ_CHANNEL:
        console.warn(f"warning: the board hears {ssid} on 5 GHz (channel {network.channel}) alone")
    if network is not None and network.security == ENTERPRISE:
        raise UsageError(
            f"{ssid} wants a user name (WPA2 Enterprise), which the board cannot give: choose another network"
        )
    is_open = network is not None and network.security == OPEN
    if password is None:
        password = "" if is_open else _ask_password(ssid, console)
    return {"ssid": ssid, "password": _checked(ssid, password, network)}


def _ask_ssid(networks: Sequence[Network], console: Console) -> str:
    lines = [f"{network.ssid}  {network.rssi} dBm{'' if network.security else ', open'}" for network in networks]
    chosen = console.choose("Which Wi-Fi? Number", [*lines, OTHER], "which Wi-Fi? Add --ssid NAME")
    return networks[chosen].ssid if chosen < len(networks) else console.ask("Name of the network", "add --ssid NAME")


def _ask_password(ssid: str, console: Console) -> str:
    unattended = f"the password of {ssid}? Set MQTT443_WIFI_PASSWORD, or add --open for a network without one"
    return console.ask(f"Password of {ssid}", unattended, hidden=True)


def _checked(ssid: str, password: str, network: Network | None) -> str:
    if not password and network is not None and network.security != OPEN:
        raise UsageError(f"{ssid} is not open: it needs a password")
    if mistake := password_mistake(password):
        raise UsageError(mistake)
    return password


def has_wifi(config: Mapping[str, object]) -> bool:
    """Return whether a config names a network."""
    wifi = config.get("wifi")
    return isinstance(wifi, dict) and bool(wifi.get("ssid"))
