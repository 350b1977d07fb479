"""What type checkers make of the public names. Never executed: mypy and pyright read it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, assert_type

import httpx
import numpy as np
from numpy.typing import NDArray

import alpaca_async as aa
from alpaca_async import fits, preview
from alpaca_async.testing import CameraModel, SimulatedCamera, SimulatorServer, run_in_thread

if TYPE_CHECKING:
    import ssl

    import PIL.Image


async def check_client(context: ssl.SSLContext, http: httpx.AsyncClient) -> None:
    aa.AlpacaClient(auth=("user", "password"), verify=context, max_image_bytes=2**20)
    aa.AlpacaClient(http=http, client_id=7, timeouts=aa.Timeouts(reply=3), max_downloads=2)
    httpx.AsyncClient(transport=aa.DirectTransport(connections_per_server=2, verify=False))
    async with aa.AlpacaClient() as client:
        assert_type(client, aa.AlpacaClient)
        assert_type(client.camera("host"), aa.AsyncCamera)
        assert_type(client.device("host:1", "focuser", 2), aa.AsyncDevice)
        assert_type(await client.get_api_versions("host"), list[int])
        assert_type(await client.get_server_description("host"), aa.ServerDescription)
        assert_type(await client.get_configured_devices("host"), list[aa.ConfiguredDevice])


async def check_device() -> None:
    async with aa.AsyncDevice("host", "dome") as device:
        assert_type(device, aa.AsyncDevice)
        assert_type(device.setup_url, str)
        assert_type(device.device_number, int)
        assert_type(await device.connect(timeout=3), None)
        assert_type(await device.get_connected(), bool)
        assert_type(await device.get_interface_version(), int)
        assert_type(await device.get_device_state(), list[dict[str, Any]])
        assert_type(await device.get_supported_actions(), list[str])
        assert_type(await device.action("name", "parameters"), str)
        assert_type(await device.command_bool("command", raw=True), bool)


async def check_members_by_name(device: aa.AsyncDevice) -> None:
    assert_type(await device.get("Azimuth", float), float)
    assert_type(await device.get("Names", list[str]), list[str])
    assert_type(await device.get("GetSwitch", bool, Id=2), bool)
    assert_type(await device.get("CoverState", aa.CoverStatus), aa.CoverStatus)
    assert_type(await device.put("SetSwitch", Id=2, State=True, timeout=5), None)
    assert_type(await device.wait_until("Slewing", False, timeout=5), None)


async def check_accessories(client: aa.AlpacaClient) -> None:
    wheel = client.filter_wheel("host")
    assert_type(wheel, aa.AsyncFilterWheel)
    assert_type(await wheel.get_names(), list[str])
    assert_type(await wheel.get_focus_offsets(), list[int])
    assert_type(await wheel.move_to("R", timeout=30), None)
    assert_type(await wheel.move_to(2), None)
    focuser = client.focuser("host", 1)
    assert_type(focuser, aa.AsyncFocuser)
    assert_type(await focuser.move_to(1200, tolerance=1), None)
    assert_type(await focuser.move_by(-40), None)
    assert_type(await focuser.get_temperature(), float)
    cover = client.cover_calibrator("host")
    assert_type(cover, aa.AsyncCoverCalibrator)
    assert_type(await cover.close_cover(), None)
    assert_type(await cover.calibrator_on(20, timeout=5), None)
    assert_type(await cover.get_calibrator_state(), aa.CalibratorStatus)
    monitor = client.safety_monitor("host")
    assert_type(monitor, aa.AsyncSafetyMonitor)
    assert_type(await monitor.is_safe(), bool)
    assert_type(monitor.watch(1), aa.Stream[bool])
    best = await aa.autofocus(
        client.camera("host"), focuser, 2.0, step=20, points=7, progress=print
    )
    assert_type(best, aa.FocusResult)
    assert_type(best.points, tuple[aa.FocusPoint, ...])
    async with aa.AsyncFocuser("host") as own:
        assert_type(own, aa.AsyncFocuser)


async def check_discovery(client: aa.AlpacaClient) -> None:
    async with aa.discover(["host"], timeout=1, port=7) as servers:
        async for server in servers:
            assert_type(server, aa.DiscoveredServer)
            assert_type(server.address, str)
    async with aa.find_cameras(client=client) as cameras:
        async for found in cameras:
            assert_type(found, aa.FoundCamera)
            client.camera(found.address, found.device_number)
    assert_type(await aa.find_camera("id", ("host",)), aa.FoundCamera | None)
    async with aa.find_devices(device_type="focuser") as devices:
        async for device in devices:
            assert_type(device, aa.FoundDevice)
            client.device(device.address, device.device_type, device.device_number)


async def check_recovery(camera: aa.AsyncCamera) -> None:
    how = aa.Reconnect(timeout=60, unique_id="id", hosts=("host",), prepare=camera.get_gain)
    assert_type(await camera.reconnect(how), None)
    assert_type(camera.exposures(1, reconnect=how), aa.Stream[aa.Image[aa.Exposure]])


async def check_members(camera: aa.AsyncCamera) -> None:
    assert_type(await camera.get_bin_x(), int)
    assert_type(await camera.set_bin_x(2), None)
    assert_type(await camera.get_gain(), int)
    assert_type(await camera.get_gains(), list[str])
    assert_type(await camera.get_ccd_temperature(), float)
    assert_type(await camera.set_ccd_temperature_setpoint(-10), None)
    assert_type(await camera.get_sensor_type(), aa.SensorType)
    assert_type(await camera.get_camera_state(), aa.CameraStates)
    assert_type(await camera.get_image_ready(), bool)
    assert_type(await camera.get_last_exposure_start_time(), str)
    assert_type(await camera.start_exposure(1, light=False), None)
    assert_type(await camera.pulse_guide(aa.GuideDirections.NORTH, 100), None)


async def check_stories(camera: aa.AsyncCamera) -> None:
    assert_type(await camera.set_frame(bin_x=2, num_y=10, even=True), None)
    assert_type(await camera.reset_frame(2, 2), None)
    assert_type(await camera.select_gain("High"), None)
    assert_type(await camera.select_offset(10), None)
    assert_type(await camera.get_gain_option(), aa.NamedValue)
    assert_type(await camera.get_offset_options(), aa.ValueRange | aa.ValueNames)
    assert_type(await camera.cool_to(-10, rate=5, progress=check_cooling), None)
    assert_type(await camera.warm_up(pace=aa.CoolingPace(interval=1)), None)
    assert_type(await camera.wait_pulse_guide(timeout=5), None)


def check_cooling(moment: aa.CoolingProgress) -> None:
    assert_type(moment.temperature, float)
    assert_type(moment.power, float | None)


async def check_members_refuse(camera: aa.AsyncCamera) -> None:
    await camera.set_gain("high")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a name
    await camera.expose()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # no time


async def check_images() -> None:
    async with aa.AsyncCamera("host") as camera:
        assert_type(camera, aa.AsyncCamera)
        image = await camera.expose(1.0, light=True, progress=check_progress)
        assert_type(image, aa.Image[aa.Exposure])
        assert_type(image.exposure, aa.Exposure)
        async with camera.exposures([1, aa.ExposureRequest(2, light=False)], count=2) as frames:
            assert_type(frames, aa.Stream[aa.Image[aa.Exposure]])
            async for each in frames:
                assert_type(each, aa.Image[aa.Exposure])
        assert_type(await camera.get_image(contiguous=False), aa.Image)
        assert_type(await camera.get_image_array(), NDArray[Any])
        await check_dtypes(camera)
        assert_type(await camera.wait_image_ready(timeout=3), None)
        assert_type(camera.image_array_info, aa.ImageMetadata | None)
        assert_type(await camera.get_info(), aa.CameraInfo)
        assert_type(await camera.get_settings(), aa.CameraSettings)
        async with camera.watch(interval=0.5) as statuses:
            assert_type(await anext(statuses), aa.CameraStatus)
        assert_type((await camera.get_status()).camera_state, aa.CameraStates | None)
        assert_type(await image.save_fits("m42.fits", extra={"OBJECT": "M 42"}), Path)
        assert_type(await image.save_preview(Path("m42.png"), max_size=None), Path)


async def check_dtypes(camera: aa.AsyncCamera) -> None:
    assert_type(await camera.get_image_array(dtype=np.uint16), NDArray[Any])
    assert_type(await camera.get_image(dtype="camera"), aa.Image)
    assert_type(await camera.expose(1, dtype=np.dtype("<f4")), aa.Image[aa.Exposure])
    wanted = aa.PixelType("uint16", int16_is_unsigned=True)
    assert_type(camera.exposures(1, dtype=wanted), aa.Stream[aa.Image[aa.Exposure]])
    await camera.get_image(dtype=16)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # no dtype


async def check_group() -> None:
    async with aa.CameraGroup([aa.CameraAddress("host", 1, {"gain": 3})]) as group:
        assert_type(await group.connect(), list[aa.Outcome])
        assert_type(await group.expose([1.0], dtype="camera"), list[aa.Outcome])
        assert_type(await group.expose_all(1), list[aa.Image[aa.Exposure]])
        async with group.outcomes(1) as outcomes:
            outcome = await anext(outcomes)
            assert_type(outcome.error, aa.AlpacaError | None)
            assert_type(outcome.camera, aa.AsyncCamera)
            assert_type(outcome.address, str)
        async with group.exposures(1, count=2, at=datetime.now(UTC)) as rounds:
            assert_type(await anext(rounds), list[aa.Outcome])


def check_image(image: aa.Image) -> None:
    assert_type(image.data, NDArray[Any])
    assert_type(image.array, NDArray[Any])
    assert_type(np.asarray(image), NDArray[Any])
    assert_type(image.metadata, aa.ImageMetadata)
    assert_type(image.metadata.shape, tuple[int, ...])
    assert_type(image.exposure, aa.Exposure | None)
    assert_type(image, aa.Image[aa.Exposure | None])
    assert_type(image.frame_mismatch, Literal["swapped", "size"] | None)


def check_exposure(exposure: aa.Exposure) -> None:
    assert_type(exposure.started, datetime)
    assert_type(exposure.duration, float)
    assert_type(exposure.ccd_temperature, float | None)
    assert_type(exposure.info.sensor_type, aa.SensorType | None)
    assert_type(exposure.settings.gain, int | None)


def check_progress(moment: aa.Progress) -> None:
    assert_type(moment.phase, Literal["exposing", "reading", "downloading"])
    assert_type(moment.fraction, float | None)
    assert_type(moment.bytes_received, int)


def check_decoder(data: bytes, view: memoryview) -> None:
    assert_type(aa.decode_imagebytes(data), NDArray[Any])
    aa.decode_imagebytes(bytearray(data))
    aa.decode_imagebytes(view)


def check_errors(
    late: aa.TransportTimeout | aa.OperationTimeout,
    ascom: aa.NotImplementedException,
    rejected: aa.RequestRejected,
    short: aa.IncompleteImage,
) -> None:
    roots: list[aa.AlpacaError] = [late, ascom, rejected, short]
    timeouts: list[TimeoutError] = [late]
    assert_type(roots[0].server, str)
    assert_type(timeouts[0], TimeoutError)
    assert_type(ascom.number, int)
    assert_type(rejected.status, int)
    assert_type(short.received, int)
    assert_type(aa.http_status(late), int)
    if isinstance(late, aa.TransportTimeout):
        assert_type(late.outcome_unknown, bool)


def check_forgotten_await(camera: aa.AsyncCamera) -> None:
    # mypy would report a comment that suppresses nothing.
    if camera.get_can_pulse_guide():  # type: ignore[truthy-bool]  # pyright: ignore[reportUnnecessaryComparison]
        pass


async def check_files(image: aa.Image) -> None:
    assert_type(await fits.save(image, "m42.fits", overwrite=True), Path)
    assert_type(await preview.save(image, "m42.png"), Path)
    picture: PIL.Image.Image = preview.render(image, max_size=512)
    del picture


async def check_testing() -> None:
    camera = SimulatedCamera(width=320, height=240, sensor=aa.SensorType.RGGB, speed_up=10)
    model: CameraModel = camera
    del model
    async with SimulatorServer([camera], port=0) as server:
        assert_type(server, SimulatorServer)
        assert_type(server.address, str)
    with run_in_thread(SimulatorServer([camera])) as server:
        assert_type(server, SimulatorServer)
