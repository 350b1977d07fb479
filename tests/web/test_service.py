"""The observatory as its HTTP interface shows it."""

from __future__ import annotations

import asyncio
import io
import time
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
import pytest

from alpaca_async import CameraStates, Timeouts
from alpaca_async._errors import ascom_error

from .conftest import PACE, open_site, small_camera

fits: Any = import_module("astropy.io.fits")  # has no complete types

pytestmark = pytest.mark.asyncio(loop_scope="module")

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Site


async def test_an_exposure_gives_fits_and_picture(site: Site) -> None:
    answer = await site.expose(0.05, binning=2)
    assert answer.status_code == 201
    frame = answer.json()
    assert (frame["width"], frame["height"], frame["duration"]) == (32, 24, 0.05)

    downloaded = await site.http.get(f"/{frame['fits']}")
    assert downloaded.headers["Content-Type"] == "image/fits"
    with fits.open(io.BytesIO(downloaded.content)) as hdus:
        assert hdus[0].data.shape == (24, 32)
        assert hdus[0].header["EXPTIME"] == 0.05

    picture = PIL.Image.open(io.BytesIO((await site.http.get(f"/{frame['preview']}")).content))
    assert np.ptp(np.asarray(picture)) > 50
    assert (await site.view())["frames"][0] == frame


async def test_events_tell_of_status_progress_and_frame(site: Site) -> None:
    before = view = await site.until(lambda view: view["status"]["camera_state"] == 0)
    async with site.events() as views:
        exposing = asyncio.create_task(site.expose(0.5))
        fractions: list[float] = []
        async for view in views:
            progress = view["progress"]
            if progress and progress["phase"] == "exposing":
                fractions.append(progress["fraction"])
            if view["frames"] != before["frames"]:
                break
        assert len(fractions) >= 3
        assert fractions == sorted(fractions)
        assert view["order"] is None
        assert view["frames"][0] == (await exposing).json()


async def test_twenty_browsers_cost_the_camera_no_more_than_one(site: Site) -> None:
    async def listen() -> None:
        async with site.events() as views:
            for _ in range(3):
                await anext(views)

    begun, before = time.monotonic(), site.camera.count("devicestate")
    await asyncio.gather(*(listen() for _ in range(20)))
    polls = (time.monotonic() - begun) / PACE.interval
    assert site.camera.count("devicestate") - before <= polls + 1


async def test_a_camera_that_exposes_is_busy(site: Site) -> None:
    first = asyncio.create_task(site.expose(30))
    await site.started()
    second = await site.expose()
    assert (second.status_code, second.json()) == (
        409,
        {"detail": "This camera is already exposing."},
    )
    assert (await site.abort()).status_code == 204
    assert (await first).status_code == 409


async def test_an_abort_ends_the_exposure(site: Site) -> None:
    aborts, frames = site.camera.count("abortexposure"), (await site.view())["frames"]
    exposing = asyncio.create_task(site.expose(30))
    await site.started()
    assert (await site.abort()).status_code == 204
    answer = await exposing
    assert (answer.status_code, answer.json()["detail"]) == (409, "The exposure was aborted.")
    assert site.camera.count("abortexposure") == aborts + 1
    view = await site.view()
    assert (view["order"], view["exposure_error"], view["frames"]) == (None, None, frames)
    assert (await site.expose()).status_code == 201


async def test_an_exposure_of_somebody_else_can_be_aborted(site: Site) -> None:
    await site.expose()  # after an abort a refusal would be waited out
    site.camera.start_exposure(30, light=True)
    assert (await site.expose()).status_code == 409
    assert (await site.abort()).status_code == 204
    assert site.camera.exposure is None


async def test_a_browser_that_leaves_takes_its_exposure_along(site: Site) -> None:
    aborts = site.camera.count("abortexposure")
    exposing = asyncio.create_task(site.expose(30))
    await site.started()
    exposing.cancel()
    await site.until(lambda view: view["order"] is None)
    assert site.camera.exposure is None
    assert site.camera.count("abortexposure") == aborts + 1


async def test_the_end_of_the_server_ends_the_exposure(tmp_path: Path) -> None:
    async with open_site(small_camera(), tmp_path) as site:
        exposing = asyncio.create_task(site.expose(30))
        await site.started()
    assert (await exposing).status_code == 409
    assert site.camera.count("abortexposure") == 1


@pytest.mark.parametrize(
    ("number", "status"),
    [(0x400, 501), (0x401, 400), (0x407, 503), (0x40B, 409), (0x500, 502)],
)
async def test_errors_of_the_camera_keep_their_number(site: Site, number: int, status: int) -> None:
    site.camera.refuse("StartExposure", error=ascom_error(number, "the shutter is stuck"))
    answer = await site.expose()
    problem = answer.json()
    assert (answer.status_code, problem["status"], problem["number"]) == (status, status, number)
    assert "the shutter is stuck" in problem["detail"]
    assert (await site.view())["exposure_error"] == problem
    assert (await site.expose()).status_code == 201
    assert (await site.view())["exposure_error"] is None


async def test_an_exposure_that_fails_says_so(site: Site) -> None:
    site.camera.fail_exposure("the CCD caught fire", 0x5FF)
    answer = await site.expose()
    assert (answer.status_code, answer.json()["number"]) == (502, 0x5FF)


@pytest.mark.parametrize(
    ("order", "status"),
    [
        ({"duration": -1}, 422),
        ({"duration": "NaN"}, 422),
        ({"duration": "long"}, 422),
        ({}, 422),
        ({"duration": 1, "binning": 0}, 422),
        ({"duration": 1, "binning": 9}, 400),
        ({"duration": 5000}, 400),
    ],
)
async def test_wrong_values_are_the_callers_fault(
    site: Site, order: dict[str, object], status: int
) -> None:
    answer = await site.http.post("/api/cameras/0/exposures", json=order)
    assert answer.status_code == status
    assert answer.json()["detail"]
    assert site.camera.state is CameraStates.IDLE


@pytest.mark.parametrize("number", [-1, 2])
async def test_other_cameras_are_not_there(site: Site, number: int) -> None:
    answer = await site.http.delete(f"/api/cameras/{number}/exposures")
    assert answer.status_code == 404


async def test_a_camera_that_is_lost_is_missed_and_found_again(site: Site) -> None:
    async with site.out_of_reach():
        view = await site.until(lambda view: view["status_error"])
        assert view["status_error"]["status"] == 503
        assert (await site.expose()).status_code == 503
    view = await site.until(lambda view: not view["status_error"])
    assert view["status"]["camera_state"] == 0
    assert (await site.expose()).status_code == 201


async def test_a_camera_that_dies_in_mid_exposure_is_reported(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alpaca_async._device.patience.LOSS_GRACE", 0.1)
    exposing = asyncio.create_task(site.expose(0.3))
    await site.started()
    async with site.out_of_reach():
        await site.until(lambda view: view["status_error"] and view["order"])
        answer = await exposing
        assert answer.status_code == 503
        assert (await site.view())["exposure_error"] == answer.json()


async def test_a_reconnection_does_not_disturb_an_exposure(site: Site) -> None:
    exposing = asyncio.create_task(site.expose(0.6))
    await site.started()
    async with site.out_of_reach():
        await site.until(lambda view: view["status_error"])
    await site.until(lambda view: not view["status_error"])
    assert (await exposing).status_code == 201
    assert site.camera.count("disconnect") == 0


async def test_a_camera_that_others_disconnect_is_connected_again(site: Site) -> None:
    site.camera.set_connected(False)
    await site.until(lambda _: site.camera.connected)
    assert (await site.expose()).status_code == 201


async def test_a_server_that_is_too_slow_gives_504(tmp_path: Path) -> None:
    timeouts = Timeouts(reply=0.15, long=0.15)
    async with open_site(small_camera(), tmp_path, timeouts) as site:
        site.camera.delay = 0.3
        assert (await site.until(lambda view: view["late"]))["silent_for"] > PACE.late_after
        answer = await site.expose()
        assert (answer.status_code, answer.json()["number"]) == (504, None)
        site.camera.delay = 0.0
        await site.until(lambda view: not view["late"] and not view["status_error"])
        assert (await site.expose()).status_code == 201
