"""The cooler of a camera, as the HTTP interface shows it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from .conftest import open_site, small_camera

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from .conftest import Site

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def order(site: Site, set_point: float | None, **more: object) -> httpx.Response:
    body = {"set_point": set_point, **more}
    return await site.http.post("/api/cameras/0/cooling", json=body)


async def ended(site: Site) -> dict[str, Any]:
    view = await site.until(lambda view: view["cooling"]["order"] is None)
    cooling: dict[str, Any] = view["cooling"]
    return cooling


async def test_the_sensor_is_cooled_and_warmed_up(site: Site) -> None:
    assert (await order(site, 12.0)).status_code == 202
    view = await site.until(lambda view: view["cooling"]["progress"])
    assert view["cooling"]["order"] == {"set_point": 12.0, "rate": None}
    assert (await ended(site))["error"] is None
    assert site.camera.cooler.on
    assert site.camera.cooler.temperature == pytest.approx(12, abs=0.5)

    assert (await order(site, None)).status_code == 202
    assert (await ended(site))["error"] is None
    assert not site.camera.cooler.on


async def test_a_ramp_that_is_stopped_holds_the_temperature(site: Site) -> None:
    await order(site, -20.0, rate=600)
    await site.until(lambda view: (view["cooling"]["set_point"] or 15) < 14)
    assert (await site.http.delete("/api/cameras/0/cooling")).status_code == 204
    view = (await site.view())["cooling"]
    assert (view["order"], view["error"]) == (None, None)
    assert site.camera.cooler.on
    assert site.camera.get_set_point() > -20
    site.camera.set_cooler_on(False)


async def test_the_next_order_replaces_the_ramp(site: Site) -> None:
    await order(site, -20.0, rate=1)
    await order(site, 11.0)
    assert (await ended(site))["error"] is None
    assert site.camera.get_set_point() == 11
    site.camera.set_cooler_on(False)


async def test_the_set_point_that_was_asked_for_is_known_until_it_is_warmed_up(site: Site) -> None:
    await order(site, 12.0)
    assert (await ended(site))["wanted"] == 12.0
    site.camera.set_cooler_on(False)  # as a restart of its server does
    view = await site.until(lambda view: view["cooling"]["set_point"] is None)
    assert view["cooling"]["wanted"] == 12.0
    await order(site, None)
    assert (await ended(site))["wanted"] is None


async def test_what_the_cooler_refuses_is_told(site: Site) -> None:
    await order(site, -200.0)
    assert (await ended(site))["error"]["status"] == 400
    site.camera.set_cooler_on(False)


@pytest.mark.parametrize(
    "body",
    [
        "{}",
        '{"set_point": NaN}',
        '{"set_point": -274}',
        '{"set_point": "cold"}',
        '{"set_point": 0, "rate": 0}',
        '{"set_point": 0, "rate": Infinity}',
    ],
)
async def test_wrong_orders_are_refused(site: Site, body: str) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await site.http.post("/api/cameras/0/cooling", content=body, headers=headers)
    assert answer.status_code == 422
    assert not site.camera.cooler.on


async def test_the_set_point_of_another_program_is_in_the_history(tmp_path: Path) -> None:
    camera = small_camera()
    camera.set_connected(True)
    camera.set_set_point(3.0)
    camera.set_cooler_on(True)
    async with open_site(camera, tmp_path) as site:
        await site.until(lambda view: view["cooling"]["set_point"] == 3)
        async with asyncio.timeout(20):
            while True:  # a sample is taken every five seconds
                samples = (await site.http.get("/api/cameras/0/history")).json()
                if samples[-1]["set_point"] == 3:
                    break
                await asyncio.sleep(0.1)


async def test_the_end_of_the_server_ends_the_ramp(tmp_path: Path) -> None:
    async with open_site(small_camera(), tmp_path) as site:
        await order(site, -20.0, rate=1)
        await site.until(lambda view: view["cooling"]["progress"])
    assert site.camera.cooler.set_point > 10


async def test_a_camera_that_does_not_answer_is_not_said_to_have_its_cooler_off(
    site: Site,
) -> None:
    site.camera.set_set_point(12.0)
    site.camera.set_cooler_on(True)
    await site.until(lambda view: view["cooling"]["set_point"] == 12.0)
    async with site.out_of_reach():
        view = await site.until(lambda view: view["status_error"])
        await asyncio.sleep(0.3)
        assert (await site.view())["cooling"]["set_point"] == 12.0
    assert view["cooling"]["set_point"] == 12.0
    site.camera.set_cooler_on(False)
