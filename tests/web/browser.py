"""Opens pages in a real browser."""

from __future__ import annotations

import shutil
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from playwright.async_api import async_playwright

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from playwright.async_api import Browser

CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-browser")
"""The path of the browser; None if it is not installed."""

_FLAGS: Final = ("--disable-component-update", "--disable-quic", "--disable-sync")
"""These stop Chromium from connecting to the servers of its vendor."""


@asynccontextmanager
async def open_browser() -> AsyncGenerator[Browser]:
    """Start Chromium without a window."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)
        try:
            yield browser
        finally:
            await browser.close()
