"""`alpaca-async info`: a server, its devices, and the facts of its cameras."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.table import Table
from rich.text import Text

from alpaca_async._camera import AlpacaClient

from ._console import foreseen_errors, say, say_json, say_table
from ._extras import require
from ._running import run
from ._server import Address, AsJson, connected, extras_for, reachable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from alpaca_async._facts import CameraInfo
    from alpaca_async._session.management import ConfiguredDevice, ServerDescription

_LABEL: Final = 12
"""The width of the first column, the same in all tables."""


def info(
    address: Address,
    device: Annotated[
        int | None,
        typer.Option(
            "--device", "-d", min=0, metavar="N", help="Only the camera with this number."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show a server, its devices, and the facts of its cameras.

    A camera that is not connected is connected meanwhile.
    """
    with foreseen_errors():
        require(*extras_for(address))
        run((_print_json if as_json else _print_tables)(address, device))


async def _print_tables(address: str, number: int | None) -> None:
    async with reachable(address) as place, AlpacaClient() as client:
        say_table(_facts_table(_server_facts(await client.get_server_description(place))))
        devices = await client.get_configured_devices(place)
        if devices:
            say_table(_device_table(devices))
        else:
            say("no devices")
        async for chosen, camera in _cameras(client, place, _chosen(devices, number)):
            say(Text(f"\nCamera {chosen.device_number}", "bold"))
            say_table(_facts_table(_camera_facts(camera)))


async def _print_json(address: str, number: int | None) -> None:
    async with reachable(address) as place, AlpacaClient() as client:
        server = await client.get_server_description(place)
        devices = await client.get_configured_devices(place)
        cameras = _cameras(client, place, _chosen(devices, number))
        report = {
            "server": asdict(server),
            "devices": [asdict(device) for device in devices],
            "cameras": [
                {"device_number": chosen.device_number, **_plain(camera)}
                async for chosen, camera in cameras
            ],
        }
    say_json(report)


def _chosen(devices: list[ConfiguredDevice], number: int | None) -> list[ConfiguredDevice]:
    cameras = [device for device in devices if device.device_type.lower() == "camera"]
    if number is None:
        return cameras
    chosen = [camera for camera in cameras if camera.device_number == number]
    if not chosen:
        raise ValueError(f"the server has no camera {number}")
    return chosen


async def _cameras(
    client: AlpacaClient, address: str, devices: list[ConfiguredDevice]
) -> AsyncGenerator[tuple[ConfiguredDevice, CameraInfo]]:
    for device in devices:
        camera = client.camera(address, device.device_number)
        async with connected(camera):
            yield device, await camera.get_info()


def _plain(camera: CameraInfo) -> dict[str, Any]:
    """Return the facts with the sensor's type by its name, which says more than its number."""
    sensor_type = None if camera.sensor_type is None else camera.sensor_type.name
    return {**asdict(camera), "sensor_type": sensor_type}


def _facts_table(facts: Iterator[tuple[str, str | None]]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim", no_wrap=True, min_width=_LABEL)
    table.add_column(overflow="fold")
    for name, value in facts:
        if value:
            table.add_row(name, Text(value))
    return table


def _device_table(devices: list[ConfiguredDevice]) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("device", "name", "unique id"):
        table.add_column(name, overflow="fold", min_width=_LABEL)
    for device in devices:
        place = f"{device.device_type.lower()} {device.device_number}"
        table.add_row(Text(place), Text(device.device_name), Text(device.unique_id, "dim"))
    return table


def _server_facts(server: ServerDescription) -> Iterator[tuple[str, str | None]]:
    yield "server", server.server_name
    yield "made by", f"{server.manufacturer} {server.manufacturer_version}".strip()
    yield "location", server.location


def _camera_facts(camera: CameraInfo) -> Iterator[tuple[str, str | None]]:
    yield "name", camera.name
    yield "driver", _driver(camera)
    yield "sensor", _sensor(camera)
    yield "size", _pair(camera.camera_x_size, camera.camera_y_size, "pixels")
    yield "pixel", _pair(camera.pixel_size_x, camera.pixel_size_y, "µm")
    yield "saturates at", None if camera.max_adu is None else f"{camera.max_adu} ADU"
    yield "binning", _pair(camera.max_bin_x, camera.max_bin_y, "at most")
    yield "exposures", _range(camera.exposure_min, camera.exposure_max)
    yield "readout", ", ".join(camera.readout_modes)
    yield "can", ", ".join(_abilities(camera))


def _driver(camera: CameraInfo) -> str:
    version = camera.interface_version
    interface = "" if version is None else f", ICameraV{version}"
    return f"version {camera.driver_version or 'unknown'}{interface}"


def _sensor(camera: CameraInfo) -> str:
    kind = "" if camera.sensor_type is None else camera.sensor_type.name.lower()
    return ", ".join(part for part in (camera.sensor_name, kind) if part)


def _pair(first: float | None, second: float | None, unit: str) -> str | None:
    return None if first is None or second is None else f"{first:g} x {second:g} {unit}"


def _range(low: float | None, high: float | None) -> str | None:
    return None if low is None or high is None else f"{low:g} to {high:g} s"


def _abilities(camera: CameraInfo) -> Iterator[str]:
    abilities = {
        "abort": camera.can_abort_exposure,
        "stop": camera.can_stop_exposure,
        "close a shutter": camera.has_shutter,
        "bin asymmetrically": camera.can_asymmetric_bin,
        "read fast": camera.can_fast_readout,
        "cool to a temperature": camera.can_set_ccd_temperature,
        "guide": camera.can_pulse_guide,
    }
    return (name for name, able in abilities.items() if able)
