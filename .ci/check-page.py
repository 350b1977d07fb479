"""Take a picture with the page of an installed wheel: `python check-page.py [LOOP]`.

Outside of the tree, with the extras `all` and `web`, playwright and Chromium.
"""

# ruff: noqa: INP001, S101, S603 - a script that asserts, and starts the command

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

import alpaca_async

COMMAND = """
import asyncio, importlib, sys
if loop := sys.argv.pop(1):
    asyncio.set_event_loop_policy(importlib.import_module(loop).EventLoopPolicy())
from alpaca_async.cli import main
main()
"""


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def take_picture(url: str) -> None:
    """Expose for two seconds, and wait for the picture."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        page = browser.new_page()
        page.goto(url)
        expect(page.locator("#state")).to_have_text("Idle", timeout=20_000)
        page.get_by_role("button", name="Expose").click()
        expect(page.locator("#picture")).to_be_visible(timeout=30_000)
        loaded = "(picture) => picture.decode().then(() => picture.naturalWidth)"
        assert page.locator("#picture").evaluate(loaded) == 1280  # noqa: PLR2004
        browser.close()


def main(loop: str) -> None:
    """Start the command, and use its page."""
    assert "site-packages" in Path(alpaca_async.__file__).parts, alpaca_async.__file__
    with tempfile.TemporaryDirectory() as folder:
        options = ["web", "sim", "--port", "0", "--no-open", "--folder", folder]
        with subprocess.Popen(
            [sys.executable, "-c", COMMAND, loop, *options], stdout=subprocess.PIPE, text=True
        ) as process:
            try:
                assert process.stdout is not None
                take_picture(process.stdout.readline().partition(" at ")[2].partition(";")[0])
                assert len(list(Path(folder).glob("*.fits"))) == 1
            finally:
                process.terminate()


if CHROMIUM is None:
    sys.stdout.write("Chromium is not installed: the page is not tried\n")
    sys.exit()
main(sys.argv[1] if len(sys.argv) > 1 else "")
sys.stdout.write("the page of the wheel takes a picture\n")
