"""`alpaca-async info`: shows a server, its devices, and facts about its cameras."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.table import Table
from rich.text import Text

from ._access import Access, Pins, User
from ._console import print_json, print_line, print_table, report_errors
from ._event_loop import run
from ._server import Address, AsJson, Keep, connections, server_address

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from alpaca_async._camera import AlpacaClient
    from alpaca_async._facts import CameraInfo
    from alpaca_async._session.management import ConfiguredDevice, ServerDescription

_LABEL_WIDTH: Final = 12
"""Minimum width of the first column, so that the tables align."""


def info(
    address: Address,
    device: Annotated[
        int | None,
        typer.Option("--device", "-d", min=0, metavar="N", help="Show only this camera."),
    ] = None,
    keep: Keep = False,
    as_json: AsJson = False,
    user: User = None,
    pin: Pins = None,
) -> None:
    """Show a server, its devices, and facts about its cameras.

    A camera that is not connected is connected while its facts are read.
    """
    with report_errors():
        access = Access.to([address], user, pin)
        run((_print_json if as_json else _print_tables)(address, device, access, keep=keep))


async def _print_tables(address: str, number: int | None, access: Access, *, keep: bool) -> None:
    async with server_address(address) as server, access.client() as client:
        print_table(_facts_table(_server_facts(await client.get_server_description(server))))
        devices = await client.get_configured_devices(server)
        if devices:
            print_table(_device_table(devices))
        else:
            print_line("no devices")
        async for device, camera in _cameras(
            client, server, _select_cameras(devices, number), keep=keep
        ):
            print_line(Text(f"\nCamera {device.device_number}", "bold"))
            print_table(_facts_table(_camera_facts(camera)))


async def _print_json(address: str, number: int | None, access: Access, *, keep: bool) -> None:
    async with server_address(address) as server, access.client() as client:
        description = await client.get_server_description(server)
        devices = await client.get_configured_devices(server)
        cameras = _cameras(client, server, _select_cameras(devices, number), keep=keep)
        report = {
            "server": asdict(description),
            "devices": [asdict(device) for device in devices],
            "cameras": [
                {"device_number": device.device_number, **_as_json(camera)}
                async for device, camera in cameras
            ],
        }
    print_json(report)


def _select_cameras(devices: list[ConfiguredDevice], number: int | None) -> list[ConfiguredDevice]:
    cameras = [device for device in devices if device.device_type.lower() == "camera"]
    if number is None:
        return cameras
    selected = [camera for camera in cameras if camera.device_number == number]
    if not selected:
        raise ValueError(f"the server has no camera {number}")
    return selected


async def _cameras(
    client: AlpacaClient, address: str, devices: list[ConfiguredDevice], *, keep: bool
) -> AsyncGenerator[tuple[ConfiguredDevice, CameraInfo]]:
    for device in devices:
        camera = client.camera(address, device.device_number)
        async with connections(keep=keep) as connect:
            await connect(camera)
            yield device, await camera.get_info()


def _as_json(camera: CameraInfo) -> dict[str, Any]:
    """Return the facts as a dictionary, with the name of the sensor type instead of its number."""
    sensor_type = None if camera.sensor_type is None else camera.sensor_type.name
    return {**asdict(camera), "sensor_type": sensor_type}


def _facts_table(facts: Iterator[tuple[str, str | None]]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim", no_wrap=True, min_width=_LABEL_WIDTH)
    table.add_column(overflow="fold")
    for name, value in facts:
        if value:
            table.add_row(name, Text(value))
    return table


def _device_table(devices: list[ConfiguredDevice]) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("device", "name", "unique id"):
        table.add_column(name, overflow="fold", min_width=_LABEL_WIDTH)
    for device in devices:
        label = f"{device.device_type.lower()} {device.device_number}"
        table.add_row(Text(label), Text(device.device_name), Text(device.unique_id, "dim"))
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
    yield "can", ", ".join(_capabilities(camera))


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


def _capabilities(camera: CameraInfo) -> Iterator[str]:
    capabilities = {
        "abort": camera.can_abort_exposure,
        "stop": camera.can_stop_exposure,
        "close a shutter": camera.has_shutter,
        "bin asymmetrically": camera.can_asymmetric_bin,
        "read out fast": camera.can_fast_readout,
        "cool to a temperature": camera.can_set_ccd_temperature,
        "pulse guide": camera.can_pulse_guide,
    }
    return (name for name, available in capabilities.items() if available)
