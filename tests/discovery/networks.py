"""Two hosts in one: one half finds what the other serves.

`unshare --net python -m tests.discovery.networks` runs both.

Three cables join them, each an interface with IPv4 and IPv6; two more interfaces are dead. At
the other end a server answers on all of them, and one liar on each.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import subprocess
import sys
import time
from dataclasses import asdict
from functools import partial
from typing import Any

from alpaca_async import AlpacaClient, discover, find_cameras
from alpaca_async.testing import SimulatedCamera, SimulatorServer

DISCOVERY_PORT = 32227
CABLES = (1, 2, 3)
LIES = (b"<html>no</html>", b"x" * 20000, b'{"AlpacaPort": 0}')
UNIQUE_ID = "one camera"


def ip(*arguments: object) -> None:
    subprocess.run(["ip", *map(str, arguments)], check=True)  # noqa: S603, S607 - our own namespace


def bring_up(name: str, *addresses: str) -> None:
    ip("link", "set", name, "addrgenmode", "none")  # its address would be tested for a second
    for address in addresses:
        ip("addr", "add", address, "dev", name, *(["nodad"] if ":" in address else []))
    ip("link", "set", name, "up")


def wait_for_carrier(*names: str) -> None:
    """Wait until the kernel has noticed that the cables are plugged in, and routes over them."""
    command = ["ip", "-6", "route", "show", "table", "local"]
    for _ in range(500):
        routes = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 - as above
        if all(f"ff00::/8 dev {name} " in routes for name in names):
            return
        time.sleep(0.02)
    raise TimeoutError(names)


def lay_cables(other: int) -> None:
    ip("link", "set", "lo", "up")
    for number in CABLES:
        ip("link", "add", f"v{number}", "type", "veth", "peer", f"p{number}", "netns", other)
        bring_up(f"v{number}", f"10.0.{number}.1/24", f"fe80::{number}:1/64")
    for name, address in (("off", "10.0.8.1/24"), ("cut", "10.0.9.1/24")):
        ip("link", "add", name, "type", "veth", "peer", f"{name}-end")
        ip("addr", "add", address, "dev", name)
    ip("link", "set", "cut", "up")


# The other half


class Liar(asyncio.DatagramProtocol):
    """Hears broadcasts on all cables, and answers those of one from an address of its own."""

    def __init__(self, number: int, lie: bytes) -> None:
        self._network = f"10.0.{number}."
        self._lie = lie
        self._mouth = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._mouth.bind((f"10.0.{number}.66", 0))

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        if addr[0].startswith(self._network):
            self._mouth.sendto(self._lie, addr)


async def serve() -> None:
    """Serve on all cables until the other half has what it wants."""
    sys.stdout.write("separate\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.readline)
    ip("link", "set", "lo", "up")
    for number in CABLES:
        addresses = (f"10.0.{number}.2/24", f"10.0.{number}.66/24", f"fe80::{number}:2/64")
        bring_up(f"p{number}", *addresses)
    wait_for_carrier(*(f"p{number}" for number in CABLES))
    for number, lie in zip(CABLES, LIES, strict=True):
        hearing = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        hearing.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        hearing.bind(("0.0.0.0", DISCOVERY_PORT))  # noqa: S104 - in a namespace of our own
        hearing.setblocking(False)
        await asyncio.get_running_loop().create_datagram_endpoint(
            partial(Liar, number, lie), sock=hearing
        )
    camera = SimulatedCamera(width=64, height=48, unique_id=UNIQUE_ID)
    v4 = SimulatorServer([camera], host="0.0.0.0", port=4444, discovery_port=DISCOVERY_PORT)  # noqa: S104 - as above
    v6 = SimulatorServer([camera], host="::", port=6666, discovery_port=DISCOVERY_PORT)
    async with v4, v6:
        sys.stdout.write("serving\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.readline)


# This half


async def search(timeout: float) -> dict[str, Any]:
    """Return what is found on all networks, and what names the camera has at each address."""
    times, found = await asyncio.gather(arrivals(timeout), cameras(timeout))
    async with AlpacaClient() as client:
        ids = {address: await unique_id(client, address) for address in times}
    return {"times": times, "cameras": found, "ids": ids}


async def arrivals(timeout: float) -> dict[str, float]:
    begun = time.monotonic()
    async with discover(timeout=timeout) as servers:
        return {server.address: time.monotonic() - begun async for server in servers}


async def cameras(timeout: float) -> list[dict[str, Any]]:
    async with find_cameras(timeout=timeout) as found:
        return [asdict(camera) async for camera in found]


async def unique_id(client: AlpacaClient, address: str) -> str:
    (device,) = await client.get_configured_devices(address)
    return device.unique_id


def main() -> None:
    logging.basicConfig(level=logging.INFO)
    with subprocess.Popen(
        ["unshare", "--net", sys.executable, "-m", "tests.discovery.networks", "serve"],  # noqa: S607 - a standard tool
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        try:
            assert other.stdout.readline() == "separate\n"
            lay_cables(other.pid)
            other.stdin.write("cables are laid\n")
            other.stdin.flush()
            assert other.stdout.readline() == "serving\n"
            wait_for_carrier(*(f"v{number}" for number in CABLES))
            sys.stdout.write(json.dumps(asyncio.run(search(timeout=1.0))))
        finally:
            other.kill()


if __name__ == "__main__":
    asyncio.run(serve()) if sys.argv[1:] else main()
