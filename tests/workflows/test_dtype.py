"""Exposures in a requested dtype: the same for every frame, and an error that costs no other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from alpaca_async import (
    AlpacaClient,
    AsyncCamera,
    CameraAddress,
    CameraGroup,
    DriverException,
    PixelType,
    PixelTypeError,
)
from alpaca_async.testing import SimulatedCamera, SimulatorServer
from tests.scripted import ScriptedServer, ascom_error, http, imagebytes, value

from .test_exposure import Forgiving, exposing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tests.scripted import Reply, Request

IMAGEBYTES = "application/imagebytes"
WRAPPED = np.array([[-1, 5, 32767]], "<i2")


def twilight() -> SimulatedCamera:
    """Return a camera whose frames are sent in the narrowest type that holds them."""
    return SimulatedCamera(
        width=64,
        height=48,
        readout_time=0.0,
        narrowest_type=True,
        sky_brightness=2e5,
        stars=0,
        hot_pixel_fraction=0.0,
    )


def sending(pixels: NDArray[Any], kind: int, **replies: Reply) -> Forgiving:
    image = http(imagebytes(pixels.tobytes(), *pixels.shape, kind=kind), IMAGEBYTES)
    return Forgiving(exposing(imagearray=image, maxadu=value(65535), **replies))


async def test_the_frames_of_a_camera_have_one_type_whatever_they_hold() -> None:
    async with SimulatorServer([twilight()]) as server, AsyncCamera(server.address) as camera:
        await camera.connect()
        sent, found = set[str](), set[str]()
        for duration, light in ((0.0, False), (0.01, True), (0.2, True)):
            image = await camera.expose(duration, light=light, dtype="camera")
            sent.add(image.metadata.dtype.name)
            found.add(image.data.dtype.name)
            columns = await camera.get_image_array(dtype="camera")
            np.testing.assert_array_equal(image.array, columns, strict=True)
            np.testing.assert_array_equal(columns, await camera.get_image_array())
    assert len(sent) > 1
    assert found == {"uint16"}


@pytest.mark.parametrize("contiguous", [True, False])
async def test_each_call_takes_a_dtype(camera: AsyncCamera, contiguous: bool) -> None:
    plain = await camera.expose(0.01)
    images = [
        await camera.get_image(contiguous=contiguous, dtype=np.float32),
        await camera.get_image(contiguous=contiguous, dtype=PixelType("float32")),
    ]
    for image in images:
        assert image.data.dtype == np.float32
        assert image.metadata == plain.metadata
        assert image.data.flags.c_contiguous == contiguous
        np.testing.assert_array_equal(image.data, plain.data)
    async with camera.exposures(0.01, count=2, contiguous=contiguous, dtype="int32") as frames:
        assert [image.data.dtype async for image in frames] == [np.int32] * 2


async def test_json_images_have_the_dtype_too(client: AlpacaClient) -> None:
    text = http(b'{"Type":2,"Rank":2,"Value":[[1,2,3],[4,5,65535]]}')
    async with ScriptedServer(Forgiving(imagearray=text, maxadu=value(65535))) as server:
        image = await client.camera(server.address).get_image(dtype="camera")
    assert image.data.dtype == np.uint16
    assert image.data.flags.c_contiguous
    assert image.data.tolist() == [[1, 4], [2, 5], [3, 65535]]


async def test_max_adu_is_read_once_and_before_the_exposure(client: AlpacaClient) -> None:
    async with ScriptedServer(sending(np.ones((2, 3), "u1"), 6)) as server:
        camera = client.camera(server.address)
        for _ in range(2):
            assert (await camera.expose(0.01, dtype="camera")).data.dtype == np.uint16
        members = [request.member for request in server.requests]
    assert members.count("maxadu") == 1
    assert members.index("maxadu") < members.index("startexposure")


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (value(-1), "MaxADU is -1"),
        (value(0), "MaxADU is 0"),
        (ascom_error(0x400, "not here"), "the camera has none"),
    ],
)
async def test_without_max_adu_nothing_is_exposed(
    client: AlpacaClient, reply: bytes, reason: str
) -> None:
    replies = sending(np.ones((2, 3), "u1"), 6) | {"maxadu": reply}
    async with ScriptedServer(Forgiving(replies)) as server:
        camera = client.camera(server.address)
        with pytest.raises(PixelTypeError, match=reason) as caught:
            await camera.expose(0.01, dtype="camera")
        assert caught.value.member == "camera/0/maxadu"
        assert caught.value.server == f"http://{server.address}"
        assert server.count("startexposure") == 0


async def test_a_max_adu_that_cannot_be_read_now_is_that_error(client: AlpacaClient) -> None:
    answers = iter([ascom_error(0x500, "USB is slow"), value(255)])

    def next_answer(_: Request) -> bytes:
        return next(answers)

    replies = sending(np.ones((2, 3), "u1"), 6) | {"maxadu": next_answer}
    async with ScriptedServer(Forgiving(replies)) as server:
        camera = client.camera(server.address)
        with pytest.raises(DriverException, match="USB is slow"):
            await camera.expose(0.01, dtype="camera")
        assert server.count("startexposure") == 0
        assert (await camera.get_image(dtype="camera")).data.dtype == np.uint8


@pytest.mark.parametrize("wrong", [">u2", "int8", "Camera", object])
async def test_a_wrong_dtype_is_refused_before_anything_is_sent(
    camera: AsyncCamera, simulated: SimulatedCamera, wrong: str | type[object]
) -> None:
    simulated.requests.clear()
    for call in (camera.get_image, camera.get_image_array):
        with pytest.raises(TypeError, match="dtype must be"):
            await call(dtype=wrong)
    with pytest.raises(TypeError, match="dtype must be"):
        await camera.expose(0.01, dtype=wrong)
    with pytest.raises(TypeError, match="dtype must be"):
        camera.exposures(0.01, dtype=wrong)
    assert not simulated.requests


async def test_a_pixel_that_does_not_fit_is_named_and_the_image_stays(
    client: AlpacaClient, caplog: pytest.LogCaptureFixture
) -> None:
    async with ScriptedServer(sending(WRAPPED, 1)) as server:
        camera = client.camera(server.address)
        with pytest.raises(PixelTypeError, match="x=0, y=0 is -1") as caught:
            await camera.expose(0.01, dtype="camera")
        assert (caught.value.value, caught.value.position) == (-1, (0, 0))
        assert caught.value.member == "camera/0/imagearray"
        assert not caught.value.outcome_unknown
        image = await camera.get_image()
        assert server.count("abortexposure") == 0
    assert image.array.tolist() == [[-1, 5, 32767]]


async def test_int16_of_a_16_bit_camera_can_be_read_as_unsigned(
    client: AlpacaClient, caplog: pytest.LogCaptureFixture
) -> None:
    async with ScriptedServer(sending(WRAPPED, 1)) as server:
        camera = client.camera(server.address)
        for dtype in ("camera", "uint16", None, "int32"):
            wanted = PixelType(dtype, int16_is_unsigned=True)
            image = await camera.expose(0.01, dtype=wanted)
            assert image.data.dtype == np.dtype("int32" if dtype == "int32" else "uint16")
            assert image.array.tolist() == [[65535, 5, 32767]]
    assert "negative" not in caplog.text


async def test_negative_pixels_of_a_wider_dtype_are_still_reported(
    client: AlpacaClient, caplog: pytest.LogCaptureFixture
) -> None:
    async with ScriptedServer(sending(WRAPPED, 1)) as server:
        await client.camera(server.address).expose(0.01, dtype="int32")
    assert "delivers negative pixels in 16 bits" in caplog.text
    assert "PixelType(int16_is_unsigned=True)" in caplog.text


@pytest.mark.parametrize("skips", [True, False])
async def test_an_exposure_that_does_not_fit_is_not_repeated_but_may_be_skipped(
    client: AlpacaClient, skips: bool
) -> None:
    images = iter([WRAPPED, np.array([[1, 2, 3]], "<i2")])

    def next_image(_: Request) -> bytes:
        return http(imagebytes(next(images).tobytes(), 1, 3, kind=1), IMAGEBYTES)

    replies = sending(WRAPPED, 1) | {"imagearray": next_image}
    async with ScriptedServer(Forgiving(replies)) as server:
        camera = client.camera(server.address)
        frames = camera.exposures(
            0.01, count=2, dtype="uint16", retries=3, on_failure="skip" if skips else "raise"
        )
        async with frames:
            if not skips:
                with pytest.raises(PixelTypeError):
                    await anext(frames)
                assert server.count("startexposure") == 1
                return
            assert [image.array.tolist() async for image in frames] == [[[1, 2, 3]]]
        assert server.count("startexposure") == 2


async def test_a_group_takes_a_dtype_and_an_error_costs_one_camera(client: AlpacaClient) -> None:
    small = np.ones((2, 3), "<i4")
    async with (
        ScriptedServer(sending(small, 2)) as first,
        ScriptedServer(sending(small * 70000, 2)) as second,
        CameraGroup([CameraAddress(each.address) for each in (first, second)]) as group,
    ):
        outcomes = [await group.expose(0.01, dtype="camera")]
        async with group.exposures(0.01, count=1, dtype="camera") as rounds:
            outcomes += [each async for each in rounds]
        for good, bad in outcomes:
            assert good.image is not None
            assert good.image.data.dtype == np.uint16
            assert isinstance(bad.error, PixelTypeError)
        with pytest.raises(PixelTypeError, match="is 70000"):
            await group.expose_all(0.01, dtype="uint16")
        found = [each async for each in group.outcomes(0.01, dtype="float64")]
        dtypes = [each.image.data.dtype for each in found if each.image is not None]
        assert dtypes == [np.float64] * 2


async def test_a_group_refuses_a_wrong_dtype_before_anything_is_sent() -> None:
    async with CameraGroup([CameraAddress("127.0.0.1:9")]) as group:
        for call in (group.expose, group.expose_all):
            with pytest.raises(TypeError, match="dtype must be"):
                await call(0.01, dtype="int8")
        for stream in (group.outcomes, group.exposures):
            with pytest.raises(TypeError, match="dtype must be"):
                stream(0.01, dtype="int8")
