"""Names that do not exist: the error says which method to await."""

from __future__ import annotations

import copy
import traceback
from typing import Any
from unittest.mock import AsyncMock

import pytest

from alpaca_async import AlpacaClient, AsyncCamera
from alpaca_async._device.attribute_errors import _OTHER_NAMES
from tests.contract.table import MEMBERS

ADDRESS = "127.0.0.1:11111"


def read_error(name: str) -> str:
    with pytest.raises(AttributeError) as caught:
        getattr(AsyncCamera(ADDRESS), name)
    return str(caught.value)


def write_error(name: str, value: object = 100) -> str:
    with pytest.raises(AttributeError) as caught:
        setattr(AsyncCamera(ADDRESS), name, value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("Gain", "get_gain()"),
        ("gain", "get_gain()"),
        ("BinX", "get_bin_x()"),
        ("CCDTemperature", "get_ccd_temperature()"),
        ("SetCCDTemperature", "get_ccd_temperature_setpoint()"),
        ("set_ccd_temperature", "set_ccd_temperature_setpoint(...)"),
        ("set_temperature", "cool_to(...)"),
        ("set_roi", "set_frame(...)"),
        ("set_binning", "set_frame(...)"),
        ("StartExposure", "start_exposure(...)"),
        ("Connected", "get_connected()"),
        ("ImageArray", "get_image_array()"),
        ("take_picture", "expose(...)"),
        ("close", "aclose()"),
        ("get_gian", "get_gain()"),
        ("set_cooler", "set_cooler_on(...)"),
    ],
)
def test_reading_an_unknown_name_says_what_to_call(name: str, call: str) -> None:
    expected = f"'AsyncCamera' object has no attribute '{name}': use `await camera.{call}`"
    assert read_error(name) == expected


@pytest.mark.parametrize(
    ("name", "value", "call"),
    [
        ("Gain", 100, "set_gain(100)"),
        ("gain", 100, "set_gain(100)"),
        ("CoolerOn", True, "set_cooler_on(True)"),
        ("SetCCDTemperature", -10.5, "set_ccd_temperature_setpoint(-10.5)"),
        ("Connected", True, "set_connected(True)"),
        ("binning", 2, "set_frame(...)"),
        ("roi", (0, 0, 8, 8), "set_frame(...)"),
        ("gian", 100, "set_gain(...)"),
        ("StartExposure", 1.0, "start_exposure(...)"),
    ],
)
def test_setting_an_unknown_name_says_what_to_call(name: str, value: object, call: str) -> None:
    assert write_error(name, value).endswith(f": use `await camera.{call}`")


def test_what_cannot_be_set_is_said_to_be_readable_only() -> None:
    assert "its value cannot be set: use `await camera.get_camera_x_size()`" in write_error(
        "CameraXSize"
    )


@pytest.mark.parametrize("name", ["foo", "set_foo", "_private", "set_"])
def test_a_name_like_no_other_has_no_hint(name: str) -> None:
    assert read_error(name) == f"'AsyncCamera' object has no attribute '{name}'"


def test_setting_a_name_like_no_other_has_no_hint() -> None:
    assert write_error("foo") == "'AsyncCamera' object has no attribute 'foo'"


def test_every_member_of_the_interface_is_found_by_its_name() -> None:
    remote = [member for member in MEMBERS if not member.local]
    assert len(remote) > 60
    for member in remote:
        assert f"use `await camera.{member.get_name}(" in read_error(member.ascom)
        if member.writable:
            assert f"use `await camera.{member.set_name}(" in write_error(member.ascom)


def test_every_hint_names_a_method() -> None:
    assert all(callable(getattr(AsyncCamera, method)) for method in _OTHER_NAMES.values())


def test_a_traceback_adds_no_suggestion_by_similarity() -> None:
    with pytest.raises(AttributeError) as caught:
        AsyncCamera(ADDRESS).set_ccd_temperature  # type: ignore[attr-defined]  # noqa: B018
    assert "Did you mean" not in "".join(traceback.format_exception(caught.value))


class Mine(AsyncCamera):
    """A camera with attributes of its user's own."""

    def __init__(self, address: str, site: str) -> None:
        super().__init__(address)
        self.site = site
        self.gain = 5


def test_a_subclass_may_have_attributes_of_its_own() -> None:
    mine = Mine(ADDRESS, "roof")
    assert (mine.site, mine.gain) == ("roof", 5)
    assert copy.copy(mine).site == "roof"


def test_a_subclass_may_not_set_a_member_by_its_ascom_name() -> None:
    with pytest.raises(AttributeError, match=r"set_gain\(100\)"):
        Mine(ADDRESS, "roof").Gain = 100  # type: ignore[attr-defined]


async def test_a_method_may_be_replaced_in_a_test() -> None:
    camera: Any = AsyncCamera(ADDRESS)
    camera.get_gain = AsyncMock(return_value=7)
    assert await camera.get_gain() == 7


def test_devices_of_other_types_have_hints_for_what_they_have() -> None:
    wheel = AlpacaClient().device(ADDRESS, "filterwheel")
    with pytest.raises(AttributeError, match=r"use `await device.get_description\(\)`"):
        wheel.Description  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(AttributeError, match=r"no attribute 'Gain'$"):
        wheel.Gain  # type: ignore[attr-defined]  # noqa: B018
