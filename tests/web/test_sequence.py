"""Sequences of steps, as the HTTP interface of the observatory shows them."""

from __future__ import annotations

import io
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

from alpaca_async import AlpacaClient, CameraStates
from alpaca_async._errors import ascom_error
from alpaca_async.testing import SimulatorServer
from alpaca_async.web.models import Order, Step
from alpaca_async.web.sequence import OrderedFrames
from tests.conditions import until

from .conftest import open_site, small_camera

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Site

fits: Any = import_module("astropy.io.fits")  # has no complete types

pytestmark = pytest.mark.asyncio(loop_scope="module")

HA = 4


async def test_the_steps_are_taken_one_after_another(site: Site) -> None:
    view = await site.take(
        {"duration": 0.01, "count": 2, "filter": HA},
        {"duration": 0.02, "light": False, "binning": 2},
        {"duration": 0.03, "filter": 1},
    )
    assert (view["exposure_error"], view["saved"]) == (None, 4)
    taken = [
        (each["duration"], each["light"], each["width"], each["filter"])
        for each in view["frames"][3::-1]
    ]
    assert taken == [
        (0.01, True, 64, "Ha"),
        (0.01, True, 64, "Ha"),
        (0.02, False, 32, "Ha"),
        (0.03, True, 64, "R"),
    ]
    downloaded = await site.http.get(f"/{view['frames'][0]['fits']}")
    assert fits.getheader(io.BytesIO(downloaded.content))["FILTER"] == "R"


async def test_the_filter_is_in_place_before_each_exposure(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    positions: list[int] = []
    start = site.camera.start_exposure

    def start_exposure(duration: float, light: bool) -> None:
        positions.append(site.wheel.get_position())
        start(duration, light)

    monkeypatch.setattr(site.camera, "start_exposure", start_exposure)
    await site.take(
        {"duration": 0.01, "count": 2, "filter": 0},
        {"duration": 0.01, "count": 2, "filter": 3},
        {"duration": 0.01},
    )
    assert positions == [0, 0, 3, 3, 3]


async def test_the_events_tell_which_frame_is_exposed(site: Site) -> None:
    steps = {"duration": 0.3, "count": 2}, {"duration": 0.3}
    seen: list[tuple[int, int]] = []

    def is_last(view: dict[str, Any]) -> bool:
        if current := view["current"]:
            seen.append((current["step"], current["frame"]))
            assert 0 <= 2 * current["step"] + current["frame"] + 1 - view["saved"] <= 2
        return current is None and bool(seen)

    assert (await site.order_steps(*steps)).status_code == 202
    view = await site.until(is_last)
    assert list(dict.fromkeys(seen)) == [(0, 0), (0, 1), (1, 0)]
    assert (view["order"], view["saved"]) == (None, 3)


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        ({"duration": 5000}, "step 2: 5000 s is above ExposureMax"),
        ({"duration": 1, "binning": 9}, "step 2: binning 9: the camera allows at most 4"),
        ({"duration": 1, "filter": 9}, "step 2: filter 9: the camera's wheel has 5 filters"),
    ],
)
async def test_an_impossible_step_is_told_before_the_first_exposure(
    site: Site, step: dict[str, Any], reason: str
) -> None:
    starts = site.camera.count("startexposure")
    problem = (await site.take({"duration": 0.01}, step))["exposure_error"]
    assert (problem["status"], problem["frame"]) == (400, None)
    assert problem["detail"].startswith(reason)
    assert site.camera.count("startexposure") == starts


async def test_a_camera_without_a_wheel_has_no_filter_steps() -> None:
    order = Order(steps=[Step(duration=1), Step(duration=1, filter=0)])
    async with SimulatorServer([small_camera()]) as server, AlpacaClient() as client:
        camera = client.camera(server.address)
        await camera.connect()
        frames = OrderedFrames(order, camera, None, lambda _: None, dict)
        with pytest.raises(ValueError, match="the camera has no filter wheel"):
            await frames.requests()


async def test_a_frame_that_fails_is_left_out(site: Site) -> None:
    site.camera.refuse("StartExposure", nth=2, error=ascom_error(0x5FF, "the shutter is stuck"))
    view = await site.take({"duration": 0.01, "count": 2}, {"duration": 0.02, "count": 2})
    assert view["saved"] == 3
    assert view["exposure_error"]["number"] == 0x5FF
    assert view["exposure_error"]["frame"] == {"step": 0, "frame": 1}
    assert [each["duration"] for each in view["frames"][:3]] == [0.02, 0.02, 0.01]


async def test_two_failures_in_a_row_end_the_sequence(site: Site) -> None:
    starts = site.camera.count("startexposure")
    for nth in (2, 3):
        site.camera.refuse("StartExposure", nth=nth)
    view = await site.take({"duration": 0.01, "count": 2}, {"duration": 0.02, "count": 2})
    assert view["saved"] == 1
    assert view["exposure_error"]["status"] == 409
    assert view["exposure_error"]["frame"] == {"step": 1, "frame": 0}
    assert site.camera.count("startexposure") == starts + 3


async def test_no_frame_is_exposed_through_another_filter(site: Site) -> None:
    await site.take({"duration": 0.01, "filter": 0})
    starts = site.camera.count("startexposure")
    for nth in (1, 2):
        site.wheel.refuse("Position", nth=nth, error=ascom_error(0x5FF, "the wheel is stuck"))
    view = await site.take({"duration": 0.01, "count": 5, "filter": HA})
    assert "the wheel is stuck" in view["exposure_error"]["detail"]
    assert site.camera.count("startexposure") == starts


async def test_the_binning_is_set_again_after_a_failure(site: Site) -> None:
    await site.expose()
    site.camera.refuse("BinX")
    view = await site.take({"duration": 0.01, "count": 2, "binning": 2})
    assert (view["saved"], view["frames"][0]["width"]) == (1, 32)


async def test_an_abort_ends_all_steps(site: Site) -> None:
    before = site.camera.count("startexposure")
    await site.order_steps({"duration": 0.01}, {"duration": 30, "count": 3}, {"duration": 0.01})
    await site.until(lambda view: view["saved"] == 1 and site.camera.state is CameraStates.EXPOSING)
    assert (await site.abort()).status_code == 204
    view = await site.view()
    assert (view["order"], view["saved"]) == (None, 1)
    assert view["exposure_error"]["detail"] == "The exposure was aborted."
    assert view["exposure_error"]["frame"] == {"step": 1, "frame": 0}
    assert site.camera.count("startexposure") == before + 2


async def test_an_abort_does_not_wait_for_the_wheel(site: Site) -> None:
    await site.take({"duration": 0.01, "filter": 0})
    starts = site.camera.count("startexposure")
    site.wheel.jammed = True
    await site.order_steps({"duration": 0.01, "filter": HA})
    await until(lambda: site.wheel.get_position() == -1)
    assert (await site.abort()).status_code == 204
    site.wheel.jammed = False
    assert (await site.view())["order"] is None
    assert site.camera.count("startexposure") == starts


async def test_the_gain_is_set_for_its_step(site: Site) -> None:
    assert (await site.view())["gains"] == {"minimum": 0, "maximum": 300}
    view = await site.take({"duration": 0.01, "gain": 77}, {"duration": 0.01})
    assert (view["exposure_error"], site.camera.gain) == (None, 77)
    view = await site.take({"duration": 0.01, "gain": 10_000})
    assert view["exposure_error"]["status"] == 400


async def test_a_camera_without_gain_is_followed(tmp_path: Path) -> None:
    camera = small_camera()
    camera.gain_mode = "none"
    async with open_site(camera, tmp_path) as site:
        view = await site.until(lambda view: view["status"])
        assert view["gains"] is None


async def test_a_server_that_restarts_costs_one_frame(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alpaca_async._device.patience.LOSS_GRACE", 0.1)
    await site.until(lambda view: view["wheel"] is not None)
    step = {"duration": 0.5, "count": 2, "binning": 2, "filter": HA}
    assert (await site.order_steps(step)).status_code == 202
    await site.started()
    async with site.out_of_reach():
        await site.until(lambda view: view["exposure_error"])
        for device in site.simulator.devices:
            device.set_connected(False)
    view = await site.ended()
    assert view["exposure_error"]["frame"] == {"step": 0, "frame": 0}
    assert (view["saved"], view["frames"][0]["width"]) == (1, 32)
