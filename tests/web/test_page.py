"""The observatory as a person sees it, in a real browser."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

import anyio
import pytest
import pytest_asyncio
from playwright.async_api import expect

from .browser import AXE, CHROMIUM, open_browser
from .conftest import open_site, small_camera

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from playwright.async_api import Browser, Page

    from .conftest import Site

fits: Any = import_module("astropy.io.fits")  # has no complete types

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
    pytest.mark.browser,
]

TIMES = "\N{MULTIPLICATION SIGN}"

REMEMBER = """() => {
    const the = (id) => document.getElementById(id);
    const told = { steps: [], alerts: [], fractions: [] };
    const note = () => {
        told.steps.push(the("running").hidden ? "" : the("step").textContent);
        told.alerts.push(the("alert").hidden ? "" : the("alert").textContent);
        if (the("progress").hasAttribute("value")) told.fractions.push(the("progress").value);
    };
    const all = { attributes: true, childList: true, characterData: true, subtree: true };
    new MutationObserver(note).observe(document.body, all);
    window.told = told;
}"""
"""Keeps what passes too quickly to be waited for."""

RANGE_OF_PIXELS = """async (picture) => {
    await picture.decode();
    const canvas = document.createElement("canvas");
    canvas.width = picture.naturalWidth;
    canvas.height = picture.naturalHeight;
    const context = canvas.getContext("2d");
    context.drawImage(picture, 0, 0);
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    const reds = data.filter((_, index) => index % 4 === 0);
    return { width: canvas.width, range: Math.max(...reds) - Math.min(...reds) };
}"""


FOREIGN = """<script type="module">
    const body = JSON.stringify({ steps: [{ duration: 0.1 }] });
    const where = "URL/api/cameras/0/exposures";
    for (const [mode, type] of [["no-cors", "text/plain"], ["cors", "application/json"]]) {
        await fetch(where, { method: "POST", mode, body, headers: { "Content-Type": type } })
            .catch(() => {});
    }
    document.body.dataset.done = "true";
</script><body></body>"""
"""A page of another origin that tries to expose."""


@asynccontextmanager
async def serving_text(page: str) -> AsyncGenerator[str]:
    """Serve one page at another port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(page)}\r\n"
        writer.write(f"{head}Connection: close\r\n\r\n{page}".encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncGenerator[Browser]:
    async with open_browser() as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tab(browser: Browser) -> Page:
    """Return the one that all tests share: to open one takes longer than to use it."""
    return await browser.new_page()


@pytest_asyncio.fixture(loop_scope="module")
async def page(tab: Page, site: Site) -> AsyncGenerator[Page]:
    """Show the page anew; a fault of its script fails the test."""
    faults: list[object] = []

    def note(fault: object) -> None:
        faults.append(fault)

    tab.on("pageerror", note)
    site.camera.delay = 0.0
    await site.until(lambda view: not view["late"] and not view["status_error"])
    await tab.goto(site.url)
    await tab.evaluate("localStorage.clear()")
    await tab.reload()
    await tab.evaluate(REMEMBER)
    await expect(tab.locator("#state")).to_have_text("Idle")
    yield tab
    tab.remove_listener("pageerror", note)
    await site.leave_idle()
    assert faults == []


async def order(page: Page, duration: float) -> None:
    await page.get_by_label("Seconds").fill(str(duration))
    await page.get_by_role("button", name="Expose").click()


async def told(page: Page, what: str) -> list[Any]:
    """Return all that the page has said so far."""
    return cast("list[Any]", await page.evaluate(f"window.told.{what}"))


async def expect_picture(page: Page, number: int) -> None:
    """Wait for a new picture, which has stars on it."""
    await expect(page.locator("#frames > li")).to_have_count(number)
    await expect(page.get_by_role("button", name="Expose")).to_be_enabled()
    seen = await page.locator("#picture").evaluate(RANGE_OF_PIXELS)
    assert seen["width"] == 64
    assert seen["range"] > 50


async def pictures(site: Site) -> int:
    return len((await site.view())["frames"])


async def have_picture(page: Page, site: Site) -> None:
    """Take the first picture, unless a test before has taken one."""
    if not await pictures(site):
        await order(page, 0.1)
    await expect(page.get_by_role("link", name="Download")).to_be_visible()


async def test_an_exposure_is_followed_to_its_picture(
    page: Page, site: Site, tmp_path: Path
) -> None:
    before = await pictures(site)
    await order(page, 0.6)
    await expect_picture(page, before + 1)
    fractions = [fraction for fraction in await told(page, "fractions") if fraction < 1]
    assert len(set(fractions)) >= 3
    assert fractions == sorted(fractions)
    assert "Exposing" in await told(page, "steps")
    await expect(page.locator("#caption")).to_contain_text(f"0.6 s light · 64 {TIMES} 48")

    async with page.expect_download() as download:
        await page.get_by_role("link", name="Download FITS").click()
    saved = tmp_path / (await download.value).suggested_filename
    await (await download.value).save_as(saved)
    assert saved.suffix == ".fits"
    assert fits.getdata(saved).shape == (48, 64)


async def test_an_exposure_is_aborted(page: Page, site: Site) -> None:
    await order(page, 30)
    await expect(page.locator("#left")).to_contain_text("left of 30 s")
    await expect(page).to_have_title(re.compile("^Exposing . % · Observatory"))
    await page.get_by_role("button", name="Abort").click()
    await expect(page.get_by_role("alert")).to_contain_text("The exposure was aborted.")
    await expect(page.get_by_role("button", name="Expose")).to_be_enabled()
    await expect(page.locator("#state")).to_have_text("Idle")
    assert site.camera.exposure is None


async def test_a_reload_finds_the_running_exposure(page: Page, site: Site) -> None:
    before = await pictures(site)
    await order(page, 2)
    await site.started()
    await page.reload()
    await expect(page.locator("#step")).to_contain_text("Exposing")
    await expect(page.locator("#left")).to_contain_text("left of 2 s")
    await expect(page.get_by_role("button", name="Expose")).to_be_disabled()
    await expect_picture(page, before + 1)


async def test_a_second_browser_sees_the_exposure_and_aborts_it(
    page: Page, browser: Browser, site: Site
) -> None:
    await order(page, 30)
    await site.started()
    other = await browser.new_page()
    await other.goto(site.url)
    await expect(other.locator("#left")).to_contain_text("left of 30 s")
    await other.get_by_role("button", name="Abort").click()
    await other.close()
    await expect(page.get_by_role("alert")).to_contain_text("The exposure was aborted.")
    assert site.camera.exposure is None


async def test_an_error_is_told_to_all_browsers(page: Page, browser: Browser, site: Site) -> None:
    other = await browser.new_page()
    await other.goto(site.url)
    site.camera.fail_exposure("the shutter is stuck", 0x5FF)
    await order(page, 0.1)
    await expect(other.get_by_role("alert")).to_contain_text("the shutter is stuck (error 0x5FF)")
    await other.close()


async def test_several_frames_are_taken_in_a_row(page: Page, site: Site) -> None:
    before = await pictures(site)
    await page.get_by_label("Frames", exact=True).fill("3")
    await order(page, 0.3)
    await expect_picture(page, min(before + 3, 24))
    steps = await told(page, "steps")
    assert any(step.startswith("Exposing") and step.endswith("of 3") for step in steps)
    first = page.locator("#frames button").last
    await first.click()
    await expect(first).to_have_attribute("aria-current", "true")


async def test_a_picture_is_measured(page: Page, site: Site) -> None:
    await order(page, 0.1)
    await expect_picture(page, await pictures(site) + 1)
    await expect(page.locator("#median")).to_contain_text("ADU")
    await expect(page.locator("#histogram polyline")).to_have_count(1)
    await expect(page.get_by_role("img", name=re.compile("Histogram from"))).to_be_visible()


async def test_a_part_of_the_picture_is_shown_pixel_by_pixel(page: Page, site: Site) -> None:
    await have_picture(page, site)
    await page.get_by_role("button", name="Zoom 1:1").click()
    pixels = page.locator("#pixels")
    await expect(pixels).to_be_visible()
    assert (
        await pixels.evaluate("async (it) => { await it.decode(); return it.naturalWidth; }") == 64
    )
    await page.keyboard.press("ArrowRight")
    await page.get_by_role("button", name="Zoom 1:1").click()
    await expect(pixels).to_be_hidden()


async def test_the_rig_is_driven(page: Page, site: Site) -> None:
    rig = page.locator("#rig")
    await rig.get_by_role("button", name="Ha", exact=True).click()
    await expect(rig.get_by_role("button", name="Ha", exact=True)).to_have_attribute(
        "aria-pressed", "true"
    )
    await rig.get_by_label("Position of the focuser").fill("5100")
    await rig.get_by_role("button", name="Move").click()
    await expect(rig).to_contain_text("5100")
    await rig.get_by_role("button", name="Close").click()
    await expect(rig).to_contain_text("closed")
    await rig.get_by_role("button", name="Open").click()
    await expect(rig).to_contain_text("open")
    await expect(rig).to_contain_text("safe")
    assert not (await site.device("focuser"))["busy"]


@pytest.mark.parametrize(
    ("width", "height"), [(320, 568), (360, 740), (768, 1024), (1280, 800), (1920, 1080)]
)
async def test_the_picture_and_its_download_are_above_the_fold(
    page: Page, site: Site, width: int, height: int
) -> None:
    await have_picture(page, site)
    await page.set_viewport_size({"width": width, "height": height})
    download = page.get_by_role("link", name="Download")
    await expect(download).to_be_in_viewport(ratio=1)
    await expect(page.locator("#caption")).to_be_in_viewport(ratio=1)
    await expect(page.locator("#sky")).to_be_in_viewport(ratio=1)
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    heights = await page.locator("header > *").evaluate_all(
        "(them) => them.map((each) => each.getBoundingClientRect().height)"
    )
    assert max(heights) < 50
    await page.set_viewport_size({"width": 1280, "height": 800})


@pytest.mark.skipif(AXE is None, reason="axe-core cannot be installed by npm")
@pytest.mark.parametrize("width", [360, 1280])
async def test_axe_finds_nothing_serious(page: Page, site: Site, width: int) -> None:
    await page.set_viewport_size({"width": width, "height": 800})
    await have_picture(page, site)
    night = page.get_by_role("button", name="Night")
    for _ in range(2):
        result = await page.evaluate(f"{AXE}; axe.run()")
        assert len(result["passes"]) > 20
        assert [each["id"] for each in result["violations"]] == []
        await night.click()
    await page.set_viewport_size({"width": 1280, "height": 800})


async def test_the_keyboard_is_enough(page: Page, site: Site) -> None:
    before = await pictures(site)
    await page.get_by_label("Seconds").focus()
    await page.keyboard.press("Control+A")
    await page.keyboard.type("0.1")
    await page.keyboard.press("Enter")
    await expect_picture(page, min(before + 1, 24))


async def test_a_foreign_page_cannot_expose(page: Page, browser: Browser, site: Site) -> None:
    starts = site.camera.count("startexposure")
    other = await browser.new_page()
    async with serving_text(FOREIGN.replace("URL", site.url)) as address:
        await other.goto(address)
        await expect(other.locator("body")).to_have_attribute("data-done", "true")
    await other.close()
    assert site.camera.count("startexposure") == starts
    assert (await site.view())["order"] is None


async def test_a_slow_server_is_told_of_and_waited_for(page: Page, site: Site) -> None:
    before = await pictures(site)
    site.camera.delay = 0.35
    alert = page.get_by_role("alert")
    await expect(alert).to_contain_text("The camera answers slowly.")
    await order(page, 0.8)
    await site.until(lambda view: view["late"] and view["progress"])
    site.camera.delay = 0.05
    await expect_picture(page, before + 1)
    site.camera.delay = 0.0
    assert "Exposing (estimated)" in await told(page, "steps")
    assert len(await told(page, "fractions")) >= 3
    await expect(alert).to_be_hidden()


async def test_a_camera_that_is_lost_in_mid_exposure_may_come_back(page: Page, site: Site) -> None:
    before = await pictures(site)
    await order(page, 1)
    await site.started()
    async with site.out_of_reach():
        await site.until(lambda view: view["status_error"] and view["progress"])
    await expect_picture(page, before + 1)
    await expect(page.get_by_role("alert")).to_be_hidden()
    assert "Exposing (estimated)" in await told(page, "steps")
    lost = "does not answer. The exposure may still be running."
    assert any(lost in alert for alert in await told(page, "alerts"))


async def test_a_camera_that_dies_in_mid_exposure_is_reported(
    page: Page, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alpaca_async._device.patience.LOSS_GRACE", 0.1)
    before = await pictures(site)
    await order(page, 0.4)
    await site.started()
    alert = page.get_by_role("alert")
    host = f"127.0.0.1:{site.simulator.port}"
    async with site.out_of_reach():
        await expect(page.locator("#running")).to_be_hidden()
        await expect(alert).to_contain_text(f"The camera at {host} does not answer. Reconnecting.")
    await expect(alert).to_contain_text("The exposure failed. The device is not connected")
    await expect(alert).to_contain_text("connection refused")

    await order(page, 0.1)
    await expect(alert).to_be_hidden()
    await expect_picture(page, before + 1)


async def test_errors_are_shown_with_their_number(page: Page, site: Site) -> None:
    alert = page.get_by_role("alert")
    site.camera.fail_exposure("the blades are bent", 0x5FE)  # not what another test may have left
    await page.get_by_role("button", name="0.1", exact=True).click()
    await page.get_by_role("button", name="Expose").click()
    await expect(alert).to_contain_text("the blades are bent (error 0x5FE)")
    await expect(alert).to_contain_text("The exposure failed. The device reports an error.")
    await site.ended()

    await order(page, 5000)
    await expect(alert).to_contain_text("The device does not accept this value.")


async def test_another_camera_can_be_chosen_in_red_light(page: Page) -> None:
    night = page.get_by_role("button", name="Night")
    await night.click()
    await page.reload()
    await expect(night).to_have_attribute("aria-pressed", "true")
    await expect(page.locator("html")).to_have_css("background-color", "rgb(0, 0, 0)")
    await night.click()

    await page.get_by_role("button", name="Guider").click()
    await page.get_by_label(f"2 {TIMES} 2").check(force=True)
    await order(page, 0.1)
    await expect(page.locator("#caption")).to_contain_text(f"32 {TIMES} 24")
    await page.get_by_role("button", name="Imager").click()
    await expect(page.locator("#caption")).not_to_contain_text(f"32 {TIMES} 24")


async def test_frames_of_an_earlier_night_are_shown(tab: Page, tmp_path: Path) -> None:
    async with open_site(small_camera(), tmp_path) as site:
        await site.expose(0.25)
        await site.expose()
    for path in [each async for each in anyio.Path(tmp_path).iterdir()]:
        await path.rename(path.with_name(f"camera0_20260102{path.name[16:]}"))
    async with open_site(small_camera(), tmp_path) as site:
        await tab.goto(site.url)
        await expect(tab.locator("#frames > li")).to_have_count(2)
        await expect(tab.locator("#caption")).to_contain_text("2026-01-02")
        await tab.locator("#frames button").last.click()
        await expect(tab.locator("#caption")).to_contain_text("0.25 s light")
        assert (await tab.locator("#picture").evaluate(RANGE_OF_PIXELS))["range"] > 50
        await expect(tab.get_by_role("link", name="Download")).to_be_visible()
        await expect(tab.locator("#measured")).to_be_hidden()


async def test_the_end_of_the_server_is_seen(tab: Page, tmp_path: Path) -> None:
    async with open_site(small_camera(), tmp_path) as site:
        await tab.goto(site.url)
        await expect(tab.locator("#link")).to_have_text("Live")
        await order(tab, 30)
        await expect(tab.locator("#running")).to_be_visible()
        host = site.url.removeprefix("http://")
    alert = tab.get_by_role("alert")
    await expect(alert).to_contain_text(f"The server of this page, {host}, does not answer.")
    await expect(tab.get_by_role("button", name="Expose")).to_be_disabled()
    await expect(tab.locator("#running")).to_be_hidden()
    await expect(tab).to_have_title("Observatory")
    assert "left" not in await tab.locator("#note").inner_text()
