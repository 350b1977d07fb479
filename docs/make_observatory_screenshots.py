"""Take the screenshots of the page for the documentation.

    python -m docs.make_observatory_screenshots FOLDER

needs Chromium, and writes `observatory-*.webp` into the folder.
"""

import asyncio
import io
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import PIL.Image
from anyio import to_thread
from playwright.async_api import Page, expect

from alpaca_async import CameraAddress
from alpaca_async.testing import SimulatedCamera, SimulatedRig, SimulatorServer
from alpaca_async.web import Pace, create_app
from alpaca_async.web.serving import serving
from tests.web.browser import open_browser

_WIDE: Final = (1280, 800)
_PHONE: Final = (420, 860)


async def main(folder: Path) -> None:
    """Use the page with two simulated cameras, and take the screenshots."""
    cameras = _cameras()
    async with AsyncExitStack() as stack:
        frames = stack.enter_context(tempfile.TemporaryDirectory())
        simulators = SimulatorServer(SimulatedRig(cameras).devices)
        await stack.enter_async_context(simulators)
        addresses = [CameraAddress(simulators.address, number) for number in range(len(cameras))]
        app = create_app(addresses, Path(frames), pace=Pace(interval=0.3, retry=0.3))
        port = await stack.enter_async_context(serving(app))
        browser = await stack.enter_async_context(open_browser())
        page = await browser.new_page(
            viewport={"width": _WIDE[0], "height": _WIDE[1]},
            bypass_csp=True,  # `wait_for_function` evaluates text in the page
        )
        await page.goto(f"http://127.0.0.1:{port}/")

        await expect(page.locator("#state")).to_have_text("Idle")
        for seconds in (1, 4, 8):
            await _expose(page, seconds)
            await expect(page.locator("#expose")).to_be_enabled(timeout=20_000)
        await page.wait_for_timeout(500)
        await _screenshot(page, folder, "picture")

        await _expose(page, 10)
        await page.wait_for_function("document.getElementById('progress').value > 0.6")
        await _screenshot(page, folder, "exposing")
        await page.click("#night")
        await _screenshot(page, folder, "night")
        await page.click("#night")
        await expect(page.locator("#expose")).to_be_enabled(timeout=20_000)

        await page.set_viewport_size({"width": _PHONE[0], "height": _PHONE[1]})
        await _screenshot(page, folder, "phone")
        await page.set_viewport_size({"width": _WIDE[0], "height": _WIDE[1]})

        for seconds, count, name in ((1, 2, "L"), (8, 10, "Ha"), (300, 20, "R")):
            await _add_step(page, seconds, count, name)
        await page.click("#start")
        await expect(page.locator("#step")).to_contain_text("2 of 10", timeout=20_000)
        await page.wait_for_function("document.getElementById('progress').value > 0.4")
        await page.locator("#sequence").scroll_into_view_if_needed()
        await _screenshot(page, folder, "sequence")
        await page.click("#abort")
        await page.click("#clear")
        await expect(page.locator("#abort")).to_be_disabled()
        await page.evaluate("scrollTo(0, 0)")

        await _expose(page, 60)
        await page.wait_for_function("document.getElementById('progress').value > 0.1")
        await simulators.__aexit__(None, None, None)
        await expect(page.locator("#alert")).to_contain_text("does not answer")
        await expect(page.locator("#last-update")).to_have_text("2 s ago")
        await _screenshot(page, folder, "error")
        await page.close()


def _cameras() -> list[SimulatedCamera]:
    """Return a cooled camera for pictures and a small one for guiding."""
    imager = SimulatedCamera(
        name="Main imager",
        sensor_name="SIM1280C",
        initially_connected=True,
        cooling_rate=20.0,
        settling_time=0.1,
        seed=11,
    )
    imager.cooler.on = True
    imager.cooler.set_point = -10.0
    guider = SimulatedCamera(name="Guide camera", width=640, height=480, seed=3, has_cooler=False)
    return [imager, guider]


async def _add_step(page: Page, seconds: float, count: int, filter_name: str) -> None:
    await page.fill("#duration", str(seconds))
    await page.fill("#count", str(count))
    await page.select_option("#filter", label=filter_name)
    await page.click("#add")


async def _expose(page: Page, seconds: float) -> None:
    await page.fill("#count", "1")
    await page.fill("#duration", str(seconds))
    await page.click("#expose")
    await expect(page.locator("#abort")).to_be_enabled()


async def _screenshot(page: Page, folder: Path, name: str) -> None:
    shot = await page.screenshot()
    await to_thread.run_sync(_save, shot, folder / f"observatory-{name}.webp")


def _save(shot: bytes, path: Path) -> None:
    PIL.Image.open(io.BytesIO(shot)).save(path, quality=80, method=6)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
