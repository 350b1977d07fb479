"""Cooling down and warming up, at once or slowly, until the temperature is where it should be."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from alpaca_async._device.cached_facts import optional
from alpaca_async._device.icamera import ICameraV4
from alpaca_async._errors import AlpacaError, OperationFailed, OperationTimeout
from alpaca_async._protocol.values import check_duration, check_float, check_limit
from alpaca_async._tasks import finish

_HOLD_LIMIT: Final = 5.0
_FULL_POWER: Final = 99.0
"""Percent; drivers round."""
_CLOSER: Final = 0.1
"""Degrees that count as an approach: sensors are noisy, and many tell tenths."""
_WARM: Final = 20.0
"""°C, for cameras that do not tell the temperature of their heat sinks."""

logger = logging.getLogger("alpaca_async")


@dataclass(frozen=True, slots=True, kw_only=True)
class CoolingProgress:
    """A moment of cooling down, or of warming up."""

    temperature: float
    """°C, of the sensor."""
    set_point: float
    """°C, of this moment: with a rate it moves."""
    power: float | None
    """Percent; None where the camera does not tell."""
    fraction: float
    """Of the way from where it began, 0 to 1."""


CoolingCallback: TypeAlias = Callable[[CoolingProgress], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class CoolingPace:
    """How patiently a cooler is followed, in seconds."""

    interval: float = 2.0
    """Between two looks at the camera."""
    settled: float = 30.0
    """For how long a temperature must stay to count as stable."""
    stalled: float = 180.0
    """For how long a cooler at full power may come no closer."""

    def __post_init__(self) -> None:
        for name in ("interval", "settled", "stalled"):
            check_duration(name, getattr(self, name))


_PACE: Final = CoolingPace()


class Cooling(ICameraV4):
    """A camera whose cooler can be followed until it has done its work."""

    async def cool_to(
        self,
        temperature: float,
        *,
        rate: float | None = None,
        tolerance: float = 0.5,
        timeout: float | None = None,
        progress: CoolingCallback | None = None,
        pace: CoolingPace = _PACE,
    ) -> None:
        """Turn the cooler on, and wait until `temperature`, in °C, is reached and stable.

        `rate` in degrees per minute moves the set point slowly; without it the camera takes its
        own way at once. Stable is what stays within `tolerance` for `pace.settled` seconds.
        `progress` is called in the event loop at every look.

        Cancelled, too late or stalled, it leaves the set point at the present temperature, with
        the cooler on. A stall is only seen on cameras that tell the power of their coolers.

        Raises:
            OperationTimeout: not stable within `timeout` seconds.
            OperationFailed: the cooler is at full power, and comes no closer.
            NotImplementedException: the camera has no cooler, or no set point.
        """
        limit, tolerance = check_limit("timeout", timeout), check_duration("tolerance", tolerance)
        settled, stalled = _Lasting(pace.settled), _Lasting(pace.stalled)
        ramp = _Ramp(self, check_float("temperature", temperature), rate, pace, progress)

        def is_stable(moment: CoolingProgress) -> bool:
            near = ramp.gap <= tolerance
            full = moment.power is not None and moment.power >= _FULL_POWER
            if stalled(full and not near and not ramp.came_closer()):
                raise OperationFailed(
                    f"the cooler is at full power, but stays at {moment.temperature:.1f} °C,"
                    f" {ramp.gap:.1f} degrees from its goal"
                )
            return settled(near and moment.set_point == ramp.goal)

        async with self._operation("ccdtemperature"):
            await ramp.follow(is_stable, limit)

    async def warm_up(
        self,
        temperature: float | None = None,
        *,
        rate: float | None = None,
        tolerance: float = 0.5,
        timeout: float | None = None,
        progress: CoolingCallback | None = None,
        pace: CoolingPace = _PACE,
    ) -> None:
        """Raise the set point until the sensor is as warm as its surroundings; cooler off then.

        These have `temperature`, or unless given that of the heat sink, or 20 °C. A sensor that
        rises no more for `pace.settled` seconds is warm, too. Does nothing if the cooler is off.
        All else is as in `cool_to`.

        Raises:
            OperationTimeout: not warm within `timeout` seconds.
            NotImplementedException: the camera has no cooler, or no set point.
        """
        limit, tolerance = check_limit("timeout", timeout), check_duration("tolerance", tolerance)
        goal = None if temperature is None else check_float("temperature", temperature)
        async with self._operation("ccdtemperature"):
            if not await self.get_cooler_on():
                return
            if goal is None:
                goal = await optional(self.get_heat_sink_temperature)
            ramp = _Ramp(self, _WARM if goal is None else goal, rate, pace, progress)
            await ramp.follow(self._is_warm(ramp, tolerance, pace), limit)
            await self.set_cooler_on(False)

    @staticmethod
    def _is_warm(
        ramp: _Ramp, tolerance: float, pace: CoolingPace
    ) -> Callable[[CoolingProgress], bool]:
        level = _Lasting(pace.settled)

        def is_warm(moment: CoolingProgress) -> bool:
            rises = ramp.came_closer()
            at_the_end = moment.set_point == ramp.goal
            return level(at_the_end and not rises) or (at_the_end and ramp.gap <= tolerance)

        return is_warm


class _Ramp:
    """One way of the set point of `camera` from the present temperature to `goal`."""

    def __init__(
        self,
        camera: ICameraV4,
        goal: float,
        rate: float | None,
        pace: CoolingPace,
        progress: CoolingCallback | None,
    ) -> None:
        if rate is not None and check_float("rate", rate) <= 0:
            raise ValueError(f"rate must be positive, not {rate}")
        self.goal = goal
        self._camera = camera
        self._speed = rate and rate / 60
        self._pace = pace
        self._progress = progress
        self._begun = _now()
        self._temperature = self._start = math.nan
        self._set_point: float | None = None
        self._closest = math.inf

    @property
    def gap(self) -> float:
        """Degrees between the sensor and the goal."""
        return abs(self._temperature - self.goal)

    def came_closer(self) -> bool:
        """Whether the sensor is closer to the goal than whenever this was true before."""
        closer = self.gap <= self._closest - _CLOSER
        if closer:
            self._closest = self.gap
        return closer

    async def follow(self, is_over: Callable[[CoolingProgress], bool], timeout: float) -> None:
        """Move the set point until `is_over`; hold the temperature where that does not come."""
        try:
            self._temperature = self._start = await self._camera.get_ccd_temperature()
            await self._advance()
            if not await self._camera.get_cooler_on():
                await finish(self._camera.set_cooler_on(True))
            await self._watch(is_over, timeout)
        except OperationFailed as error:
            await finish(self._hold())
            path = f"camera/{self._camera.device_number}/ccdtemperature"
            raise error.at(self._camera.server, path) from None
        except asyncio.CancelledError:
            if self._set_point is not None:
                await finish(self._hold())
            raise

    async def _watch(self, is_over: Callable[[CoolingProgress], bool], timeout: float) -> None:
        while not is_over(moment := await self._look()):
            left = self._begun + timeout - _now()
            if left <= 0:
                raise OperationTimeout(
                    f"at {moment.temperature:.1f} °C after {timeout:g} s,"
                    f" {self.gap:.1f} degrees from its goal"
                )
            await asyncio.sleep(min(self._pace.interval, left))
            await self._advance()

    async def _advance(self) -> None:
        """Send the set point of this moment, unless it is there already."""
        done = math.inf if self._speed is None else (_now() - self._begun) * self._speed
        way = self.goal - self._start
        set_point = self.goal if done >= abs(way) else self._start + math.copysign(done, way)
        if set_point != self._set_point:
            self._set_point = set_point
            await finish(self._camera.set_ccd_temperature_setpoint(round(set_point, 2)))

    async def _look(self) -> CoolingProgress:
        self._temperature = await self._camera.get_ccd_temperature()
        whole = abs(self._start - self.goal)
        moment = CoolingProgress(
            temperature=self._temperature,
            set_point=self.goal if self._set_point is None else self._set_point,
            power=await optional(self._camera.get_cooler_power),
            fraction=min(max(1 - self.gap / whole, 0.0), 1.0) if whole else 1.0,
        )
        if self._progress is not None:
            self._progress(moment)
        return moment

    async def _hold(self) -> None:
        """Keep the present temperature, with one command and within a bounded time."""
        try:
            async with asyncio.timeout(_HOLD_LIMIT):
                await self._camera.set_ccd_temperature_setpoint(round(self._temperature, 2))
        except (AlpacaError, TimeoutError) as error:
            logger.warning("the set point could not be left at the present one: %s", error)


class _Lasting:
    """Tells whether something has been true for long enough."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since: float | None = None

    def __call__(self, holds: bool) -> bool:
        now = _now()
        if not holds:
            self._since = None
        elif self._since is None:
            self._since = now
        return self._since is not None and now - self._since >= self._seconds


def _now() -> float:
    return asyncio.get_running_loop().time()
