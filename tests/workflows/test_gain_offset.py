from __future__ import annotations

import pytest

from alpaca_async import (
    AlpacaClient,
    AsyncCamera,
    NamedValue,
    NotConnectedException,
    NotImplementedException,
    ValueNames,
    ValueRange,
)
from alpaca_async.testing import SimulatedCamera, SimulatorServer
from tests.scripted import ScriptedServer, ascom_error, value

NAMES = ("ISO 100", "200", "Extra High")
MISSING = ascom_error(0x400, "not implemented")


class TestValues:
    async def test_the_limits_are_told(self, camera: AsyncCamera) -> None:
        assert await camera.get_gain_options() == ValueRange(0, 300)
        assert await camera.get_offset_options() == ValueRange(0, 1000)

    @pytest.mark.parametrize("wanted", [0, 300, "7", " +7 "])
    async def test_a_value_is_set(
        self, camera: AsyncCamera, simulated: SimulatedCamera, wanted: int | str
    ) -> None:
        await camera.select_gain(wanted)
        assert simulated.gain == int(wanted)
        assert await camera.get_gain_option() == NamedValue(int(wanted), None)
        await camera.select_offset(wanted)
        assert simulated.offset == int(wanted)
        assert await camera.get_offset_option() == NamedValue(int(wanted), None)

    @pytest.mark.parametrize("wanted", [-1, 301, "High", "", "1e2", "1.0"])
    async def test_what_is_out_of_range_is_refused_before_any_command(
        self, camera: AsyncCamera, simulated: SimulatedCamera, wanted: int | str
    ) -> None:
        with pytest.raises(ValueError, match=r"no gain .*it is a number from 0 to 300"):
            await camera.select_gain(wanted)
        assert simulated.count("gain", "PUT") == 0

    @pytest.mark.parametrize("wanted", [1.0, True, None])
    async def test_what_is_neither_name_nor_number_is_refused(
        self, camera: AsyncCamera, simulated: SimulatedCamera, wanted: int
    ) -> None:
        simulated.requests.clear()
        with pytest.raises(TypeError, match="offset must be an int"):
            await camera.select_offset(wanted)
        assert not simulated.requests


class TestNames:
    @pytest.fixture
    def simulated(self) -> SimulatedCamera:
        return SimulatedCamera(
            width=8,
            height=8,
            connect_time=0.0,
            gain_mode="list",
            gain_names=NAMES,
            offset_mode="list",
            offset_names=("Low", "High"),
        )

    async def test_the_names_are_told(self, camera: AsyncCamera) -> None:
        assert await camera.get_gain_options() == ValueNames(NAMES)
        assert await camera.get_offset_options() == ValueNames(("Low", "High"))

    @pytest.mark.parametrize(
        ("wanted", "index"), [("iso 100", 0), ("200", 1), (" EXTRA high ", 2), ("1", 1), (2, 2)]
    )
    async def test_a_name_comes_before_an_index(
        self, camera: AsyncCamera, wanted: int | str, index: int
    ) -> None:
        await camera.select_gain(wanted)
        assert await camera.get_gain_option() == NamedValue(index, NAMES[index])

    async def test_an_offset_has_a_name_too(self, camera: AsyncCamera) -> None:
        await camera.select_offset("high")
        assert await camera.get_offset_option() == NamedValue(1, "High")

    @pytest.mark.parametrize("wanted", ["Highest", 3, -1, "3"])
    async def test_what_is_not_in_the_list_is_answered_with_it(
        self, camera: AsyncCamera, simulated: SimulatedCamera, wanted: int | str
    ) -> None:
        with pytest.raises(ValueError, match=r"no gain .*; there are ISO 100, 200, Extra High"):
            await camera.select_gain(wanted)
        assert simulated.count("gain", "PUT") == 0


class TestNone:
    @pytest.fixture
    def simulated(self) -> SimulatedCamera:
        return SimulatedCamera(width=8, height=8, connect_time=0.0, gain_mode="none")

    async def test_is_the_cameras_own_error(self, camera: AsyncCamera) -> None:
        with pytest.raises(NotImplementedException):
            await camera.get_gain_options()
        with pytest.raises(NotImplementedException):
            await camera.select_gain(1)


async def test_a_disconnected_camera_raises_its_error(
    server: SimulatorServer, client: AlpacaClient
) -> None:
    with pytest.raises(NotConnectedException):
        await client.camera(server.address).select_gain(1)


async def test_an_empty_list_beside_limits_means_a_value(client: AlpacaClient) -> None:
    replies = {"gains": value([]), "gainmin": value(-5), "gainmax": value(5), "gain": value(0)}
    async with ScriptedServer(dict(replies)) as server:
        camera = client.camera(server.address)
        assert await camera.get_gain_options() == ValueRange(-5, 5)
        await camera.select_gain(-5)
        assert await camera.get_gain_option() == NamedValue(0)
        assert server.requests[-3].parameters["Gain"] == "-5"


async def test_unknown_limits_do_not_limit(client: AlpacaClient) -> None:
    replies = {"gains": MISSING, "gainmin": MISSING, "gainmax": MISSING, "gain": value(3)}
    async with ScriptedServer(dict(replies)) as server:
        camera = client.camera(server.address)
        assert await camera.get_gain_options() == ValueRange(None, None)
        await camera.select_gain(100000)
        with pytest.raises(ValueError, match=r"a number from \? to \?"):
            await camera.select_gain("Low")


async def test_an_index_beyond_the_names_has_no_name(client: AlpacaClient) -> None:
    async with ScriptedServer({"gains": value(["Low"]), "gain": value(1)}) as server:
        assert await client.camera(server.address).get_gain_option() == NamedValue(1)
