"""What a camera can be told to do differently from the standard, as some servers do."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal

import numpy as np
import pytest

from alpaca_async._enums import CameraStates
from alpaca_async._errors import InvalidOperationException
from alpaca_async.testing import CAMERA_FAULTS, CameraFault, CameraModel, SimulatedCamera

from .conftest import wired

if TYPE_CHECKING:
    from .conftest import Clock, MakeCamera

DARK = {"stars": 0, "sky_brightness": 0.0, "noise": False, "hot_pixel_fraction": 0.0}


@pytest.mark.parametrize("fault", CAMERA_FAULTS.values(), ids=lambda fault: fault.name)
def test_every_fault_of_a_camera_changes_its_model(fault: CameraFault) -> None:
    camera = SimulatedCamera(**fault.model)
    defaults = {field.name: field.default for field in dataclasses.fields(CameraModel)}
    for name, value in fault.model.items():
        assert getattr(camera, name) == value != defaults[name]


# Pixel types


@pytest.mark.parametrize(
    ("max_adu", "dtype"),
    [(255, "u1"), (256, "<u2"), (4095, "<u2"), (65535, "<u2"), (65536, "<i4")],
)
@pytest.mark.parametrize("offset", [0, 100, 300])
def test_the_pixel_type_depends_on_the_camera_alone(
    make_camera: MakeCamera, clock: Clock, max_adu: int, dtype: str, offset: int
) -> None:
    camera = make_camera(max_adu=max_adu, **DARK)
    camera.set_offset(offset)
    camera.start_exposure(0.1, light=True)
    clock.advance(10.0)
    assert camera.image().dtype == np.dtype(dtype)
    assert camera.image().flags.c_contiguous


@pytest.mark.parametrize(("offset", "dtype"), [(0, "u1"), (300, "<i2")])
def test_the_type_may_be_the_narrowest_of_each_frame(
    make_camera: MakeCamera, clock: Clock, offset: int, dtype: str
) -> None:
    camera = make_camera(narrowest_type=True, **DARK)
    camera.set_offset(offset)
    camera.start_exposure(0.1, light=True)
    clock.advance(10.0)
    assert camera.image().dtype == np.dtype(dtype)


# Exposures


def expose(camera: SimulatedCamera, clock: Clock) -> None:
    camera.start_exposure(0.5, light=True)
    clock.advance(10.0)


def test_the_former_image_stays_ready_for_a_while(make_camera: MakeCamera, clock: Clock) -> None:
    camera = make_camera(start_lag=0.2)
    expose(camera, clock)
    former = camera.image()
    camera.start_exposure(0.5, light=True)
    clock.advance(0.19)
    assert camera.get_image_ready()
    assert camera.get_state() == CameraStates.IDLE
    assert camera.image() is former
    clock.advance(0.02)
    assert not camera.get_image_ready()
    assert camera.get_state() == CameraStates.EXPOSING
    clock.advance(0.45)
    assert camera.get_state() == CameraStates.EXPOSING, "the exposure begins when the lag ends"
    clock.advance(1.0)
    assert camera.get_image_ready()
    assert camera.image() is not former


def test_the_first_exposure_has_no_former_image(make_camera: MakeCamera, clock: Clock) -> None:
    camera = make_camera(start_lag=0.2)
    camera.start_exposure(0.5, light=True)
    assert not camera.get_image_ready()
    assert camera.get_state() == CameraStates.IDLE
    clock.advance(0.3)
    assert camera.get_state() == CameraStates.EXPOSING


def test_the_former_image_may_be_gone_while_it_is_ready(
    make_camera: MakeCamera, clock: Clock
) -> None:
    camera = make_camera(start_lag=0.2, drops_image_at_start=True)
    expose(camera, clock)
    camera.start_exposure(0.5, light=True)
    assert camera.get_image_ready()
    with pytest.raises(InvalidOperationException, match="no image"):
        camera.image()
    clock.advance(10.0)
    assert camera.image().shape == (64, 48)


# Frame


def test_changes_of_a_group_in_quick_succession_are_lost(
    make_camera: MakeCamera, clock: Clock
) -> None:
    camera = make_camera(frame_lag=0.2)
    for change in (camera.set_bin_x, camera.set_bin_y):
        change(2)
    for change in (camera.set_start_x, camera.set_start_y, camera.set_num_x, camera.set_num_y):
        change(10)
    assert camera.frame == (1, 2, 0, 0, 64, 10)
    assert camera.reported_frame == (1, 1, 0, 0, 64, 48)
    clock.advance(0.21)
    assert camera.reported_frame == (1, 2, 0, 0, 64, 10)


def test_changes_one_after_the_other_take(make_camera: MakeCamera, clock: Clock) -> None:
    camera = make_camera(frame_lag=0.2)
    for change in (camera.set_start_x, camera.set_start_y, camera.set_num_x, camera.set_num_y):
        change(10)
        clock.advance(0.3)
    assert camera.reported_frame == camera.frame == (1, 1, 10, 10, 10, 10)
    assert len(camera._former_frames) == 1, "older ones are not kept"


def test_what_is_reported_lags_behind_every_change(make_camera: MakeCamera, clock: Clock) -> None:
    camera = make_camera(frame_lag=0.25)
    reported: list[int] = []
    for width in (10, 20, 30, 40):
        camera.set_num_x(width)
        clock.advance(0.1)
        reported.append(camera.reported_frame.num_x)
    assert reported == [64, 64, 10, 20]


async def test_clients_read_the_frame_that_is_reported() -> None:
    camera = SimulatedCamera(width=64, height=48, initially_connected=True, frame_lag=1e6)
    async with wired(camera) as wire:
        assert await wire.do("numx", NumX=10) == 0
        assert await wire.value("numx") == 64
    assert camera.num_x == 10


def test_sizes_may_be_divided_by_the_binning(make_camera: MakeCamera) -> None:
    camera = make_camera(divides_frame=True)
    camera.set_bin_x(2)
    camera.set_bin_y(2)
    camera.set_num_x(32)
    camera.set_num_y(24)
    assert camera.reported_frame == (2, 2, 0, 0, 16, 12)


def test_binning_may_be_ignored(make_camera: MakeCamera) -> None:
    camera = make_camera(ignores_binning=True)
    camera.set_bin_x(2)
    assert camera.reported_frame.bin_x == 1


# Connection and switches


@pytest.mark.parametrize(
    ("word", "sent", "on"),
    [
        ("true", "true", True),
        ("true", "True", False),
        ("True", "True", True),
        ("True", "true", False),
        ("", "tRuE", True),
    ],
)
async def test_only_one_word_may_mean_true(
    word: Literal["", "true", "True"], sent: str, on: bool
) -> None:
    camera = SimulatedCamera(
        width=64, height=48, initially_connected=True, true_word=word, can_fast_readout=True
    )
    async with wired(camera) as wire:
        assert await wire.do("cooleron", CoolerOn=sent) == 0
        assert await wire.do("fastreadout", FastReadout=sent) == 0
        assert (camera.cooler.on, camera.fast_readout) == (on, on)
        assert await wire.do("connected", Connected=sent) == 0
        assert camera.connected is on


def test_connecting_by_property_may_take_a_while(make_camera: MakeCamera, clock: Clock) -> None:
    camera = make_camera(initially_connected=False, connected_time=5.0)
    camera.set_connected(connected=True)
    seen: list[bool] = []
    for seconds in (4.9, 0.2):
        seen.append(camera.connected)
        clock.advance(seconds)
    assert [*seen, camera.connected] == [False, False, True]
    camera.set_connected(connected=False)
    assert camera.connecting is False
    assert not camera.connected
