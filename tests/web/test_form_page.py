"""The form, the cooler and the messages as a person sees them, in a real browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from playwright.async_api import expect

from alpaca_async._errors import ascom_error

from .browser import CHROMIUM, open_browser
from .conftest import open_site, small_camera

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from playwright.async_api import Browser, Page

    from .conftest import Site

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
    pytest.mark.browser,
]

TIMES = "\N{MULTIPLICATION SIGN}"
DOT = """(it) => {
    const { borderRadius, boxShadow } = getComputedStyle(it, "::before");
    return borderRadius + boxShadow;
}"""
"""What the dot of a camera looks like, but for its colour."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncGenerator[Browser]:
    async with open_browser() as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser, site: Site) -> AsyncGenerator[Page]:
    """Show the page in a browser that has not seen it before; a fault of its script fails."""
    faults: list[object] = []

    def note(fault: object) -> None:
        faults.append(fault)

    context = await browser.new_context(viewport={"width": 1280, "height": 800}, locale="en-US")
    opened = await context.new_page()
    opened.on("pageerror", note)
    await opened.goto(site.url)
    await ready(opened)
    yield opened
    await context.close()
    await site.leave_idle()
    assert faults == []


async def ready(page: Page) -> None:
    await expect(page.get_by_role("combobox", name="Filter")).to_be_visible()
    await expect(page.get_by_role("button", name="Expose")).to_be_enabled()


async def expose(page: Page, seconds: str) -> None:
    await page.get_by_label("Seconds").fill(seconds)
    await page.get_by_role("button", name="Expose").click()


async def test_a_comma_is_a_decimal_point(page: Page) -> None:
    await page.get_by_label("Seconds").fill("")
    await page.get_by_label("Seconds").press_sequentially("0,25")
    await page.get_by_role("button", name="Expose").click()
    await expect(page.locator("#caption")).to_contain_text("0.25 s light")


async def test_other_text_is_not_sent(page: Page, site: Site) -> None:
    starts = site.camera.count("startexposure")
    for wrong in ("two", "-1", "1,2,3", "", "90000"):
        await expose(page, wrong)
        assert not await page.get_by_label("Seconds").evaluate("(it) => it.checkValidity()")
    assert site.camera.count("startexposure") == starts


async def test_the_form_remembers_its_settings_for_each_camera(page: Page) -> None:
    await page.get_by_label("Seconds").fill("30")
    await page.get_by_label("Frames", exact=True).fill("3")
    await page.get_by_label("Dark").check(force=True)
    await page.get_by_label(f"2 {TIMES} 2").check(force=True)
    await page.get_by_role("combobox", name="Filter").select_option(label="Ha")
    await page.get_by_label("Gain").fill("120")
    await page.reload()
    await ready(page)
    await page.get_by_role("button", name="Guider").click()
    await expect(page.get_by_label("Seconds")).to_have_value("2")
    await page.get_by_role("button", name="Imager").click()
    await expect(page.get_by_label("Seconds")).to_have_value("30")
    await expect(page.get_by_label("Frames", exact=True)).to_have_value("3")
    await expect(page.get_by_label("Dark")).to_be_checked()
    await expect(page.get_by_label(f"2 {TIMES} 2")).to_be_checked()
    await expect(page.get_by_role("combobox", name="Filter")).to_have_value("4")
    await expect(page.get_by_label("Gain")).to_have_value("120")


async def test_another_browser_shows_the_order_that_runs(
    page: Page, browser: Browser, site: Site
) -> None:
    await page.get_by_label("Frames", exact=True).fill("2")
    await expose(page, "20")
    await site.started()
    other = await browser.new_page()
    await other.goto(site.url)
    await expect(other.get_by_label("Seconds")).to_have_value("20")
    await expect(other.get_by_label("Frames", exact=True)).to_have_value("2")
    await expect(other.locator("#note")).to_contain_text("left of 20 s")
    await other.close()
    await site.abort()


async def test_the_gain_is_set_before_the_exposure(page: Page, site: Site) -> None:
    await page.get_by_label("Gain").fill("42")
    await expose(page, "0.05")
    await expect(page.get_by_role("link", name="Download")).to_be_visible()
    await ready(page)
    assert site.camera.gain == 42


async def test_the_page_tells_where_the_frames_are(page: Page, site: Site) -> None:
    await expect(page.locator("#note")).to_have_text(f"Frames are saved in {site.folder}")


async def test_a_light_frame_behind_a_closed_cover_is_warned_of(page: Page, site: Site) -> None:
    advice = page.get_by_text("The cover is closed")
    await expect(advice).to_have_count(0)
    await page.get_by_role("button", name="Close").click()
    await expect(advice).to_be_visible()
    await page.get_by_label("Dark").check(force=True)
    await expect(advice).to_have_count(0)
    await page.get_by_role("button", name="Open").click()
    await expect(page.locator("#rig")).to_contain_text("open")
    await site.settled("covercalibrator")


async def test_the_camera_is_cooled_and_warmed_up(page: Page, site: Site) -> None:
    cooling = page.locator("#cooling")
    await expect(cooling.get_by_role("button", name="Hold")).to_be_disabled()
    await cooling.get_by_label("Set point").fill("-9,5")
    await cooling.get_by_label("per minute").fill("6")
    await cooling.get_by_role("button", name="Cool").click()
    await expect(cooling).to_contain_text("Cooling to \N{MINUS SIGN}9.5 °C: now")
    await page.reload()
    await expect(cooling).to_contain_text("Cooling to \N{MINUS SIGN}9.5 °C: now")
    await expect(cooling.get_by_label("Set point")).to_have_value("-9.5")
    await cooling.get_by_role("button", name="Hold").click()
    await expect(cooling).to_contain_text("Set to ")
    assert site.camera.cooler.on
    await cooling.get_by_label("per minute").fill("1000")
    await cooling.get_by_role("button", name="Warm up").click()
    await expect(cooling).to_contain_text("The cooler is off")
    assert not site.camera.cooler.on


async def test_a_cooler_that_was_turned_off_by_a_restart_is_warned_of(
    page: Page, site: Site
) -> None:
    cooling = page.locator("#cooling")
    await cooling.get_by_label("Set point").fill("12")
    await cooling.get_by_label("per minute").fill("1000")
    await cooling.get_by_role("button", name="Cool").click()
    await expect(cooling).to_contain_text("Set to 12.0 °C")
    site.camera.set_cooler_on(False)
    site.camera.set_connected(False)
    warning = cooling.get_by_text("The cooler is off, but 12.0 °C was asked for.")
    await expect(warning).to_have_attribute("data-level", "warn")
    await cooling.get_by_role("button", name="Cool").click()
    await expect(warning).to_have_count(0)
    await expect(cooling).to_contain_text("Set to 12.0 °C")
    await cooling.get_by_role("button", name="Warm up").click()
    await expect(page.locator("#cooling-state")).to_have_text("The cooler is off")


async def test_what_the_cooler_refuses_is_shown(page: Page, site: Site) -> None:
    site.camera.refuse("CoolerOn", error=ascom_error(0x500, "the fan is blocked"))
    cooling = page.locator("#cooling")
    await cooling.get_by_role("button", name="Cool").click()
    await expect(cooling).to_contain_text("The device reports an error.")
    await expect(cooling).to_contain_text("the fan is blocked")


async def test_a_camera_that_another_program_uses_is_busy(page: Page, site: Site) -> None:
    await site.expose()  # after an abort a refusal would be waited out
    site.camera.start_exposure(30, light=True)
    await expose(page, "0.1")
    alert = page.get_by_role("alert")
    await expect(alert).to_contain_text("Another program is exposing with this camera.")
    await page.get_by_role("button", name="Abort").click()
    await ready(page)
    assert site.camera.exposure is None


async def test_a_restarted_camera_has_lost_the_frame(
    page: Page, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await expose(page, "30")
    await site.until(lambda view: view["progress"])
    monkeypatch.setattr(site.camera, "connect_time", 2.0)
    site.camera.set_connected(False)
    alert = page.get_by_role("alert")
    await expect(alert).to_contain_text("The camera was restarted; the frame is lost.")
    await site.until(lambda view: site.camera.connected and view["status"]["camera_state"] == 0)


async def test_a_frame_that_is_saved_elsewhere_is_told_where(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    async with open_site(small_camera(), folder) as site:
        page = await browser.new_page()
        await page.goto(site.url)
        await expose(page, "0.3")
        await site.started()
        folder.rename(tmp_path / "away")
        alert = page.get_by_role("alert")
        await expect(alert).to_contain_text("A frame cannot be saved. It is kept in memory")
        await page.get_by_role("button", name="Abort").click()
        await expect(alert).to_contain_text(f"Saved in another folder: {tmp_path}/alpaca-async-")
        await expect(alert).not_to_contain_text("cannot")
        await page.close()


@pytest.mark.parametrize("width", [360, 1280])
async def test_an_alert_moves_no_button_and_can_be_dismissed(
    page: Page, site: Site, width: int
) -> None:
    await page.set_viewport_size({"width": width, "height": 800})
    await expose(page, "30")
    await site.started()
    button = page.get_by_role("button", name="Abort")
    before = await button.bounding_box()
    await site.abort()
    alert = page.get_by_role("alert")
    await expect(alert).to_contain_text("The exposure was aborted.")
    await expect(alert).to_be_in_viewport()
    assert await button.bounding_box() == before
    await page.get_by_role("button", name="Dismiss").click()
    await expect(alert).to_be_hidden()


async def test_on_a_phone_the_time_left_and_the_zoomed_picture_are_in_sight(
    page: Page, site: Site
) -> None:
    await site.expose()
    await page.set_viewport_size({"width": 360, "height": 740})
    await expose(page, "30")
    note = page.locator("#note")
    await expect(note).to_contain_text("left of 30 s")
    await expect(note).to_be_in_viewport(ratio=1)
    await page.get_by_role("button", name="Zoom 1:1").click()
    await expect(page.locator("#sky")).to_be_in_viewport(ratio=1)
    await site.abort()


async def test_without_colour_the_dots_of_the_cameras_differ(page: Page, site: Site) -> None:
    await site.expose()  # a failure of the test before would still be shown
    dot = page.get_by_role("button", name="Imager")
    await expect(dot).to_have_attribute("data-level", "good")
    await page.get_by_role("button", name="Night").click()
    idle = await dot.evaluate(DOT)
    await expose(page, "30")
    await expect(dot).to_have_attribute("data-level", "busy")
    busy = await dot.evaluate(DOT)
    await site.abort()
    async with site.out_of_reach():
        await expect(dot).to_have_attribute("data-level", "bad")
        bad = await dot.evaluate(DOT)
    assert len({idle, busy, bad}) == 3


async def test_a_camera_that_is_back_is_not_marked_as_lost(
    page: Page, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alpaca_async._device.patience.LOSS_GRACE", 0.1)
    tab = page.get_by_role("button", name="Imager")
    await expose(page, "0.4")
    await site.started()
    async with site.out_of_reach():
        await site.ended()
        await expect(tab).to_have_attribute("data-level", "bad")
    await ready(page)
    await expect(page.get_by_role("alert")).to_contain_text("The exposure failed.")
    await expect(tab).to_have_attribute("data-level", "warn")


async def test_a_page_whose_token_is_not_valid_any_more_says_what_to_do(
    browser: Browser, tmp_path: Path
) -> None:
    async with open_site(small_camera(), tmp_path) as site:
        port = int(site.url.rpartition(":")[2])
        page = await browser.new_page()
        await page.goto(site.url)
        await expect(page.locator("#link")).to_have_text("Live")
    async with open_site(small_camera(), tmp_path, token="secret", port=port):  # noqa: S106 - a test
        alert = page.get_by_role("alert")
        await expect(alert).to_contain_text("Open the address that alpaca-async web printed")
        await page.close()


async def test_a_browser_without_the_token_is_told_what_to_do(
    browser: Browser, tmp_path: Path
) -> None:
    async with open_site(small_camera(), tmp_path, token="secret") as site:  # noqa: S106 - a test
        page = await browser.new_page()
        await page.goto(site.url)
        await expect(page.get_by_role("main")).to_contain_text("Open the address")
        await expect(page.locator("body")).to_have_css("display", "grid")
        await page.close()
