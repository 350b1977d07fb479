from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from alpaca_async._errors import DriverException, InvalidOperationException
from alpaca_async.testing import SimulatedCamera, SimulatorServer

from .conftest import http_client

if TYPE_CHECKING:
    from .conftest import Clock, MakeCamera


def test_the_nth_command_is_refused_once(make_camera: MakeCamera) -> None:
    camera = make_camera()
    camera.refuse(nth=2)
    camera.consider("binx")
    with pytest.raises(InvalidOperationException):
        camera.consider("numx")
    camera.consider("numx")


def test_a_member_is_refused_with_the_given_error(make_camera: MakeCamera) -> None:
    camera = make_camera()
    camera.refuse("BinX", nth=2, error=DriverException(0x501, "stuck"))
    for member in ("binx", "biny", "biny"):
        camera.consider(member)
    with pytest.raises(DriverException, match="stuck"):
        camera.consider("binx")


async def test_a_refused_command_has_no_effect_and_a_read_is_never_refused() -> None:
    camera = SimulatedCamera(width=8, height=8, initially_connected=True)
    camera.refuse()
    async with SimulatorServer([camera]) as server, http_client(server) as http:
        assert (await http.get("/api/v1/camera/0/binx")).json()["ErrorNumber"] == 0
        refused = await http.put("/api/v1/camera/0/binx", data={"BinX": "2"})
        assert refused.json()["ErrorNumber"] == 0x40B
        assert camera.bin_x == 1
        assert camera.count("binx", "PUT") == 1


@pytest.mark.parametrize(("blocks", "least"), [(True, 0.1), (False, 0.0)])
async def test_a_guiding_pulse_may_block(blocks: bool, least: float) -> None:
    camera = SimulatedCamera(
        width=8, height=8, initially_connected=True, pulse_guide_blocks=blocks, speed_up=10
    )
    async with SimulatorServer([camera]) as server, http_client(server) as http:
        begun = time.monotonic()
        await http.put("/api/v1/camera/0/pulseguide", data={"Direction": "0", "Duration": "1200"})
        assert camera.get_is_pulse_guiding() is not blocks
        assert time.monotonic() - begun >= least


def test_a_subframe_may_be_ignored(make_camera: MakeCamera, clock: Clock) -> None:
    camera = make_camera(width=12, height=8, ignores_subframes=True)
    camera.set_bin_x(2)
    camera.set_start_x(1)
    camera.set_num_x(3)
    camera.start_exposure(0.1, light=True)
    clock.advance(10.0)
    assert camera.image().shape == (6, 8)
    assert camera.num_x == 3


def test_the_axes_may_be_swapped(make_camera: MakeCamera, clock: Clock) -> None:
    right = make_camera(width=12, height=8, noise=False)
    wrong = make_camera(width=12, height=8, noise=False, swaps_axes=True)
    for camera in (right, wrong):
        camera.start_exposure(0.1, light=True)
    clock.advance(10.0)
    assert wrong.image().shape == (8, 12)
    assert wrong.image().flags.c_contiguous
    np.testing.assert_array_equal(wrong.image(), right.image().T)
