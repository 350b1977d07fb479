"""alpyca and this library read the same camera; differences are alpyca's known defects only."""

from __future__ import annotations

from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest

from alpaca_async import AlpacaClient, AscomError, NotImplementedException, SensorType
from alpaca_async.testing import SimulatedCamera, SimulatorServer, run_in_thread
from tests.contract.table import MEMBERS, Member

from .conftest import needs

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

pytestmark = needs("alpaca")

READ: Final = [member for member in MEMBERS if member.kind == "property" and member.wire]
IMAGES: Final = {"ImageArray", "ImageArrayVariant"}
CHANGING: Final = {"CCDTemperature", "CoolerPower", "HeatSinkTemperature", "DeviceState"}


@contextmanager
def alpyca(address: str) -> Generator[Any]:
    """A camera of alpyca, connected."""
    camera = import_module("alpaca.camera").Camera(address, 0)
    camera.Connected = True
    yield camera


@pytest.fixture
def simulated() -> SimulatedCamera:
    return SimulatedCamera(
        width=40, height=30, readout_time=0, gain_mode="list", initially_connected=True
    )


@pytest.fixture
def address(simulated: SimulatedCamera) -> Iterator[str]:
    with run_in_thread(SimulatorServer([simulated])) as server:
        yield server.address


async def ours(client: AlpacaClient, address: str, member: Member) -> object:
    try:
        return await getattr(client.camera(address), member.get_name)()
    except AscomError as error:
        return type(error).__name__


def theirs(camera: Any, member: Member) -> object:  # noqa: ANN401 - alpyca has no types
    exceptions = import_module("alpaca.exceptions")
    try:
        return getattr(camera, member.ascom)
    except (exceptions.NotImplementedException, exceptions.InvalidOperationException) as error:
        return type(error).__name__


@pytest.mark.parametrize(
    "member", [m for m in READ if m.ascom not in IMAGES | CHANGING], ids=lambda m: m.ascom
)
async def test_both_read_the_same_value(
    member: Member, client: AlpacaClient, address: str, simulated: SimulatedCamera
) -> None:
    simulated.start_exposure(0.0, False)
    with alpyca(address) as camera:
        if member.ascom == "DriverInfo":  # alpyca splits the text at its commas
            assert ", ".join(camera.DriverInfo) == await ours(client, address, member)
        else:
            assert theirs(camera, member) == await ours(client, address, member)


@pytest.mark.parametrize(
    "member", [m for m in READ if m.ascom in CHANGING - {"DeviceState"}], ids=lambda m: m.ascom
)
async def test_both_read_about_the_same_temperature(
    member: Member, client: AlpacaClient, address: str
) -> None:
    with alpyca(address) as camera:
        value: Any = await ours(client, address, member)
        assert theirs(camera, member) == pytest.approx(value, abs=0.5)


async def test_both_read_the_same_state(client: AlpacaClient, address: str) -> None:
    with alpyca(address) as camera:
        mine = {item["Name"] for item in await client.camera(address).get_device_state()}
        assert {item["Name"] for item in camera.DeviceState} == mine


WRITABLE: Final[dict[str, object]] = {
    "BinX": 2,
    "BinY": 2,
    "StartX": 3,
    "StartY": 4,
    "NumX": 10,
    "NumY": 11,
    "Gain": 1,
    "Offset": 7,
    "ReadoutMode": 1,
    "CoolerOn": True,
    "SetCCDTemperature": -12.5,
}


@pytest.mark.parametrize(("name", "new"), WRITABLE.items())
async def test_what_one_writes_the_other_reads(
    name: str, new: object, client: AlpacaClient, address: str
) -> None:
    (member,) = (m for m in READ if m.ascom == name)
    with alpyca(address) as camera:
        old = theirs(camera, member)
        setattr(camera, name, new)
        assert await ours(client, address, member) == new
        assert member.set_name is not None
        await getattr(client.camera(address), member.set_name)(old)
        assert theirs(camera, member) == old


async def test_the_misspelt_field_of_alpyca_is_refused_and_ours_is_not(
    client: AlpacaClient,
) -> None:
    simulated = SimulatedCamera(initially_connected=True)
    with run_in_thread(SimulatorServer([simulated])) as server:
        with alpyca(server.address) as camera, pytest.raises(Exception, match=r"400|SubExposure"):
            camera.SubExposureDuration = 0.5
        mine = client.camera(server.address)
        try:
            await mine.set_sub_exposure_duration(0.5)
        except NotImplementedException:
            pytest.skip("the simulated camera has no sub-exposures")
        assert await mine.get_sub_exposure_duration() == 0.5


async def test_both_download_the_same_monochrome_image(
    client: AlpacaClient, address: str, simulated: SimulatedCamera
) -> None:
    image = await client.camera(address).expose(0.01)
    with alpyca(address) as camera:
        np.testing.assert_array_equal(np.array(camera.ImageArray), image.array)
        info = camera.ImageArrayInfo
    assert (info.Rank, info.Dimension1, info.Dimension2) == (2, *image.metadata.shape)
    assert int(info.TransmissionElementType) == image.metadata.transmission_element_type


async def test_alpyca_repeats_row_0_of_a_colour_image_and_we_do_not(client: AlpacaClient) -> None:
    colour = SimulatedCamera(
        width=40, height=30, readout_time=0, sensor=SensorType.COLOR, initially_connected=True
    )
    with run_in_thread(SimulatorServer([colour])) as server:
        image = await client.camera(server.address).expose(0.01)
        with alpyca(server.address) as camera:
            wrong = np.array(camera.ImageArray)
    assert wrong.shape == image.array.shape == (40, 30, 3)
    np.testing.assert_array_equal(wrong[0], image.array[0])
    assert (wrong[1:] == wrong[0]).all()
    assert not (image.array[1:] == image.array[0]).all()
