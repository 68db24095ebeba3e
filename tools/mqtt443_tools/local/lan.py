"""Where boards on the network reach this machine: its addresses, the one to use, and the names it goes by."""

import ipaddress
import socket
from collections.abc import Callable, Sequence

import ifaddr

from mqtt443_tools.localcore.settings import HOST_NAME
from mqtt443_tools.support.errors import CommandError, UsageError

Address = tuple[str, str]
"""An IPv4 address of this machine, and the network interface that has it."""


def lan_addresses() -> list[Address]:
    """Return the IPv4 addresses at which others can reach this machine, that of the default route first."""
    found = [
        (str(ip.ip), adapter.nice_name)
        for adapter in ifaddr.get_adapters()
        for ip in adapter.ips
        if ip.is_IPv4 and _is_reachable(str(ip.ip))
    ]
    default = _of_default_route()
    return sorted(found, key=lambda address: (address[0] != default, address[1], address[0]))


def choose_address(
    addresses: Sequence[Address],
    wanted: str | None,
    last: str | None,
    ask: Callable[[Sequence[str]], int] | None,
) -> str:
    """Return the address to listen on.

    Args:
        addresses: of this machine, see `lan_addresses`.
        wanted: the one that the person named, if any.
        last: the one that was used last, which is used again without a question.
        ask: lets the person choose among lines and returns the index; None without a terminal.

    Raises:
        CommandError: this machine is on no network.
        UsageError: the wanted one is not an IPv4 address, or there are several and no one to ask.
    """
    if wanted is not None:
        try:
            return str(ipaddress.IPv4Address(wanted))
        except ValueError:
            raise UsageError(f"--address {wanted}: not an IPv4 address, such as 192.168.1.5") from None
    own = [address for address, _ in addresses]
    if not own:
        raise CommandError("this machine has no network address: join the boards' network, or name one with --address")
    if len(own) == 1 or last in own:
        return own[0] if last not in own else str(last)
    if ask is None:
        raise UsageError(f"this machine has several addresses: choose one of {', '.join(own)} with --address")
    return own[ask([f"{address}  {interface}" for address, interface in addresses])]


def own_names() -> list[str]:
    """Return the names that this machine goes by on its network, the multicast DNS one (RFC 6762) included."""
    name = socket.gethostname().partition(".")[0].lower()
    return [each for each in dict.fromkeys((socket.gethostname().lower(), name, f"{name}.local")) if _is_name(each)]


def _is_name(name: str) -> bool:
    return HOST_NAME.fullmatch(name) is not None and name not in {"localhost", "localhost.local"}


def _is_reachable(address: str) -> bool:
    ip = ipaddress.IPv4Address(address)
    return not (ip.is_loopback or ip.is_link_local or ip.is_unspecified)


def _of_default_route() -> str | None:
    """Return the address that packets to the internet leave from; sends none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))  # TEST-NET-1 (RFC 5737): a UDP connect only chooses a route
        except OSError:
            return None
        return str(sock.getsockname()[0])
