"""The list of steps as a person sees it, in a real browser."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from playwright.async_api import expect

from .browser import AXE, CHROMIUM, open_browser

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from playwright.async_api import Browser, Page

    from .conftest import Site

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
    pytest.mark.browser,
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncGenerator[Browser]:
    async with open_browser() as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser, site: Site) -> AsyncGenerator[Page]:
    """Show the page in a browser without a list of its own; a fault of its script fails."""
    faults: list[object] = []

    def note(fault: object) -> None:
        faults.append(fault)

    context = await browser.new_context(viewport={"width": 1280, "height": 800})
    opened = await context.new_page()
    opened.on("pageerror", note)
    await opened.goto(site.url)
    await expect(opened.get_by_role("combobox", name="Filter")).to_be_visible()
    await expect(opened.get_by_role("button", name="Expose")).to_be_enabled()
    yield opened
    await context.close()
    await site.leave_idle()
    assert faults == []


async def add(page: Page, duration: float, count: int = 1, filter_name: str | None = None) -> None:
    await page.get_by_label("Seconds").fill(str(duration))
    await page.get_by_label("Frames", exact=True).fill(str(count))
    if filter_name is not None:
        await page.get_by_role("combobox", name="Filter").select_option(label=filter_name)
    await page.get_by_role("button", name="Add to sequence").click()


def frames(count: int, seconds: float, *more: str) -> str:
    """Return how the page shows a step."""
    return " · ".join([f"{count} \N{MULTIPLICATION SIGN} {seconds:g} s", *more])


async def start(page: Page) -> None:
    await page.get_by_role("button", name="Start sequence").click()


async def test_a_sequence_is_put_together_and_followed(page: Page, site: Site) -> None:
    steps = page.locator("#steps > li")
    await expect(page.locator("#sequence")).to_be_hidden()
    await page.get_by_label("Dark").check(force=True)
    await add(page, 0.3)
    await page.get_by_label("Light").check(force=True)
    await add(page, 0.4, 2, "Ha")
    await add(page, 30, 5)
    await expect(steps).to_contain_text(
        [frames(1, 0.3, "dark"), frames(2, 0.4, "Ha"), frames(5, 30, "Ha")]
    )
    await expect(page.locator("#total")).to_have_text("8 frames, 2 min 32 s of exposure")

    await start(page)
    await expect(page.locator("#step")).to_have_text("Exposing 1 of 5, step 3 of 3")
    await expect(page.locator("#steps small")).to_have_text(["done", "done", "1 of 5"])
    await expect(steps.nth(2)).to_have_attribute("aria-current", "step")
    await expect(page.locator("#caption")).to_contain_text("0.4 s light")
    await expect(page.locator("#caption")).to_contain_text("Ha")
    await page.get_by_role("button", name="Abort").click()
    await expect(page.get_by_role("alert")).to_contain_text("was aborted. Step 3, frame 1.")
    assert (await site.view())["saved"] == 3


async def test_a_reload_and_another_browser_see_the_running_sequence(
    page: Page, browser: Browser
) -> None:
    await add(page, 0.1)
    await add(page, 30, 5)
    await start(page)
    await expect(page.locator("#step")).to_contain_text("step 2 of 2")
    await page.reload()
    other = await browser.new_page()
    await other.goto(page.url)
    for each in (page, other):
        current = each.locator("#steps > li[aria-current=step]")
        await expect(current).to_contain_text(frames(5, 30))
        await expect(current).to_contain_text("1 of 5")
        await expect(each.locator("#left")).to_contain_text("left of 30 s")
        await expect(each.get_by_role("button", name="Start sequence")).to_be_disabled()
        await expect(each.get_by_role("button", name="Add to sequence")).to_be_disabled()
        await expect(each.get_by_role("button", name="Remove step 1")).to_be_hidden()

    await other.get_by_role("button", name="Abort").click()
    await expect(page.get_by_role("alert")).to_contain_text("was aborted. Step 2, frame 1.")
    await expect(other.locator("#sequence")).to_be_hidden()
    await other.close()
    # The list of the browser in which it was put together is still there, to be started again.
    await expect(page.locator("#steps > li")).to_have_count(2)


async def test_a_frame_that_fails_is_told_while_the_others_follow(page: Page, site: Site) -> None:
    await add(page, 0.1, 2)
    await add(page, 30)
    site.camera.refuse("StartExposure", nth=2)
    await start(page)
    alert = page.get_by_role("alert")
    await expect(alert).to_contain_text("A frame failed; the others follow.")
    await expect(alert).to_contain_text("Step 1, frame 2.")
    await expect(page.locator("#step")).to_contain_text("step 2 of 2")
    await page.get_by_role("button", name="Abort").click()
    await expect(alert).to_contain_text("The exposure was aborted.")


async def test_the_list_is_edited_with_the_keyboard(page: Page) -> None:
    for seconds in (1, 2, 3):
        await page.get_by_label("Seconds").fill(str(seconds))
        await page.get_by_role("button", name="Add to sequence").focus()
        await page.keyboard.press("Enter")
    steps = page.locator("#steps > li")
    await page.get_by_role("button", name="Move step 3 up").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name="Move step 2 up")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name="Remove step 1")).to_be_focused()
    await expect(steps).to_contain_text([frames(1, 3), frames(1, 1), frames(1, 2)])
    await page.keyboard.press("Enter")
    await expect(steps).to_contain_text([frames(1, 1), frames(1, 2)])
    await expect(page.get_by_role("button", name="Remove step 1")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Enter")
    await expect(page.locator("#sequence")).to_be_hidden()
    await expect(page.get_by_role("button", name="Add to sequence")).to_be_focused()


async def test_one_exposure_leaves_the_list_alone(page: Page, site: Site) -> None:
    await add(page, 5, 7)
    await page.reload()
    await expect(page.get_by_label("Seconds")).to_have_value("5")
    await page.get_by_label("Frames", exact=True).fill("1")
    await page.get_by_label("Seconds").fill("0.1")
    await page.keyboard.press("Enter")
    await expect(page.locator("#caption")).to_contain_text("0.1 s light")
    await expect(page.locator("#steps > li")).to_contain_text([frames(7, 5)])
    assert (await site.ended())["saved"] == 1
    await page.get_by_role("button", name="Clear").click()
    await expect(page.locator("#sequence")).to_be_hidden()


async def test_lists_belong_to_their_cameras(page: Page) -> None:
    await add(page, 5)
    await page.get_by_role("button", name="Guider").click()
    await expect(page.locator("#sequence")).to_be_hidden()
    await page.get_by_role("button", name="Imager").click()
    await expect(page.locator("#steps > li")).to_have_count(1)


async def test_settings_that_are_not_valid_are_not_added(page: Page) -> None:
    await add(page, -1)
    await expect(page.locator("#sequence")).to_be_hidden()
    await page.get_by_label("Seconds").fill("1")
    await page.get_by_label("Frames", exact=True).fill("0")
    await page.get_by_role("button", name="Add to sequence").click()
    await expect(page.locator("#sequence")).to_be_hidden()


async def test_an_impossible_step_is_told(page: Page) -> None:
    await add(page, 0.1)
    await add(page, 5000)
    await start(page)
    alert = page.get_by_role("alert")
    await expect(alert).to_contain_text("The device does not accept this value.")
    await expect(alert).to_contain_text("step 2: 5000 s is above ExposureMax")


@pytest.mark.parametrize("width", [360, 1280])
async def test_an_error_is_in_sight_of_the_button_that_was_pressed(
    page: Page, site: Site, width: int
) -> None:
    await site.order(30)
    await site.started()
    await site.abort()
    alert = page.get_by_role("alert")
    await expect(alert).to_contain_text("The exposure was aborted.")  # lower than what follows
    await page.set_viewport_size({"width": width, "height": 600})
    for _ in range(5):
        await add(page, 5000)
    button = page.get_by_role("button", name="Start sequence")
    await button.evaluate("(it) => it.scrollIntoView({ block: 'end' })")
    before = await button.bounding_box()
    await start(page)
    await expect(alert).to_contain_text("step 1: 5000 s is above ExposureMax")
    await expect(alert).to_be_in_viewport(ratio=1)
    await expect(button).to_be_enabled()  # the form says again where the frames are
    assert await button.bounding_box() == before


async def test_the_only_step_of_a_sequence_is_marked(page: Page) -> None:
    await add(page, 30, 5, "Ha")
    await start(page)
    current = page.locator("#steps > li[aria-current=step]")
    await expect(current).to_contain_text("1 of 5")
    await expect(page.get_by_role("button", name="Clear")).to_be_disabled()
    await page.reload()
    await expect(current).to_contain_text("1 of 5")
    await page.get_by_role("button", name="Abort").click()
    await expect(current).to_have_count(0)
    await expect(page.locator("#steps > li")).to_have_count(1)


async def test_a_list_that_is_spoiled_is_forgotten(page: Page) -> None:
    await page.evaluate("localStorage.setItem('sequences', '{')")
    await page.reload()
    await expect(page.get_by_role("button", name="Expose")).to_be_enabled()
    await expect(page.locator("#sequence")).to_be_hidden()


@pytest.mark.parametrize("width", [320, 360, 768, 1280, 1920])
async def test_the_list_fits_into_the_page(page: Page, width: int) -> None:
    await page.set_viewport_size({"width": width, "height": 800})
    await add(page, 86399.123, 1000, "Ha")
    await add(page, 0.0001, 1, "L")
    await page.get_by_role("button", name="Remove step 2").scroll_into_view_if_needed()
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    box = await page.locator("#sequence").bounding_box()
    assert box is not None
    for tool in await page.locator("#sequence button:visible").all():
        place = await tool.bounding_box()
        assert place is not None
        assert box["x"] <= place["x"]
        assert place["x"] + place["width"] <= box["x"] + box["width"]


@pytest.mark.skipif(AXE is None, reason="axe-core cannot be installed by npm")
@pytest.mark.parametrize("width", [360, 1280])
async def test_axe_finds_nothing_serious_in_the_list(page: Page, width: int) -> None:
    await page.set_viewport_size({"width": width, "height": 800})
    await add(page, 30, 2, "R")
    await add(page, 30, 2)
    night = page.get_by_role("button", name="Night")
    for action in (None, "Start sequence"):
        if action is not None:
            await start(page)
            await expect(page.locator("#step")).to_contain_text(re.compile("1 of 2, step 1 of 2"))
        for _ in range(2):
            result = await page.evaluate(f"{AXE}; axe.run()")
            assert [each["id"] for each in result["violations"]] == []
            await night.click()
    await page.get_by_role("button", name="Abort").click()
    await expect(page.get_by_role("button", name="Expose")).to_be_enabled()
