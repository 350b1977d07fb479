from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING

import ifaddr
import pytest
from ifaddr import IP, Adapter

from alpaca_async._discovery.interfaces import (
    LOOPBACK,
    MULTICAST_GROUP,
    Destination,
    all_destinations,
    own_address,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    UseAdapters = Callable[..., None]


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> UseAdapters:
    def replace(*adapters: Adapter) -> None:
        monkeypatch.setattr(ifaddr, "get_adapters", lambda: adapters)

    return replace


def v4(address: str, prefix: int) -> IP:
    return IP(address, prefix, "x")


def v6(address: str, prefix: int = 64, scope: int = 0) -> IP:
    return IP((address, 0, scope), prefix, "x")


def test_each_interface_has_its_broadcast_and_multicast_addresses(use: UseAdapters) -> None:
    use(
        Adapter("a", "a", [v4("192.168.1.20", 24), v6("fe80::1", scope=2), v6("fd00::1")], 2),
        Adapter("b", "b", [v4("10.1.2.3", 8), v4("172.16.5.4", 22), v6("fe80::2", scope=3)], 3),
    )
    assert all_destinations() == [
        *LOOPBACK,
        Destination("192.168.1.255"),
        Destination(MULTICAST_GROUP, 2),
        Destination("10.255.255.255"),
        Destination("172.16.7.255"),
        Destination(MULTICAST_GROUP, 3),
    ]


def test_loopback_and_point_to_point_interfaces_are_skipped(use: UseAdapters) -> None:
    use(
        Adapter("lo", "lo", [v4("127.0.0.1", 8), v6("::1", 128)], 1),
        Adapter("vpn", "vpn", [v4("100.64.0.1", 32), v4("10.0.0.0", 31)], 5),
    )
    assert all_destinations() == [*LOOPBACK]


def test_a_network_with_two_addresses_is_listed_once(use: UseAdapters) -> None:
    use(Adapter("a", "a", [v4("10.0.0.1", 24), v4("10.0.0.2", 24)], 2))
    assert all_destinations() == [*LOOPBACK, Destination("10.0.0.255")]


def without_ifaddr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ifaddr", None)


def failing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OSError("getifaddrs")

    monkeypatch.setattr(ifaddr, "get_adapters", fail)


@pytest.mark.parametrize("disable", [without_ifaddr, failing])
def test_if_interfaces_cannot_be_listed_the_global_broadcast_is_used(
    monkeypatch: pytest.MonkeyPatch, disable: Callable[[pytest.MonkeyPatch], None]
) -> None:
    disable(monkeypatch)
    monkeypatch.setattr(socket, "if_nameindex", lambda: [(1, "lo"), (4, "eth0")])
    assert all_destinations() == [
        *LOOPBACK,
        Destination("255.255.255.255"),
        Destination(MULTICAST_GROUP, 1),
        Destination(MULTICAST_GROUP, 4),
    ]


def test_the_interfaces_of_this_host_can_be_listed() -> None:
    assert all_destinations()[: len(LOOPBACK)] == [*LOOPBACK]


def test_the_own_address_is_that_of_the_default_route() -> None:
    address = own_address()
    if address is None:
        pytest.skip("this machine has no default route")
    with socket.create_server((address, 0)):  # which fails for the address of another machine
        pass


def test_without_a_route_there_is_no_own_address(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(socket.socket, "connect", fail)
    assert own_address() is None
