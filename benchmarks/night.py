"""A simulated night on a bad network: `python -m benchmarks.soak --night --frames 500`.

Cools, takes frames and warms up, while a proxy injects every fault that a client can recover from,
and the camera refuses, fails, hangs, stays busy after an abort, and loses its server now and then.
All frames have to come, each of them new; the cooler has to be off and the sensor warm at the end.
The library's log has to contain every injected fault that a client can notice: see `night_log`.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
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
from .night_log import Findings, NightLog

if TYPE_CHECKING:
    from collections.abc import Mapping

    from alpaca_async import AsyncCamera, Exposure, Image

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
        self.faults: list[tuple[str, int]] = []
        """Each fault of an exposure, with the client's transaction id of its StartExposure."""
        self.flushes = 0
        """How often the camera was busy after an abort."""
        self.accepted = 0
        self._busy_until = 0.0
        self._hanging = False
        self._start_number = 0
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

    def record(self, verb: str, member: str, parameters: Mapping[str, str]) -> None:
        """Remember the transaction id of a StartExposure."""
        super().record(verb, member, parameters)
        if member == "startexposure":
            self._start_number = int(parameters["ClientTransactionID"])

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
            self.flushes += 1
            self._busy_until = self.now + FLUSH
        self._hanging = False
        super().abort_exposure()

    def _draw(self) -> str:
        for fate, probability in CAMERA_FAULTS.items():
            if self._random.random() < probability:
                self.faults.append((fate, self._start_number))
                return fate
        return ""


@dataclass(slots=True)
class NightReport:
    """What became of a night."""

    frames: int
    seconds: float = 0.0
    digests: list[str] = field(default_factory=list[str])
    repeated: int = 0
    faults: Findings = field(default_factory=Findings)
    waited_out: int = 0
    """How often the camera was busy after an abort: the library waits, and nothing fails."""
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
                f"not in the log: {dict(self.faults.missing)}": self.faults.missing.total() > 0,
            }.items()
            if failed
        ]

    def __str__(self) -> str:
        found = self.faults
        kinds = sorted(found.logged | found.unnoticeable | found.missing)
        faults = "\n".join(
            f"{found.logged[kind]:8} {found.unnoticeable[kind]:14} {found.missing[kind]:8} {kind}"
            for kind in kinds
        )
        return (
            f"  logged   unnoticeable  missing fault\n{faults}\n"
            f"{self.waited_out:8} times busy after an abort\n"
            f"{len(self.digests):8} frames, {len(set(self.digests))} of them different\n"
            f"{self.repeated:8} exposures repeated\n"
            f"cooler {'on' if self.cooler_on else 'off'} at {self.temperature:.1f} degrees"
            f" after {self.seconds:.0f} s"
        )


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
    log = NightLog()
    logger = logging.getLogger("alpaca_async")
    level = logger.level
    logger.addHandler(log)
    logger.setLevel(logging.DEBUG)
    try:
        with (
            run_in_thread(SimulatorServer([camera])) as server,
            run_in_thread(FaultProxy(server.address, seed=seed)) as proxy,
        ):
            for name, probability in NETWORK_FAULTS.items():
                proxy.add(name, probability=probability, **OPTIONS.get(name, {}))
            run(_Night(camera, proxy, report, seed, log).run(), loop)
            log.find_network_faults(proxy.events, report.faults)
    finally:
        logger.removeHandler(log)
        logger.setLevel(level)
    log.find_camera_faults(camera.faults, report.faults)
    report.waited_out = camera.flushes
    report.cooler_on, report.temperature = camera.cooler.on, camera.cooler.temperature
    return report


class _Night:
    """One night with one camera."""

    def __init__(
        self,
        simulated: UnreliableCamera,
        proxy: FaultProxy,
        report: NightReport,
        seed: int,
        log: NightLog,
    ) -> None:
        self._log = log
        self._restart_line: int | None = None
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
            self._note_restart()
        self._report.seconds = monotonic() - begun

    def _note_restart(self) -> None:
        """Look in the log for the restart after the previous frame, if there was one."""
        if self._restart_line is not None:
            logged = self._log.has_failure(self._restart_line, len(self._log.lines))
            self._report.faults.add("server restart", logged=logged)
            self._restart_line = None

    def _note(self, image: Image[Exposure]) -> None:
        self._note_restart()
        self._report.digests.append(hashlib.sha256(image.data.tobytes()).hexdigest())
        self._report.repeated += len(image.exposure.failures)

    async def _restart(self) -> None:
        """Let the server be away for a moment; the camera is not connected afterwards."""
        self._restart_line = len(self._log.lines)
        rule = self._proxy.add("refuse")
        self._simulated.set_connected(False)
        await asyncio.sleep(DOWN)
        rule.remove()

    async def _warm_up(self, camera: AsyncCamera, how: Reconnect) -> None:
        await camera.reconnect(how)
        await camera.warm_up(20.0, rate=600.0, pace=PACE)
