"""Servers listen on the loopback address by default."""

from __future__ import annotations

import inspect
import ipaddress
from typing import TYPE_CHECKING

import typer.main

from alpaca_async import testing
from alpaca_async.cli._app import app
from alpaca_async.testing import SimulatedCamera, SimulatorServer

if TYPE_CHECKING:
    import click

LOOPBACK = "127.0.0.1"
HOSTS = {"host", "bind", "bind_host", "listen", "listen_host", "interface"}
"""Parameter names that may mean the address to listen on."""


async def test_the_simulated_server_listens_on_loopback() -> None:
    async with SimulatorServer([SimulatedCamera()]) as server:
        assert server.address.startswith(f"{LOOPBACK}:")
        assert server._listener is not None
        names = [listener.getsockname()[0] for listener in server._listener.sockets]
        assert all(ipaddress.ip_address(name).is_loopback for name in names)


def test_everything_in_the_testing_package_listens_on_loopback() -> None:
    found = 0
    for name in testing.__all__:
        thing = getattr(testing, name)
        if name == "SessionFileError":  # has no signature, and does not listen
            continue
        if inspect.isclass(thing) or inspect.isfunction(thing):
            for parameter in inspect.signature(thing).parameters.values():
                if parameter.name in HOSTS:
                    found += 1
                    assert parameter.default == LOOPBACK, f"{name}({parameter})"
    assert found


def test_commands_listen_on_loopback() -> None:
    root = typer.main.get_command(app)
    commands: dict[str, click.Command] = vars(root)["commands"]
    hosts = {
        f"{name} --{option.name}": option.default
        for name, command in commands.items()
        for option in command.params
        if option.name in HOSTS
    }
    assert hosts["sim --host"] == LOOPBACK
    assert set(hosts.values()) == {LOOPBACK}
