from __future__ import annotations

import asyncio

import numpy as np
import pytest

from alpaca_async import (
    AlpacaClient,
    AsyncCamera,
    CameraAddress,
    CameraGroup,
    CameraStates,
    CoolingPace,
    ExposureRequest,
    GuideDirections,
    MalformedResponse,
    NamedValue,
    NotImplementedException,
    OperationFailed,
    RequestRejected,
    TransportError,
    ValueNames,
)

from .conftest import needs

# One server at a time: two of them disturb each other.
pytestmark = needs("alpaca_simulators")


@pytest.fixture(params=[0, 2], ids=["version 3", "version 4"])
async def camera(
    request: pytest.FixtureRequest, alpaca_simulators: str, client: AlpacaClient
) -> AsyncCamera:
    camera = client.camera(alpaca_simulators, request.param)
    await camera.connect()
    await camera.reset_frame()  # other tests and programs use the same server
    return camera


async def test_connect_disconnect_and_connect_again(camera: AsyncCamera) -> None:
    for _ in range(2):
        await camera.connect()
        assert await camera.get_connected()
        await camera.disconnect()
        assert not await camera.get_connected()


async def test_a_dark_frame_arrives_with_its_facts(camera: AsyncCamera) -> None:
    image = await camera.expose(0.2, light=False)
    assert image.data.shape == (64, 96)
    assert image.data.flags.c_contiguous
    assert image.exposure.info.name == "Their camera"
    assert image.exposure.last_exposure_start_time is not None
    np.testing.assert_array_equal(await camera.get_image_array(), image.array)


async def test_binning_and_a_subframe_change_what_is_delivered(camera: AsyncCamera) -> None:
    await camera.set_frame(start_x=10, start_y=20, num_x=40, num_y=20)
    try:
        await camera.set_frame(bin_x=2, bin_y=2)
        image = await camera.expose(0.1, light=False)
        assert image.data.shape == (10, 20)
        assert image.frame_mismatch is None
        settings = image.exposure.settings
        assert (settings.bin_x, settings.bin_y, settings.start_x, settings.start_y) == (2, 2, 5, 10)
    finally:
        await camera.reset_frame()
    assert (await camera.expose(0.1, light=False)).data.shape == (64, 96)


async def test_gain_and_offset_have_names(camera: AsyncCamera) -> None:
    assert await camera.get_gain_options() == ValueNames(("1", "2", "3"))
    # It takes an index from 0, and then tells it from 1.
    await camera.select_gain("2")
    assert await camera.get_gain_option() == NamedValue(2, "3")
    await camera.select_offset("low")
    assert await camera.get_offset_option() == NamedValue(0, "Low")
    with pytest.raises(ValueError, match="there are Low, High"):
        await camera.select_offset("Higher")


async def test_a_pulse_ends(camera: AsyncCamera) -> None:
    await camera.pulse_guide(GuideDirections.EAST, 100)
    await camera.wait_pulse_guide(timeout=5)
    assert not await camera.get_is_pulse_guiding()


async def test_the_cooler_gets_where_it_should(
    alpaca_simulators: str, client: AlpacaClient
) -> None:
    camera = client.camera(alpaca_simulators, 1)
    await camera.connect()
    pace = CoolingPace(interval=0.02, settled=0.1, stalled=5.0)
    await camera.cool_to(-30, timeout=10, pace=pace)
    assert await camera.get_cooler_on()
    assert await camera.get_ccd_temperature() == pytest.approx(-30, abs=0.5)
    await camera.warm_up(timeout=10, pace=pace)
    assert not await camera.get_cooler_on()


async def test_three_cameras_expose_at_once(alpaca_simulators: str, client: AlpacaClient) -> None:
    cameras = [client.camera(alpaca_simulators, number) for number in range(3)]
    await asyncio.gather(*(camera.connect() for camera in cameras))
    images = await asyncio.gather(*(camera.expose(0.3, light=False) for camera in cameras))
    assert [image.metadata.rank for image in images] == [2, 2, 2]


async def test_a_group_has_an_outcome_for_each_camera(alpaca_simulators: str) -> None:
    addresses = [CameraAddress(alpaca_simulators, number) for number in range(3)]
    async with CameraGroup([*addresses, CameraAddress("127.0.0.1:9")]) as group:
        await group.connect()
        outcomes = await group.expose([ExposureRequest(0.2, light=False)] * 4)
    assert [outcome.image is not None for outcome in outcomes] == [True, True, True, False]
    assert isinstance(outcomes[3].error, TransportError)


async def test_a_sequence_delivers_its_images_and_leaves_the_camera_idle(
    camera: AsyncCamera,
) -> None:
    async with camera.exposures(0.2, light=False) as images:
        shapes = [(await anext(images)).data.shape for _ in range(3)]
    assert shapes == [(64, 96)] * 3
    assert await camera.get_camera_state() is CameraStates.IDLE


async def test_a_status_is_told_and_watched(camera: AsyncCamera) -> None:
    status = await camera.get_status()
    assert status.camera_state is CameraStates.IDLE
    async with camera.watch(interval=0.05) as first, camera.watch(interval=0.05) as second:
        seen = [await anext(statuses) for statuses in (first, second)]
    assert [each.camera_state for each in seen] == [CameraStates.IDLE] * 2


async def test_the_error_state_is_an_error_and_abort_returns_to_idle(camera: AsyncCamera) -> None:
    # A light frame asks a catalogue on the internet for stars, which fails here.
    with pytest.raises(OperationFailed, match="reports an error"):
        await camera.expose(0.5, light=True)
    assert await camera.get_camera_state() is CameraStates.IDLE


async def test_the_image_of_an_aborted_exposure_is_not_taken_for_the_next(
    camera: AsyncCamera,
) -> None:
    """An aborted exposure goes on there, and its image appears when it would have been over."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await camera.expose(0.8, light=False)
    task = asyncio.create_task(camera.expose(1.5, light=False))
    await asyncio.sleep(1.0)
    assert await camera.get_image_ready()  # too early: the ghost
    image = await task
    await asyncio.sleep(0.3)  # ours has come in any case
    np.testing.assert_array_equal(await camera.get_image_array(), image.array)


async def test_a_header_that_lies_about_the_payload_is_caught(camera: AsyncCamera) -> None:
    await camera.expose(0.05, light=False)
    await camera.set_num_x(40)
    try:
        with pytest.raises(MalformedResponse, match="more bytes follow"):
            await camera.get_image_array()
    finally:
        await camera.set_num_x(96)


async def test_what_it_does_not_know_is_a_typed_error(
    alpaca_simulators: str, client: AlpacaClient
) -> None:
    with pytest.raises(NotImplementedException, match="not found"):
        await client.camera(alpaca_simulators, 9).get_name()
    with pytest.raises(RequestRejected, match="HTTP status 404"):
        await client.get_configured_devices(alpaca_simulators)
