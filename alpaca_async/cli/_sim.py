"""`alpaca-async sim`: simulated cameras on a socket, until Ctrl-C."""

from __future__ import annotations

import asyncio
import re
from enum import StrEnum
from errno import EADDRINUSE
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer
from rich.text import Text

from alpaca_async._discovery.discovery import DISCOVERY_PORT
from alpaca_async._enums import SensorType

from ._console import Interrupted, foreseen_errors, note, say, say_json
from ._extras import require
from ._faults import LIST, FaultOrder, Faults, behind_faults, print_faults
from ._running import run
from ._server import GOOD_NIGHT, AsJson
from ._usage import WrongUsage

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any, TypeAlias

    from alpaca_async.testing import FaultProxy, SimulatedCamera, SimulatorServer

    Cameras: TypeAlias = list[SimulatedCamera]
    Server: TypeAlias = SimulatorServer | FaultProxy

_SIZE: Final = re.compile(r"(\d{1,5})[xX](\d{1,5})", re.ASCII)
_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - said, not bound
_MAX_PORT: Final = 65535


class Sensor(StrEnum):
    """The kinds of sensors that can be asked for."""

    MONO = "mono"
    RGGB = "rggb"
    COLOR = "color"


_TYPES: Final = {
    Sensor.MONO: SensorType.MONOCHROME,
    Sensor.RGGB: SensorType.RGGB,
    Sensor.COLOR: SensorType.COLOR,
}


def sim(  # noqa: PLR0913, PLR0917 - one parameter for each option
    host: Annotated[
        str, typer.Option(metavar="HOST", help="The address to listen on.")
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(min=0, max=_MAX_PORT, metavar="PORT", help="The port; 0 takes a free one."),
    ] = 11111,
    cameras: Annotated[
        int, typer.Option(min=1, max=100, metavar="N", help="How many cameras.")
    ] = 1,
    sensor: Annotated[
        Sensor, typer.Option(help="One plane, one behind coloured filters, or three.")
    ] = Sensor.MONO,
    size: Annotated[
        str, typer.Option(metavar="WxH", help="Of the sensor, in pixels.")
    ] = "1280x960",
    interface_version: Annotated[
        int, typer.Option(min=3, max=4, metavar="3|4", help="Of ICamera: 4 is Platform 7.")
    ] = 4,
    speed_up: Annotated[
        float, typer.Option(min=0.001, metavar="X", help="Let the cameras' time run faster.")
    ] = 1.0,
    seed: Annotated[
        int, typer.Option(min=0, metavar="N", help="Chooses the sky, and which requests fail.")
    ] = 0,
    fault: Faults = None,
    discovery: Annotated[
        bool, typer.Option("--discovery/--no-discovery", help="Let clients find the server.")
    ] = True,
    discovery_port: Annotated[
        int,
        typer.Option(min=0, max=_MAX_PORT, metavar="PORT", help="The UDP port where they ask."),
    ] = DISCOVERY_PORT,
    as_json: AsJson = False,
) -> None:
    """Serve simulated cameras until Ctrl-C.

    Each looks at a sky of its own.
    """
    with foreseen_errors():
        require("testing")
        if LIST in (fault or []):
            print_faults()
            return
        orders = [FaultOrder.parse(text) for text in fault or []]
        width, height = _parse_size(size)
        from alpaca_async.testing import SimulatedCamera  # noqa: PLC0415 - an extra

        models = [
            SimulatedCamera(
                name=f"Simulated camera {number}" if cameras > 1 else "Simulated camera",
                sensor=_TYPES[sensor],
                sensor_name=f"SIM{width}",
                width=width,
                height=height,
                interface_version=interface_version,
                speed_up=speed_up,
                seed=seed + number,
                **GOOD_NIGHT,
            )
            for number in range(cameras)
        ]
        door = _Door(host, port, discovery_port if discovery else None)
        tell = _tell_json if as_json else _tell
        _serve(_run_badly(models, door, tell, orders, seed) if orders else _run(models, door, tell))


class _Door(NamedTuple):
    """Where clients come in, and the UDP port where they may ask for it."""

    host: str
    port: int
    discovery_port: int | None


def _serve(story: Coroutine[Any, Any, None]) -> None:
    """Serve until Ctrl-C, which is how this command is meant to end."""
    try:
        run(story)
    except Interrupted:
        note("stopped")
    except OSError as error:
        if error.errno != EADDRINUSE:
            raise
        raise WrongUsage("the port is taken; --port 0 takes a free one") from error


async def _run(cameras: Cameras, door: _Door, tell: Callable[[Cameras, Server], None]) -> None:
    from alpaca_async.testing import SimulatorServer  # noqa: PLC0415 - an extra

    async with SimulatorServer(
        cameras, host=door.host, port=door.port, discovery_port=door.discovery_port
    ) as server:
        tell(cameras, server)
        await asyncio.Event().wait()


async def _run_badly(
    cameras: Cameras,
    door: _Door,
    tell: Callable[[Cameras, Server], None],
    orders: list[FaultOrder],
    seed: int,
) -> None:
    """Serve behind a proxy that does harm; the server itself can be reached from here alone."""
    from alpaca_async.testing import SimulatorServer  # noqa: PLC0415 - an extra
    from alpaca_async.testing._responder import discovery_responders  # noqa: PLC0415 - as above

    async with (
        SimulatorServer(cameras) as server,
        behind_faults(server.address, orders, host=door.host, port=door.port, seed=seed) as proxy,
        discovery_responders([door.host], door.discovery_port, proxy.port),
    ):
        note(f"with faults: {', '.join(order.name for order in orders)}")
        tell(cameras, proxy)
        await asyncio.Event().wait()


def _tell(cameras: Cameras, server: Server) -> None:
    host, _, port = server.address.rpartition(":")
    nearby = f"{_EVERYWHERE.get(host, host)}:{port}"
    say(f"{_number_of(cameras)} at {server.address}, until Ctrl-C")
    say(Text(f"alpaca-async expose {nearby} -t 2 --preview", "dim"))


def _tell_json(cameras: Cameras, server: Server) -> None:
    records = [
        {"device_number": number, "name": camera.name, "unique_id": camera.unique_id}
        for number, camera in enumerate(cameras)
    ]
    say_json({"address": server.address, "cameras": records})


def _parse_size(text: str) -> tuple[int, int]:
    match = _SIZE.fullmatch(text.strip())
    if match is None or not int(match[1]) or not int(match[2]):
        raise WrongUsage(f"--size {text!r} is not WIDTHxHEIGHT in pixels")
    return int(match[1]), int(match[2])


def _number_of(cameras: Cameras) -> str:
    return f"{len(cameras)} simulated cameras" if len(cameras) > 1 else "1 simulated camera"
