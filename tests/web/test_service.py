"""The observatory as its HTTP interface shows it."""

from __future__ import annotations

import asyncio
import io
import json
import time
from functools import partialmethod
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
import pytest

from alpaca_async import AlpacaClient, AsyncSafetyMonitor, CameraStates, Image, Timeouts
from alpaca_async._errors import ascom_error
from alpaca_async.web.changes import Changes, Limit, LimitReachedError
from alpaca_async.web.devices import SafetyMonitor
from alpaca_async.web.frames import FrameStore
from alpaca_async.web.observatory import MAX_LISTENERS
from tests.conditions import until

from .conftest import PACE, open_site, small_camera

fits: Any = import_module("astropy.io.fits")  # has no complete types

pytestmark = pytest.mark.asyncio(loop_scope="module")

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from alpaca_async.web.saved_frame import SavedFrame

    from .conftest import Site


async def test_an_exposure_gives_fits_and_picture(site: Site) -> None:
    frame = (await site.expose(0.05, binning=2))["frames"][0]
    assert (frame["width"], frame["height"], frame["duration"]) == (32, 24, 0.05)

    downloaded = await site.http.get(f"/{frame['fits']}")
    assert downloaded.headers["Content-Type"] == "image/fits"
    with fits.open(io.BytesIO(downloaded.content)) as hdus:
        pixels = hdus[0].data
        assert pixels.shape == (24, 32)
        assert hdus[0].header["EXPTIME"] == 0.05

    picture = PIL.Image.open(io.BytesIO((await site.http.get(f"/{frame['preview']}")).content))
    assert np.ptp(np.asarray(picture)) > 50

    measured = frame["statistics"]
    assert (measured["minimum"], measured["maximum"]) == (pixels.min(), pixels.max())
    histogram = (await site.http.get(f"/api/frames/{frame['name']}/histogram")).json()
    assert sum(histogram["counts"]) == 32 * 24
    assert (histogram["low"], histogram["high"]) == (pixels.min(), pixels.max())


async def test_events_tell_of_status_progress_and_frames(site: Site) -> None:
    before = view = await site.until(lambda view: view["status"]["camera_state"] == 0)
    async with site.events() as views:
        assert (await site.order(0.5, count=2)).status_code == 202
        fractions: list[float] = []
        saved: set[int] = set()
        async for view in views:
            saved.add(view["saved"])
            progress = view["progress"]
            if progress and progress["phase"] == "exposing" and view["saved"] == 0:
                fractions.append(progress["fraction"])
            if view["saved"] == 2 and view["order"] is None:
                break
        first = fractions[
            : fractions.index(max(fractions)) + 1
        ]  # the next begins while it is saved
        assert len(first) >= 3
        assert first == sorted(first)
        assert {0, 1, 2} <= saved
        assert view["frames"][2:] == before["frames"][:22]


async def test_fifty_browsers_cost_the_camera_no_more_than_one(site: Site) -> None:
    async def listen() -> None:
        async with site.events() as views:
            for _ in range(3):
                await anext(views)

    begun, before = time.monotonic(), site.camera.count("devicestate")
    await asyncio.gather(*(listen() for _ in range(50)))
    polls = (time.monotonic() - begun) / PACE.interval
    assert site.camera.count("devicestate") - before <= polls + 1


async def test_the_number_of_listeners_is_limited(site: Site) -> None:
    leave = asyncio.Event()
    listening: list[int] = []

    async def listen(number: int) -> None:
        while not leave.is_set():  # the listener of the test before may not have left yet
            async with site.http.stream("GET", "/api/events") as response:
                if response.status_code == 200:
                    listening.append(number)
                    await leave.wait()

    async with asyncio.TaskGroup() as group:
        for number in range(MAX_LISTENERS):
            group.create_task(listen(number))
        await until(lambda: len(listening) == MAX_LISTENERS)
        assert await stream_status(site) == 503
        leave.set()
    async with asyncio.timeout(20):
        while await stream_status(site) != 200:  # noqa: ASYNC110 - the server has no event for it
            await asyncio.sleep(0.05)


async def stream_status(site: Site) -> int:
    async with site.http.stream("GET", "/api/events") as response:
        return response.status_code


async def test_a_camera_that_exposes_is_busy(site: Site) -> None:
    await site.order(30)
    await site.started()
    second = await site.order()
    assert (second.status_code, second.json()) == (
        409,
        {"detail": "This camera is already exposing."},
    )
    assert (await site.abort()).status_code == 204
    problem = (await site.ended())["exposure_error"]
    assert (problem["kind"], problem["detail"]) == ("aborted", "The exposure was aborted.")


async def test_an_abort_ends_the_exposure(site: Site) -> None:
    aborts, frames = site.camera.count("abortexposure"), (await site.view())["frames"]
    await site.order(30, count=5)
    await site.started()
    answers = await asyncio.gather(site.abort(), site.abort(), site.abort())
    assert {answer.status_code for answer in answers} == {204}
    assert site.camera.count("abortexposure") == aborts + 1
    view = await site.view()
    assert (view["order"], view["frames"]) == (None, frames)
    assert (await site.expose())["exposure_error"] is None


async def test_an_abort_right_after_the_order_ends_it(site: Site) -> None:
    answers = await asyncio.gather(*(site.abort() if n % 2 else site.order(30) for n in range(6)))
    assert {202, 204} <= {answer.status_code for answer in answers}
    await site.abort()
    assert (await site.view())["order"] is None
    await site.expose()
    await until(lambda: site.camera.state is CameraStates.IDLE)


async def test_filter_and_focus_are_in_the_header(site: Site) -> None:
    await site.until(lambda view: view["wheel"] is not None)
    await site.command("filterwheel", "move", 4)
    await site.command("focuser", "move", 5010)
    await site.settled("filterwheel")
    await site.settled("focuser")
    frame = (await site.expose())["frames"][0]
    assert frame["filter"] == "Ha"
    downloaded = await site.http.get(f"/{frame['fits']}")
    header = fits.getheader(io.BytesIO(downloaded.content))
    assert (header["FILTER"], header["FOCUSPOS"]) == ("Ha", 5010)


async def test_a_frame_is_taken_although_the_wheel_does_not_answer(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> int:
        raise ascom_error(0x500, "the wheel is stuck")

    await site.until(lambda view: view["wheel"] is not None)
    with monkeypatch.context() as patch:
        patch.setattr(site.wheel, "get_position", fail)
        await site.known("filterwheel", "position", wanted=None)
        view = await site.expose()
        assert (view["exposure_error"], view["frames"][0]["filter"]) == (None, None)
    await site.known("filterwheel", "status_error", wanted=None)


async def test_a_camera_that_is_restarted_in_mid_exposure_loses_its_frame(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.order(30)
    await site.until(lambda view: view["progress"])
    monkeypatch.setattr(site.camera, "connect_time", 2.0)
    site.camera.set_connected(False)
    problem = (await site.ended())["exposure_error"]
    assert (problem["status"], problem["kind"]) == (503, "lost")
    await site.until(lambda view: site.camera.connected and view["status"]["camera_state"] == 0)


async def test_an_exposure_of_somebody_else_can_be_aborted(site: Site) -> None:
    await site.expose()  # after an abort a refusal would be waited out
    site.camera.start_exposure(30, light=True)
    problem = (await site.expose())["exposure_error"]
    assert (problem["status"], problem["kind"]) == (409, "busy")
    assert (await site.abort()).status_code == 204
    assert site.camera.exposure is None


async def test_an_exposure_survives_the_browser_that_asked_for_it(site: Site) -> None:
    before = len((await site.view())["frames"])
    async with site.events() as views:
        await anext(views)
        await site.order(0.4)
        await site.started()
    view = await site.ended()
    assert (view["exposure_error"], len(view["frames"])) == (None, before + 1)


async def test_the_end_of_the_server_ends_the_exposure(tmp_path: Path) -> None:
    async with open_site(small_camera(), tmp_path) as site:
        await site.order(30)
        await site.started()
    assert site.camera.count("abortexposure") == 1


@pytest.mark.parametrize(
    ("number", "status"),
    [(0x400, 501), (0x401, 400), (0x407, 503), (0x40B, 409), (0x500, 502)],
)
async def test_errors_of_the_camera_keep_their_number(site: Site, number: int, status: int) -> None:
    site.camera.refuse("StartExposure", error=ascom_error(number, "the shutter is stuck"))
    problem = (await site.expose())["exposure_error"]
    assert (problem["status"], problem["number"]) == (status, number)
    assert "the shutter is stuck" in problem["detail"]
    assert (await site.expose())["exposure_error"] is None


async def test_an_exposure_that_fails_says_so(site: Site) -> None:
    site.camera.fail_exposure("the CCD caught fire", 0x5FF)
    problem = (await site.expose())["exposure_error"]
    assert (problem["status"], problem["number"]) == (502, 0x5FF)


@pytest.mark.parametrize(
    "order",
    [
        '{"steps": [{"duration": -1}]}',
        '{"steps": [{"duration": NaN}]}',
        '{"steps": [{"duration": Infinity}]}',
        '{"steps": [{"duration": 1e999}]}',
        '{"steps": [{"duration": "NaN"}]}',
        '{"steps": [{"duration": "long"}]}',
        '{"steps": [{"duration": 1, "binning": 0}]}',
        '{"steps": [{"duration": 1, "count": 0}]}',
        '{"steps": [{"duration": 1, "count": 1001}]}',
        '{"steps": [{"duration": 1, "filter": -1}]}',
        '{"steps": [{"duration": 1, "filter": "Ha"}]}',
        '{"steps": [{"duration": 1}, {"duration": NaN}]}',
        '{"steps": [{}]}',
        '{"steps": []}',
        json.dumps({"steps": [{"duration": 1}] * 101}),
        '{"duration": 1}',
        "{}",
        "[",
        '"\\ud800"',
    ],
)
async def test_wrong_orders_are_refused(site: Site, order: str) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await site.http.post("/api/cameras/0/exposures", content=order, headers=headers)
    assert answer.status_code == 422
    assert answer.json()["detail"]
    assert site.camera.state is CameraStates.IDLE


@pytest.mark.parametrize("order", [{"duration": 1, "binning": 9}, {"duration": 5000}])
async def test_what_the_camera_cannot_do_is_told(site: Site, order: dict[str, Any]) -> None:
    problem = (await site.expose(**order))["exposure_error"]
    assert problem["status"] == 400
    assert site.camera.state is CameraStates.IDLE


async def test_a_long_body_is_refused_before_it_is_read(site: Site) -> None:
    long = await site.http.post("/api/cameras/0/exposures", content=b" " * 100_000)
    assert long.status_code == 413

    async def chunks() -> AsyncGenerator[bytes]:
        yield b" " * 10

    unknown = await site.http.post("/api/cameras/0/exposures", content=chunks())
    assert unknown.status_code == 411


@pytest.mark.parametrize("number", [-1, 2])
async def test_other_cameras_are_not_there(site: Site, number: int) -> None:
    answer = await site.http.delete(f"/api/cameras/{number}/exposures")
    assert answer.status_code == 404


@pytest.mark.parametrize("path", ["none.fits", "none.png", "..%2F..%2Fetc%2Fpasswd.fits", "x.txt"])
async def test_other_files_are_not_there(site: Site, path: str) -> None:
    assert (await site.http.get(f"/frames/{path}")).status_code == 404


async def test_a_camera_that_is_lost_is_missed_and_found_again(site: Site) -> None:
    async with site.out_of_reach():
        view = await site.until(lambda view: view["status_error"])
        assert view["status_error"]["status"] == 503
        assert (await site.expose())["exposure_error"]["status"] == 503
    view = await site.until(lambda view: not view["status_error"])
    assert view["status"]["camera_state"] == 0
    assert (await site.expose())["exposure_error"] is None


async def test_a_camera_that_dies_in_mid_exposure_is_reported(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alpaca_async._device.patience.LOSS_GRACE", 0.1)
    await site.order(0.3)
    await site.started()
    async with site.out_of_reach():
        await site.until(lambda view: view["status_error"] and view["order"])
        assert (await site.ended())["exposure_error"]["status"] == 503


async def test_a_reconnection_does_not_disturb_an_exposure(site: Site) -> None:
    await site.order(0.6)
    await site.started()
    async with site.out_of_reach():
        await site.until(lambda view: view["status_error"])
    await site.until(lambda view: not view["status_error"])
    assert (await site.ended())["exposure_error"] is None
    assert site.camera.count("disconnect") == 0


async def test_a_camera_that_others_disconnect_is_connected_again(site: Site) -> None:
    site.camera.set_connected(False)
    await site.until(lambda _: site.camera.connected)
    assert (await site.expose())["exposure_error"] is None


async def test_temperatures_are_remembered(site: Site) -> None:
    (first, *_) = (await site.http.get("/api/cameras/0/history")).json()
    assert first["ccd_temperature"] == pytest.approx(15, abs=5)


async def test_a_server_that_is_too_slow_gives_504(tmp_path: Path) -> None:
    timeouts = Timeouts(reply=0.5, long=0.5)
    async with open_site(small_camera(), tmp_path, timeouts) as site:
        site.camera.delay = 1.0
        await site.until(lambda view: view["late"] and view["silent_for"] > PACE.late_after)
        problem = (await site.expose())["exposure_error"]
        assert (problem["status"], problem["number"]) == (504, None)
        site.camera.delay = 0.0
        await site.until(lambda view: not view["late"] and not view["status_error"])
        assert (await site.expose())["exposure_error"] is None


async def test_a_part_of_a_frame_is_shown_pixel_by_pixel(site: Site) -> None:
    frame = (await site.expose())["frames"][0]
    where = f"/api/frames/{frame['name']}/pixels"
    answer = await site.http.get(where, params={"x": 1, "y": 0})
    assert PIL.Image.open(io.BytesIO(answer.content)).size == (64, 48)
    wrong = await site.http.get(where, params={"x": "NaN"})
    assert wrong.status_code == 422
    (site.folder / f"{frame['name']}.fits").unlink()
    gone = await site.http.get(where)
    assert gone.status_code == 404
    assert (await site.http.get(f"/{frame['fits']}")).status_code == 404


async def test_a_limit_is_free_again_after_its_block() -> None:
    limit = Limit(1, "downloads")
    with limit.held():
        with pytest.raises(LimitReachedError, match="There are 1 downloads already"):
            with limit.held():
                pass
    with limit.held():
        pass


async def test_a_vanished_folder_is_told_and_loses_no_frame(tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    async with open_site(small_camera(), folder) as site:
        await site.order(0.3, count=2)
        await site.started()
        folder.rename(tmp_path / "away")
        await site.until(lambda view: view["storage_error"])
        view = await site.until(lambda view: view["current"]["frame"] == 1)
        assert "the folder" in view["storage_error"]["detail"]
        assert view["saved"] == 0  # the page shows the frame that is exposed, not the one in memory
        (tmp_path / "away").rename(folder)
        view = await site.ended()
        assert (len(view["frames"]), view["storage_error"]) == (2, None)
        assert len(list(folder.glob("*.fits"))) == 2

        folder.rename(tmp_path / "away")
        view = await site.expose()
        assert view["exposure_error"]["status"] == 507
        assert "does not exist" in view["exposure_error"]["detail"]


async def test_an_abort_rescues_a_frame_that_cannot_be_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    async with open_site(small_camera(), folder) as site:
        await site.order(0.2)
        await site.started()
        folder.rename(tmp_path / "away")
        await site.until(lambda view: view["storage_error"])
        assert (await site.abort()).status_code == 204
        view = await site.view()
        assert view["storage_error"] is None
        assert view["saved_elsewhere"].startswith(f"{tmp_path}/alpaca-async-")
        assert (await site.http.get(f"/{view['frames'][0]['fits']}")).status_code == 200
        (tmp_path / "away").rename(folder)
        assert (await site.expose())["saved_elsewhere"] is None


async def test_an_abort_does_not_lose_the_frame_that_is_being_saved(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = len((await site.view())["frames"])
    save, saving, go_on = FrameStore._save, asyncio.Event(), asyncio.Event()

    async def save_later(store: FrameStore, image: Image, folder: Path) -> SavedFrame:
        saving.set()
        await go_on.wait()
        return await save(store, image, folder)

    monkeypatch.setattr(FrameStore, "_save", save_later)
    await site.order(0.05)
    await saving.wait()
    aborting = asyncio.create_task(site.abort())
    await asyncio.sleep(0.05)
    go_on.set()
    assert (await aborting).status_code == 204
    assert len((await site.view())["frames"]) == min(before + 1, 24)


async def test_a_full_disk_refuses_exposures(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alpaca_async.web.frames._MIN_FREE_BYTES", 1 << 60)
    starts = site.camera.count("startexposure")
    assert "is free" in (await site.expose())["exposure_error"]["detail"]
    assert site.camera.count("startexposure") == starts
    await until(lambda: site.camera.state is CameraStates.IDLE)


async def test_devices_are_commanded_and_report_errors(site: Site) -> None:
    for _ in range(100):  # the devices are listed after the cameras
        if len((await site.http.get("/api/state")).json()["devices"]) == 4:
            break
        await asyncio.sleep(0.05)
    assert (await site.command("filterwheel", "move", 2)).status_code == 202
    await site.settled("filterwheel")
    assert (await site.device("filterwheel"))["error"] is None
    assert (await site.command("filterwheel", "move", 99)).status_code == 202
    await site.settled("filterwheel")
    assert (await site.device("filterwheel"))["error"]["status"] == 400
    assert (await site.command("filterwheel", "open")).status_code == 501
    assert (await site.command("filterwheel", "move", -1)).status_code == 422
    assert (await site.command("safetymonitor", "halt")).status_code == 501

    answers = await asyncio.gather(*(site.command("focuser", "move", 4000 + n) for n in range(4)))
    assert {answer.status_code for answer in answers} == {202}
    await site.settled("focuser")
    assert (await site.device("focuser"))["error"] is None
    assert (
        await site.http.post("/api/devices/9/commands", json={"action": "halt"})
    ).status_code == 404


async def test_a_monitor_that_has_not_answered_yet_is_not_safe() -> None:
    async with AlpacaClient() as client:
        monitor = SafetyMonitor(0, client.safety_monitor("127.0.0.1:1"), "Rain", Changes())
        assert monitor.view().safe is False


async def test_a_monitor_that_is_out_of_reach_is_not_safe(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon = partialmethod(AsyncSafetyMonitor.is_safe, timeout=0.5)  # instead of five seconds
    monkeypatch.setattr(AsyncSafetyMonitor, "is_safe", soon)
    async with site.out_of_reach():
        await site.until(lambda view: view["status_error"])
        await site.known("safetymonitor", "safe", wanted=False)
    await site.known("safetymonitor", "safe", wanted=True)
    await site.until(lambda view: not view["status_error"])


async def test_an_abort_that_does_not_reach_the_camera_is_an_error(site: Site) -> None:
    async with site.out_of_reach():
        answer = await site.abort()
    assert answer.status_code == 503
    assert "abortexposure" in answer.json()["detail"]
    await site.until(lambda view: not view["status_error"] and not view["late"])
