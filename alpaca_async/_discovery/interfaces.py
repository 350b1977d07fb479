"""The broadcast and multicast addresses of this host's networks."""

from __future__ import annotations

import logging
import socket
from ipaddress import ip_interface
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ifaddr import Adapter

MULTICAST_GROUP: Final = "ff12::a1:9aca"

_MAX_BROADCAST_PREFIX: Final = 30
"""The longest network prefix with a broadcast address."""

_ELSEWHERE: Final = ("192.0.2.1", 9)
"""A destination outside all networks (RFC 5737); nothing is sent to it."""

logger = logging.getLogger("alpaca_async")


class Destination(NamedTuple):
    """A numeric address, and for IPv6 the index of the interface to use."""

    host: str
    scope: int = 0

    @property
    def family(self) -> socket.AddressFamily:
        """The address family: IPv4 or IPv6."""
        return socket.AF_INET6 if ":" in self.host else socket.AF_INET


# Unicast addresses too: not every system supports broadcasts on its loopback interface.
LOOPBACK: Final = (Destination("127.255.255.255"), Destination("127.0.0.1"), Destination("::1"))


def all_destinations() -> list[Destination]:
    """Return the addresses that reach all servers in all networks of this host.

    The package ifaddr provides the broadcast address of each interface. Without it, IPv4
    broadcasts go to 255.255.255.255, for which the system selects a single interface.
    """
    try:
        from ifaddr import get_adapters  # noqa: PLC0415 - an extra

        found = [each for adapter in get_adapters() for each in _destinations(adapter)]
    except (ImportError, OSError) as error:
        logger.info("cannot list the network interfaces: %s", error)
        found = [Destination("255.255.255.255")]
        found += [Destination(MULTICAST_GROUP, index) for index, _ in socket.if_nameindex()]
    return list(dict.fromkeys([*LOOPBACK, *found]))


def own_address() -> str | None:
    """Return the IPv4 address of this host in the network of its default route; None if none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_ELSEWHERE)
        except OSError:
            return None
        address: str = probe.getsockname()[0]
    return address


def _destinations(adapter: Adapter) -> Iterator[Destination]:
    for each in adapter.ips:
        address = each.ip if isinstance(each.ip, str) else each.ip[0]
        interface = ip_interface(f"{address}/{each.network_prefix}")
        if interface.is_loopback:
            continue
        if interface.version == 6:  # noqa: PLR2004 - IPv6
            yield Destination(MULTICAST_GROUP, adapter.index or 0)
        elif each.network_prefix <= _MAX_BROADCAST_PREFIX:
            yield Destination(str(interface.network.broadcast_address))
