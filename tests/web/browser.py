"""Opens pages in a real browser."""

from __future__ import annotations

import os
import shutil
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from playwright.async_api import async_playwright

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from playwright.async_api import Browser

CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-browser")
"""The path of the browser; None if it is not installed."""


def _find_axe() -> str | None:
    """Return the script of axe-core, if `ALPACA_AXE` names it; `.ci/run` gets it from npm."""
    path = os.environ.get("ALPACA_AXE")
    return Path(path).read_text(encoding="utf-8") if path else None


AXE: Final = _find_axe()
"""The script that checks a page for people with disabilities; None if it is not installed."""

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
