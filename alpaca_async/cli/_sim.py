"""`alpaca-async sim`: serves a simulated rig until Ctrl-C."""

from __future__ import annotations

import asyncio
import platform
import re
import uuid
from collections import Counter
from enum import StrEnum
from functools import partial
from pathlib import Path  # noqa: TC003 - typer evaluates it
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer
from rich.text import Text

from alpaca_async._discovery.discovery import DISCOVERY_PORT
from alpaca_async._enums import SensorType

from ._console import print_json, print_line, print_note, report_errors
from ._extras import require
from ._faults import LIST, Faults, FaultSpec, fault_proxy, print_faults, split_faults
from ._numbers import decimal
from ._server import SIMULATED_SKY, AsJson
from ._serving import MAX_PORT, Host, Port, local_address, run_until_ctrl_c
from ._usage import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import TypeAlias

    from alpaca_async.testing import FaultProxy, SimulatedRig, SimulatorServer
    from alpaca_async.testing._core import SimulatedDevice

    Server: TypeAlias = SimulatorServer | FaultProxy

_SIZE: Final = re.compile(r"(\d{1,5})[xX](\d{1,5})", re.ASCII)
_WITH_REPLAY: Final = frozenset(
    {"host", "port", "speed_up", "replay", "discovery", "discovery_port", "as_json"}
)
"""Parameters that apply to a recorded session, too."""


class Sensor(StrEnum):
    """Values of `--sensor`."""

    MONO = "mono"
    RGGB = "rggb"
    COLOR = "color"


_TYPES: Final = {
    Sensor.MONO: SensorType.MONOCHROME,
    Sensor.RGGB: SensorType.RGGB,
    Sensor.COLOR: SensorType.COLOR,
}


def sim(  # noqa: PLR0913, PLR0917 - one parameter for each option
    context: typer.Context,
    host: Host = "127.0.0.1",
    port: Port = 11111,
    cameras: Annotated[
        int, typer.Option(min=1, max=100, metavar="N", help="Number of cameras.")
    ] = 1,
    sensor: Annotated[
        Sensor, typer.Option(help="Monochrome, Bayer matrix (RGGB), or three colour planes.")
    ] = Sensor.MONO,
    size: Annotated[str, typer.Option(metavar="WxH", help="Sensor size in pixels.")] = "1280x960",
    interface_version: Annotated[
        int, typer.Option(min=3, max=4, metavar="3|4", help="Version of ICamera; 4 is Platform 7.")
    ] = 4,
    speed_up: Annotated[
        float,
        typer.Option(parser=decimal(0.001), metavar="X", help="Run simulated time X times faster."),
    ] = 1.0,
    seed: Annotated[
        int, typer.Option(min=0, metavar="N", help="Random seed for the sky and the faults.")
    ] = 0,
    fault: Faults = None,
    replay: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Play a session that 'alpaca-async record' has written, instead of simulating.",
            show_default=False,
        ),
    ] = None,
    discovery: Annotated[
        bool, typer.Option("--discovery/--no-discovery", help="Answer discovery requests.")
    ] = True,
    discovery_port: Annotated[
        int,
        typer.Option(min=0, max=MAX_PORT, metavar="PORT", help="UDP port for discovery."),
    ] = DISCOVERY_PORT,
    as_json: AsJson = False,
) -> None:
    """Serve simulated cameras until Ctrl-C.

    Each camera shows a different sky, all through the same filter wheel, focuser and cover, which
    are served, too.
    --replay plays a recorded session instead, as fast as it was unless --speed-up is given.
    """
    with report_errors():
        require("testing")
        endpoint = _Endpoint(host, port, discovery_port if discovery else None)
        if replay is not None:
            _refuse_options_of_cameras(context)
            run_until_ctrl_c(_replay(replay, endpoint, speed_up, as_json=as_json), port)
            return
        if LIST in (fault or []):
            print_faults()
            return
        faults = [FaultSpec.parse(text) for text in fault or []]
        deviations, specs = split_faults(faults)
        rig = _rig(
            cameras,
            _parse_size(size),
            seed,
            sensor=_TYPES[sensor],
            interface_version=interface_version,
            speed_up=speed_up,
            **deviations,
        )
        if port and "unique_id" not in deviations:
            _set_unique_ids(rig, port)
        announce = partial(_announce_json if as_json else _announce, faults)
        run_until_ctrl_c(
            _serve_with_faults(rig, endpoint, announce, specs, seed)
            if specs
            else _serve(rig, endpoint, announce),
            port,
        )


def _rig(count: int, size: tuple[int, int], seed: int, **facts: Any) -> SimulatedRig:  # noqa: ANN401 - of CameraModel
    """Return cameras that each have another sky, and the devices around them."""
    from alpaca_async.testing import SimulatedCamera, SimulatedRig  # noqa: PLC0415 - an extra

    width, height = size
    return SimulatedRig(
        SimulatedCamera(
            name=f"Simulated camera {number}" if count > 1 else "Simulated camera",
            sensor_name=f"SIM{width}",
            width=width,
            height=height,
            seed=seed + number,
            **SIMULATED_SKY,
            **facts,
        )
        for number in range(count)
    )


def _set_unique_ids(rig: SimulatedRig, port: int) -> None:
    """Give the devices ids that are the same at every start on this computer and port."""
    for number, device in _numbered(rig.devices):
        path = f"{platform.node()}:{port}/{device.device_type}/{number}"
        device.unique_id = str(uuid.uuid5(uuid.NAMESPACE_URL, path))


def _numbered(devices: Sequence[SimulatedDevice]) -> Iterator[tuple[int, SimulatedDevice]]:
    """Yield the devices with their numbers, by which the server knows them."""
    counts = Counter[str]()
    for device in devices:
        yield counts[device.device_type], device
        counts[device.device_type] += 1


class _Endpoint(NamedTuple):
    """Address and port to listen on, and the UDP port for discovery (None for none)."""

    host: str
    port: int
    discovery_port: int | None


async def _serve(
    rig: SimulatedRig, endpoint: _Endpoint, announce: Callable[[SimulatedRig, Server], None]
) -> None:
    from alpaca_async.testing import SimulatorServer  # noqa: PLC0415 - an extra

    async with SimulatorServer(
        rig.devices,
        host=endpoint.host,
        port=endpoint.port,
        discovery_port=endpoint.discovery_port,
    ) as server:
        announce(rig, server)
        await asyncio.Event().wait()


async def _serve_with_faults(
    rig: SimulatedRig,
    endpoint: _Endpoint,
    announce: Callable[[SimulatedRig, Server], None],
    specs: list[FaultSpec],
    seed: int,
) -> None:
    """Serve behind a proxy that causes faults; the server itself listens on loopback only."""
    from alpaca_async.testing import SimulatorServer  # noqa: PLC0415 - an extra
    from alpaca_async.testing._responder import discovery_responders  # noqa: PLC0415 - as above

    async with (
        SimulatorServer(rig.devices) as server,
        fault_proxy(
            server.address, specs, host=endpoint.host, port=endpoint.port, seed=seed
        ) as proxy,
        discovery_responders([endpoint.host], endpoint.discovery_port, proxy.port),
    ):
        announce(rig, proxy)
        await asyncio.Event().wait()


def _refuse_options_of_cameras(context: typer.Context) -> None:
    """Raise `UsageError` if an option was given that has no effect on a recorded session."""
    for name in sorted(context.params.keys() - _WITH_REPLAY):
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise UsageError(f"--replay cannot be combined with --{name.replace('_', '-')}")


async def _replay(path: Path, endpoint: _Endpoint, speed_up: float, *, as_json: bool) -> None:
    from alpaca_async.testing import ReplayServer  # noqa: PLC0415 - an extra
    from alpaca_async.testing._responder import discovery_responders  # noqa: PLC0415 - as above

    async with (
        ReplayServer(path, host=endpoint.host, port=endpoint.port, speed_up=speed_up) as server,
        discovery_responders([endpoint.host], endpoint.discovery_port, server.port),
    ):
        if as_json:
            print_json({"address": server.address, "session": str(path)})
        else:
            print_line(f"the session in {path} at {server.address}; press Ctrl-C to stop")
        await asyncio.Event().wait()


def _announce(faults: Sequence[FaultSpec], rig: SimulatedRig, server: Server) -> None:
    _print_faults(faults)
    print_line(f"{_number_of(rig)} at {server.address}; press Ctrl-C to stop")
    print_line("with a filter wheel, a focuser, a cover with a calibrator, and a safety monitor")
    print_line(
        Text(f"try: alpaca-async expose {local_address(server.address)} -t 2 --preview", "dim")
    )


def _announce_json(faults: Sequence[FaultSpec], rig: SimulatedRig, server: Server) -> None:
    _print_faults(faults)
    cameras = [_description(number, each) for number, each in enumerate(rig.cameras)]
    devices = [
        {"device_type": each.device_type, **_description(number, each)}
        for number, each in _numbered(rig.devices)
    ]
    print_json({"address": server.address, "cameras": cameras, "devices": devices})


def _description(number: int, device: SimulatedDevice) -> dict[str, int | str]:
    return {"device_number": number, "name": device.name, "unique_id": device.unique_id}


def _print_faults(faults: Sequence[FaultSpec]) -> None:
    if faults:
        print_note(f"with faults: {', '.join(spec.name for spec in faults)}")


def _parse_size(text: str) -> tuple[int, int]:
    match = _SIZE.fullmatch(text.strip())
    if match is None or not int(match[1]) or not int(match[2]):
        raise UsageError(f"--size {text!r} is not valid: use WIDTHxHEIGHT in pixels")
    return int(match[1]), int(match[2])


def _number_of(rig: SimulatedRig) -> str:
    count = len(rig.cameras)
    return f"{count} simulated cameras" if count > 1 else "1 simulated camera"
