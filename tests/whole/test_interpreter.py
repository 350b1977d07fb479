"""Measures the import time, and checks that Python's strict mode reports no warning."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parents[2]
EXTRAS = ("PIL", "astropy", "pytest", "rich", "starlette", "typer", "uvicorn")

COST = f"""
import sys, time
begun = time.process_time()
import httpx, numpy
yardstick = time.process_time() - begun
before = set(sys.modules)
begun = time.process_time()
import alpaca_async
print((time.process_time() - begun) / yardstick)
print(*(name for name in {EXTRAS} if name in sys.modules and name not in before))
"""
MAX_COST = 1.5
"""Of the time that numpy and httpx take; an extra alone would take more."""

STRICT = """
import asyncio, sys
import alpaca_async, alpaca_async.fits, alpaca_async.preview
from alpaca_async.cli import main
from alpaca_async.testing import SimulatedCamera, SimulatorServer

async def night(folder):
    asyncio.get_running_loop().slow_callback_duration = 10.0
    async with SimulatorServer([SimulatedCamera(width=64, height=48)]) as server:
        async with alpaca_async.AsyncCamera(server.address) as camera:
            await camera.connect()
            try:
                async with asyncio.timeout(0.1):
                    await camera.expose(60)
            except TimeoutError:
                pass
            image = await camera.expose(0.05)
            await image.save_fits(folder + "/a.fits")
            await image.save_preview(folder + "/a.png")

asyncio.run(night(sys.argv[1]))
"""


def run(*arguments: str, flags: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """Run Python with cached byte code, as for an installed package."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, *flags, "-c", *arguments],
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=True,
        timeout=50,
    )


def test_the_core_is_imported_quickly_and_without_extras() -> None:
    """Measured by the CPU time of numpy and httpx, so on any machine; the best of several runs."""
    costs: list[float] = []
    while min(costs, default=math.inf) >= MAX_COST and len(costs) < 10:
        cost, extras = run(COST).stdout.split("\n")[:2]
        assert extras == ""
        costs.append(float(cost))
    assert min(costs) < MAX_COST


def test_strict_mode_reports_no_warning(tmp_path: Path) -> None:
    """No warning, and nothing that was not closed or awaited."""
    finished = run(STRICT, str(tmp_path), flags=["-X", "dev", "-W", "error"])
    assert finished.stdout + finished.stderr == ""
    assert {path.name for path in tmp_path.iterdir()} == {"a.fits", "a.png"}
