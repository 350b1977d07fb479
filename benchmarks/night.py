"""A simulated night on a bad network: `python -m benchmarks.soak --night --frames 500`.

Cools, takes frames and warms up, while a proxy injects every fault that a client can recover from,
and the camera refuses, fails, hangs, stays busy after an abort, and loses its server now and then.
All frames have to come, each of them new; the cooler has to be off and the sensor warm at the end.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
from collections import Counter
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from alpaca_async import (
    AlpacaClient,
    CameraStates,
    CoolingPace,
    DriverException,
    InvalidOperationException,
    Reconnect,
    Timeouts,
)
from alpaca_async.testing import FaultProxy, SimulatedCamera, SimulatorServer, run_in_thread

from .loops import run

if TYPE_CHECKING:
    from alpaca_async import AsyncCamera, Image

NETWORK_FAULTS: Final[dict[str, float]] = {
    "reset_before": 0.004,
    "reset_after": 0.004,
    "reset_midway": 0.004,
    "close_before": 0.004,
    "close_after": 0.004,
    "lose_reply": 0.004,
    "silence": 0.002,
    "delay": 0.02,
    "slow": 0.01,
    "truncated_json": 0.004,
    "garbage": 0.004,
    "http_500_html": 0.004,
    "http_503_json": 0.004,
    "short_image": 0.01,
}
OPTIONS: Final[dict[str, dict[str, Any]]] = {
    "delay": {"seconds": 0.1},
    "slow": {"bytes_per_second": 1e5},
}
CAMERA_FAULTS: Final = {"refuses": 0.01, "fails": 0.01, "hangs": 0.01}
"""Probability for each exposure."""
RESTART: Final = 0.01
"""Probability for each frame that the server restarts after it."""
WARM: Final = 10.0
"""Degrees that a sensor has at least after it was warmed up."""
DOWN: Final = 0.4
FLUSH: Final = 0.3
"""Seconds for which the camera stays busy after an abort."""
LIMITS: Final = Timeouts(establish=1.0, reply=0.5, long=1.0, stall=1.0)
PACE: Final = CoolingPace(interval=0.05, settled=0.2, stalled=20.0)


class UnreliableCamera(SimulatedCamera):
    """A simulated camera whose exposures go wrong now and then, and that flushes after aborts."""

    def prepare(self, seed: int) -> None:
        self.injected: Counter[str] = Counter()
        self.accepted = 0
        self._busy_until = 0.0
        self._hanging = False
        self._random = random.Random(seed)  # noqa: S311 - not for security

    @property
    def state(self) -> CameraStates:
        """What the camera is doing, flushing included."""
        if self._hanging:
            return CameraStates.EXPOSING
        return CameraStates.READING if self.now < self._busy_until else super().state

    def get_image_ready(self) -> bool:
        """Return whether an image is ready; never while the camera hangs."""
        return super().get_image_ready() and not self._hanging

    def start_exposure(self, duration: float, light: bool) -> None:
        """Start, unless it is this exposure's fate to go wrong."""
        if self.state not in (CameraStates.IDLE, CameraStates.ERROR):
            raise InvalidOperationException(0x40B, "the camera is not idle")
        fate = self._draw()
        if fate == "refuses":
            raise DriverException(0x500, "no USB transfer")
        if fate == "fails":
            self.fail_exposure("the readout failed")
        super().start_exposure(duration, light)
        self.accepted += 1
        self._hanging = fate == "hangs"

    def abort_exposure(self) -> None:
        """Discard the exposure, and flush."""
        if self.state is not CameraStates.IDLE:
            self.injected["busy after an abort"] += 1
            self._busy_until = self.now + FLUSH
        self._hanging = False
        super().abort_exposure()

    def _draw(self) -> str:
        for fate, probability in CAMERA_FAULTS.items():
            if self._random.random() < probability:
                self.injected[fate] += 1
                return fate
        return ""


@dataclass(slots=True)
class NightReport:
    """What became of a night."""

    frames: int
    seconds: float = 0.0
    digests: list[str] = field(default_factory=list[str])
    repeated: int = 0
    injected: Counter[str] = field(default_factory=Counter[str])
    log_lines: int = 0
    cooler_on: bool = True
    temperature: float = 0.0

    def failures(self) -> list[str]:
        """Return a message for each check that failed."""
        return [
            message
            for message, failed in {
                f"{len(self.digests)} of {self.frames} frames": len(self.digests) != self.frames,
                "a frame came twice": len(set(self.digests)) != len(self.digests),
                "the cooler is on": self.cooler_on,
                f"the sensor has {self.temperature:.1f} degrees": self.temperature < WARM,
            }.items()
            if failed
        ]

    def __str__(self) -> str:
        faults = "\n".join(f"{count:8} {name}" for name, count in sorted(self.injected.items()))
        return (
            f"{faults}\n{len(self.digests):8} frames, all different: "
            f"{len(set(self.digests)) == len(self.digests)}\n{self.repeated:8} exposures repeated\n"
            f"{self.log_lines:8} lines in the log\n"
            f"cooler {'on' if self.cooler_on else 'off'} at {self.temperature:.1f} degrees"
            f" after {self.seconds:.0f} s"
        )


class _Counting(logging.Handler):
    """Counts the lines of the library's log."""

    lines = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Count a line."""
        self.lines += bool(record)


def night(frames: int, seed: int, loop: str) -> NightReport:
    """Run a night of `frames` frames of 0.2 s on the event loop of the module `loop`."""
    camera = UnreliableCamera(
        width=64,
        height=48,
        readout_time=0.02,
        connect_time=0.05,
        cooling_rate=20.0,
        settling_time=0.1,
    )
    camera.prepare(seed)
    report = NightReport(frames)
    handler = _Counting()
    logger = logging.getLogger("alpaca_async")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        with (
            run_in_thread(SimulatorServer([camera])) as server,
            run_in_thread(FaultProxy(server.address, seed=seed)) as proxy,
        ):
            for name, probability in NETWORK_FAULTS.items():
                proxy.add(name, probability=probability, **OPTIONS.get(name, {}))
            run(_Night(camera, proxy, report, seed).run(), loop)
            report.injected += Counter(event.fault for event in proxy.events)
    finally:
        logger.removeHandler(handler)
    report.injected += camera.injected
    report.log_lines = handler.lines
    report.cooler_on, report.temperature = camera.cooler.on, camera.cooler.temperature
    return report


class _Night:
    """One night with one camera."""

    def __init__(
        self, simulated: UnreliableCamera, proxy: FaultProxy, report: NightReport, seed: int
    ) -> None:
        self._simulated = simulated
        self._proxy = proxy
        self._report = report
        self._random = random.Random(f"{seed} restarts")  # noqa: S311 - not for security

    async def run(self) -> None:
        begun = monotonic()
        async with AlpacaClient(timeouts=LIMITS) as client:
            camera = client.camera(self._proxy.address)
            how = Reconnect(timeout=120.0, interval=0.1, attempts=20)
            await camera.reconnect(how)
            await camera.cool_to(-10.0, rate=600.0, pace=PACE)
            stream = camera.exposures(
                0.2, count=self._report.frames, ready_timeout=2.0, retries=20, reconnect=how
            )
            async with stream as images:
                async for image in images:
                    self._note(image)
                    if self._random.random() < RESTART:
                        await self._restart()
            await self._warm_up(camera, how)
        self._report.seconds = monotonic() - begun

    def _note(self, image: Image) -> None:
        self._report.digests.append(hashlib.sha256(image.data.tobytes()).hexdigest())
        if image.exposure is not None:
            self._report.repeated += len(image.exposure.failures)

    async def _restart(self) -> None:
        """Let the server be away for a moment; the camera is not connected afterwards."""
        self._report.injected["server restarts"] += 1
        rule = self._proxy.add("refuse")
        self._simulated.set_connected(False)
        await asyncio.sleep(DOWN)
        rule.remove()

    async def _warm_up(self, camera: AsyncCamera, how: Reconnect) -> None:
        await camera.reconnect(how)
        await camera.warm_up(20.0, rate=600.0, pace=PACE)
