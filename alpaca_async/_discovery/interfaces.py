"""Where servers are asked for: the broadcast and multicast addresses of this host."""

from __future__ import annotations

import logging
import socket
from ipaddress import ip_interface
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ifaddr import Adapter

MULTICAST_GROUP: Final = "ff12::a1:9aca"

_WIDEST_BROADCAST: Final = 30
"""The longest prefix of a network that has a broadcast address."""

logger = logging.getLogger("alpaca_async")


class Destination(NamedTuple):
    """A numeric address, and for IPv6 the index of the interface that leads there."""

    host: str
    scope: int = 0

    @property
    def family(self) -> socket.AddressFamily:
        """IPv4 or IPv6."""
        return socket.AF_INET6 if ":" in self.host else socket.AF_INET


# Not every system broadcasts on its loopback interface.
LOOPBACK: Final = (Destination("127.255.255.255"), Destination("127.0.0.1"), Destination("::1"))


def everywhere() -> list[Destination]:
    """Return the addresses that reach all servers of all networks of this host.

    The package ifaddr knows the broadcast address of each interface. Without it, IPv4 is left to
    the one interface that the system takes for broadcasts to all.
    """
    try:
        from ifaddr import get_adapters  # noqa: PLC0415 - an extra

        found = [each for adapter in get_adapters() for each in _destinations(adapter)]
    except (ImportError, OSError) as error:
        logger.info("the interfaces are not known one by one: %s", error)
        found = [Destination("255.255.255.255")]
        found += [Destination(MULTICAST_GROUP, index) for index, _ in socket.if_nameindex()]
    return list(dict.fromkeys([*LOOPBACK, *found]))


def _destinations(adapter: Adapter) -> Iterator[Destination]:
    for each in adapter.ips:
        address = each.ip if isinstance(each.ip, str) else each.ip[0]
        interface = ip_interface(f"{address}/{each.network_prefix}")
        if interface.is_loopback:
            continue
        if interface.version == 6:  # noqa: PLR2004 - IPv6
            yield Destination(MULTICAST_GROUP, adapter.index or 0)
        elif each.network_prefix <= _WIDEST_BROADCAST:
            yield Destination(str(interface.network.broadcast_address))
