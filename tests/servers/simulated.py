"""What the simulator imitates of known servers, and what the library makes of it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest

from alpaca_async import AlpacaClient, OperationFailed, find_camera, find_cameras
from alpaca_async.testing import SimulatedCamera, SimulatorServer
from tests.discovery.udp import answering, naming

from .deviations import Deviation

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from alpaca_async import AsyncCamera

HERE: Final = ("127.0.0.1",)


@asynccontextmanager
async def connected(**model: Any) -> AsyncGenerator[tuple[AsyncCamera, SimulatedCamera]]:  # noqa: ANN401 - fields of CameraModel
    """Serve a small camera, and connect to it."""
    small: dict[str, Any] = {"width": 64, "height": 48, "stars": 0, "noise": False, "drift": 0.0}
    quick: dict[str, Any] = {"readout_time": 0.0, "connect_time": 0.0}
    simulated = SimulatedCamera(**small, **quick, **model)
    async with SimulatorServer([simulated]) as server, AlpacaClient() as client:
        camera = client.camera(server.address)
        await camera.connect()
        yield camera, simulated


async def _check_new_images(_log: object, _patch: object) -> None:
    async with connected() as (camera, simulated):
        await camera.expose(0.01)
        for number, lag in enumerate((0.03, 0.1, 0.2)):
            simulated.start_lag = lag
            await camera.set_offset(200 + number)
            image = await camera.expose(0.0, light=False)
            assert int(np.median(image.data)) == 200 + number


async def _check_changing_types(_log: object, _patch: object) -> None:
    async with connected(narrowest_type=True, sky_brightness=0.0) as (camera, _):
        dtypes: list[np.dtype[Any]] = []
        for offset in (10, 300):
            await camera.set_offset(offset)
            dtypes.append((await camera.expose(0.01)).data.dtype)
    assert dtypes == [np.dtype("u1"), np.dtype("<i2")]


async def _check_lagging_frame(_log: object, _patch: object) -> None:
    async with connected(frame_lag=0.05) as (camera, simulated):
        await camera.set_frame(bin_x=2, bin_y=2, start_x=4, start_y=6, num_x=20, num_y=12)
        assert simulated.frame == (2, 2, 4, 6, 20, 12)


async def _check_divided_frame(_log: object, _patch: object) -> None:
    async with connected(divides_frame=True) as (camera, _):
        await camera.set_bin_x(2)
        with pytest.raises(OperationFailed, match=r"did not take NumX 20 \(it is 10\)"):
            await camera.set_frame(num_x=20)


async def _check_ignored_binning(_log: object, _patch: object) -> None:
    async with connected(ignores_binning=True) as (camera, simulated):
        with pytest.raises(OperationFailed, match=r"did not take BinX 2 \(it is 1\)"):
            await camera.set_frame(bin_x=2, bin_y=2)
        assert simulated.frame == (1, 1, 0, 0, 64, 48)


async def _check_lower_case_true(_log: object, _patch: object) -> None:
    async with connected(true_word="true") as (camera, simulated):
        await camera.set_cooler_on(True)
        assert simulated.cooler.on


async def _check_slow_connect(_log: object, _patch: object) -> None:
    async with connected(interface_version=3, connected_time=0.5) as (_, simulated):
        assert simulated.connected
        assert simulated.count("connected", "PUT") == 1


async def _check_shared_ids(_log: object, _patch: object) -> None:
    cameras = [SimulatedCamera(name="CCD", unique_id="shared by CCDs") for _ in range(2)]
    async with (
        SimulatorServer(cameras[:1]) as east,
        SimulatorServer(cameras[1:]) as west,
        answering(naming(east.port), naming(west.port)) as responder,
    ):
        async with find_cameras(HERE, timeout=0.2, port=responder.port) as found:
            assert {camera.address async for camera in found} == {east.address, west.address}
        with pytest.raises(OperationFailed, match="use the address instead"):
            await find_camera("shared by CCDs", HERE, timeout=0.2, port=responder.port)


STALE_IMAGE_READY: Final = Deviation(
    "ImageReady stays true for 30 to 180 ms after StartExposure, with the former image",
    "`expose` waits until ImageReady cannot be the former one, and returns the new image",
    _check_new_images,
)
CHANGING_TYPES: Final = Deviation(
    "Each image is sent in the narrowest type that holds its pixels: Byte, Int16, UInt16 or Int32",
    "each image, of the type in which it was sent",
    _check_changing_types,
)
LAGGING_FRAME: Final = Deviation(
    "Each change of the frame resends old values of the rest, so that several at once are lost",
    "`set_frame` reads back what it set, and sends again what is missing",
    _check_lagging_frame,
)
DIVIDED_FRAME: Final = Deviation(
    "NumX and NumY are divided by the binning",
    "`OperationFailed` “did not take NumX 20 (it is 10)”",
    _check_divided_frame,
)
IGNORED_BINNING: Final = Deviation(
    "A camera may ignore the binning (“swapbin”)",
    "`OperationFailed` “did not take BinX 2 (it is 1)”; the former frame is restored",
    _check_ignored_binning,
)
LOWER_CASE_TRUE: Final = Deviation(
    "Only `true` means true; `True` means false, without an error",
    "success: the first boolean is read back, and the spelling is remembered",
    _check_lower_case_true,
)
SLOW_CONNECT: Final = Deviation(
    "Connected is true only seconds after it was set",
    "`connect` waits for as long as its `timeout` allows",
    _check_slow_connect,
)
SHARED_IDS: Final = Deviation(
    "The UniqueID is the same for all cameras of a model",
    "`find_cameras` yields all, `find_camera` raises `OperationFailed`, and `reconnect` does not "
    "take one for another",
    _check_shared_ids,
)
