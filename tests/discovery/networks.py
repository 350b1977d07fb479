"""Runs discovery between two network namespaces: one is the client, the other the server.

`unshare --net python -m tests.discovery.networks` runs both.

Three veth pairs connect them, each with IPv4 and IPv6; the client has two more interfaces that do
not work. The other namespace runs a server on all pairs, and on each a sender of invalid replies.
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
LINKS = (1, 2, 3)
INVALID_REPLIES = (b"<html>no</html>", b"x" * 20000, b'{"AlpacaPort": 0}')
UNIQUE_ID = "one camera"


def ip(*arguments: object) -> None:
    subprocess.run(["ip", *map(str, arguments)], check=True)  # noqa: S603, S607 - our own namespace


def bring_up(name: str, *addresses: str) -> None:
    ip("link", "set", name, "addrgenmode", "none")  # duplicate address detection takes a second
    for address in addresses:
        ip("addr", "add", address, "dev", name, *(["nodad"] if ":" in address else []))
    ip("link", "set", name, "up")


def wait_for_carrier(*names: str) -> None:
    """Wait until the kernel has detected the carrier and added the routes."""
    command = ["ip", "-6", "route", "show", "table", "local"]
    for _ in range(500):
        routes = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 - as above
        if all(f"ff00::/8 dev {name} " in routes for name in names):
            return
        time.sleep(0.02)
    raise TimeoutError(names)


def add_links(other: int) -> None:
    ip("link", "set", "lo", "up")
    for number in LINKS:
        ip("link", "add", f"v{number}", "type", "veth", "peer", f"p{number}", "netns", other)
        bring_up(f"v{number}", f"10.0.{number}.1/24", f"fe80::{number}:1/64")
    for name, address in (("off", "10.0.8.1/24"), ("cut", "10.0.9.1/24")):
        ip("link", "add", name, "type", "veth", "peer", f"{name}-end")
        ip("addr", "add", address, "dev", name)
    ip("link", "set", "cut", "up")


# The server's namespace


class InvalidReplier(asyncio.DatagramProtocol):
    """Sends an invalid reply to broadcasts from one link, from an address of its own."""

    def __init__(self, number: int, reply: bytes) -> None:
        self._network = f"10.0.{number}."
        self._reply = reply
        self._sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sender.bind((f"10.0.{number}.66", 0))

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        if addr[0].startswith(self._network):
            self._sender.sendto(self._reply, addr)


async def serve() -> None:
    """Serve on all links until the client has finished."""
    sys.stdout.write("separate\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.readline)
    ip("link", "set", "lo", "up")
    for number in LINKS:
        addresses = (f"10.0.{number}.2/24", f"10.0.{number}.66/24", f"fe80::{number}:2/64")
        bring_up(f"p{number}", *addresses)
    wait_for_carrier(*(f"p{number}" for number in LINKS))
    for number, reply in zip(LINKS, INVALID_REPLIES, strict=True):
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        receiver.bind(("0.0.0.0", DISCOVERY_PORT))  # noqa: S104 - in a namespace of our own
        receiver.setblocking(False)
        await asyncio.get_running_loop().create_datagram_endpoint(
            partial(InvalidReplier, number, reply), sock=receiver
        )
    camera = SimulatedCamera(width=64, height=48, unique_id=UNIQUE_ID)
    v4 = SimulatorServer([camera], host="0.0.0.0", port=4444, discovery_port=DISCOVERY_PORT)  # noqa: S104 - as above
    v6 = SimulatorServer([camera], host="::", port=6666, discovery_port=DISCOVERY_PORT)
    async with v4, v6:
        sys.stdout.write("serving\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.readline)


# The client's namespace


async def search(timeout: float) -> dict[str, Any]:
    """Return what is found on all networks, and the id of the camera at each address."""
    times, found = await asyncio.gather(arrivals(timeout), cameras(timeout))
    async with AlpacaClient() as client:
        ids = {address: await unique_id(client, address) for address in times}
    return {"times": times, "cameras": found, "ids": ids}


async def arrivals(timeout: float) -> dict[str, float]:
    started = time.monotonic()
    async with discover(timeout=timeout) as servers:
        return {server.address: time.monotonic() - started async for server in servers}


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
            add_links(other.pid)
            other.stdin.write("links are added\n")
            other.stdin.flush()
            assert other.stdout.readline() == "serving\n"
            wait_for_carrier(*(f"v{number}" for number in LINKS))
            sys.stdout.write(json.dumps(asyncio.run(search(timeout=4.0))))
        finally:
            other.kill()


if __name__ == "__main__":
    asyncio.run(serve()) if sys.argv[1:] else main()
