"""Cools down or warms up, at once or slowly, until the sensor has reached its temperature."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

from alpaca_async._device.cached_facts import optional
from alpaca_async._device.icamera import ICameraV4
from alpaca_async._device.patience import Patience
from alpaca_async._errors import AlpacaError, OperationFailed, OperationTimeout, reason_of
from alpaca_async._loops import running_loop
from alpaca_async._protocol.values import check_duration, check_float, check_limit
from alpaca_async._tasks import finish

_HOLD_LIMIT: Final = 5.0
"""Seconds that the command to hold the temperature may take."""
_FULL_POWER: Final = 99.0
"""Percent; less than 100 because drivers round."""
_ROUNDING: Final = 0.1
"""Degrees by which a camera may round a set point."""
_MIN_APPROACH: Final = 0.1
"""Degrees by which the gap must shrink to count: sensors are noisy, many report tenths."""
_DEFAULT_AMBIENT: Final = 20.0
"""°C, for cameras that do not report the temperature of their heat sinks."""

logger = logging.getLogger("alpaca_async")


@dataclass(frozen=True, slots=True, kw_only=True)
class CoolingProgress:
    """The progress of cooling down, or of warming up."""

    temperature: float
    """°C, of the sensor."""
    set_point: float
    """°C, at this moment: with a rate it changes."""
    power: float | None
    """Percent; None if the camera does not report it."""
    fraction: float
    """Fraction of the distance from the first temperature to the goal, 0 to 1."""


CoolingCallback: TypeAlias = Callable[[CoolingProgress], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class CoolingPace:
    """The times by which a cooler is judged, in seconds."""

    interval: float = 2.0
    """Between two polls of the camera."""
    settled: float = 30.0
    """How long the temperature must stay within the tolerance to count as stable."""
    stalled: float = 180.0
    """How long a cooler at full power may come no closer before it counts as stalled."""

    def __post_init__(self) -> None:
        for name in ("interval", "settled", "stalled"):
            check_duration(name, getattr(self, name))


_PACE: Final = CoolingPace()


class Cooling(ICameraV4):
    """A camera whose cooler can be driven to a temperature and watched until it is there."""

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

        `rate` moves the set point slowly, in degrees per minute; None sets it at once. The
        temperature is stable after `pace.settled` seconds within `tolerance` degrees. `progress`
        is called in the event loop at every poll.

        If it ends early, for any reason, it sets the set point to the current temperature, leaves
        the cooler on, and logs a warning. Failed polls are tolerated for ten seconds. A stall is
        detected only on cameras that report the cooler's power.

        Raises:
            OperationTimeout: not stable within `timeout` seconds.
            OperationFailed: stalled: the cooler is at full power, but comes no closer.
            NotImplementedException: the camera has no cooler, or no set point.
        """
        limit, tolerance = check_limit("timeout", timeout), check_duration("tolerance", tolerance)
        settled, stalled = _HeldFor(pace.settled), _HeldFor(pace.stalled)
        ramp = _Ramp(self, check_float("temperature", temperature), rate, pace, progress)

        def is_stable(status: CoolingProgress) -> bool:
            near = ramp.gap <= tolerance
            full = status.power is not None and status.power >= _FULL_POWER
            if stalled(full and not near and not ramp.came_closer()):
                raise ramp.located(
                    OperationFailed(
                        f"the cooler is at full power, but stays at {status.temperature:.1f} °C,"
                        f" {ramp.gap:.1f} degrees from its goal"
                    )
                )
            return settled(near and status.set_point == ramp.goal)

        async with self._operation("ccdtemperature"):
            await ramp.run(is_stable, limit)

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
        """Raise the set point until the sensor is as warm as its surroundings; turn the cooler off.

        `temperature` is that of the surroundings, in °C; None means that of the heat sink, or
        20 °C if the camera does not report it. The sensor is also warm if its temperature has not
        risen for `pace.settled` seconds. Does nothing if the cooler is off. Otherwise as `cool_to`.

        Raises:
            OperationTimeout: not warm within `timeout` seconds.
            NotImplementedException: the camera has no cooler, or no set point.
        """
        limit, tolerance = check_limit("timeout", timeout), check_duration("tolerance", tolerance)
        goal = None if temperature is None else check_float("temperature", temperature)
        async with self._operation("ccdtemperature"):
            patience = Patience()
            if not await patience.read(self.get_cooler_on):
                return
            if goal is None:
                goal = await patience.read(partial(optional, self.get_heat_sink_temperature))
            ramp = _Ramp(self, _DEFAULT_AMBIENT if goal is None else goal, rate, pace, progress)
            await ramp.run(self._is_warm(ramp, tolerance, pace), limit)
            await ramp.turn(on=False)

    @staticmethod
    def _is_warm(
        ramp: _Ramp, tolerance: float, pace: CoolingPace
    ) -> Callable[[CoolingProgress], bool]:
        steady = _HeldFor(pace.settled)

        def is_warm(status: CoolingProgress) -> bool:
            rises = ramp.came_closer()
            at_the_end = status.set_point == ramp.goal
            return steady(at_the_end and not rises) or (at_the_end and ramp.gap <= tolerance)

        return is_warm


class _Ramp:
    """Moves the set point of `camera` from the current temperature to `goal`."""

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
        self._started = _now()
        self._temperature = self._start = math.nan
        self._set_point: float | None = None
        self._doubtful: float | None = None
        """A set point whose reply was lost."""
        self._moved = False
        """Whether the camera may have taken a set point."""
        self._patience = Patience()
        self._closest = math.inf

    @property
    def gap(self) -> float:
        """Degrees between the sensor and the goal."""
        return abs(self._temperature - self.goal)

    def came_closer(self) -> bool:
        """Whether the sensor is closer to the goal than when this last returned True."""
        closer = self.gap <= self._closest - _MIN_APPROACH
        if closer:
            self._closest = self.gap
        return closer

    def located(self, error: OperationFailed) -> OperationFailed:
        """Return the error with the server and the member."""
        return error.at(self._camera.server, f"camera/{self._camera.device_number}/ccdtemperature")

    async def run(self, is_over: Callable[[CoolingProgress], bool], timeout: float) -> None:
        """Move the set point until `is_over`; on failure or cancellation hold the temperature."""
        try:
            self._temperature = self._start = await self._patience.read(
                self._camera.get_ccd_temperature
            )
            await self._advance()
            if not await self._patience.read(self._camera.get_cooler_on):
                await self.turn(on=True)
            await self._wait_until(is_over, timeout)
        except (Exception, asyncio.CancelledError):
            if self._moved:
                await finish(self._hold())
            raise

    async def turn(self, *, on: bool) -> None:
        """Turn the cooler on or off; after a lost reply, read whether that has to be repeated."""
        try:
            await finish(self._camera.set_cooler_on(on))
        except AlpacaError as error:
            if not self._patience.tolerates(error):
                raise
            if await self._patience.read(self._camera.get_cooler_on) != on:
                await finish(self._camera.set_cooler_on(on))

    async def _wait_until(self, is_over: Callable[[CoolingProgress], bool], timeout: float) -> None:
        while not is_over(status := await self._poll()):
            left = self._started + timeout - _now()
            if left <= 0:
                raise self.located(
                    OperationTimeout(
                        f"at {status.temperature:.1f} °C after {timeout:g} s,"
                        f" {self.gap:.1f} degrees from its goal"
                    )
                )
            await asyncio.sleep(min(self._pace.interval, left))
            await self._advance()

    async def _advance(self) -> None:
        """Send the set point for this moment, unless it was sent already."""
        done = math.inf if self._speed is None else (_now() - self._started) * self._speed
        distance = self.goal - self._start
        set_point = (
            self.goal if done >= abs(distance) else self._start + math.copysign(done, distance)
        )
        if set_point == self._set_point:
            return
        if set_point == self._doubtful and await self._has_set_point(set_point):
            self._set_point = set_point
            return
        moved, self._moved = self._moved, True
        try:
            await finish(self._send(set_point))
        except AlpacaError as error:
            if not self._patience.tolerates(error):
                self._moved = moved or error.outcome_unknown
                raise
            self._doubtful = set_point  # the next one follows, or this one is read back
        else:
            self._set_point = set_point

    async def _has_set_point(self, set_point: float) -> bool:
        present = await self._patience.read(self._camera.get_ccd_temperature_setpoint)
        return abs(present - set_point) <= _ROUNDING

    async def _send(self, set_point: float) -> None:
        await self._camera.set_ccd_temperature_setpoint(round(set_point, 2))

    async def _poll(self) -> CoolingProgress:
        self._temperature = await self._patience.read(self._camera.get_ccd_temperature)
        distance = abs(self._start - self.goal)
        status = CoolingProgress(
            temperature=self._temperature,
            set_point=self.goal if self._set_point is None else self._set_point,
            power=await self._read_power(),
            fraction=min(max(1 - self.gap / distance, 0.0), 1.0) if distance else 1.0,
        )
        if self._progress is not None:
            self._progress(status)
        return status

    async def _read_power(self) -> float | None:
        try:
            return await optional(self._camera.get_cooler_power)
        except AlpacaError as error:
            if not self._patience.tolerates(error):
                raise
            return None

    async def _hold(self) -> None:
        """Hold the current temperature, with one command, in at most `_HOLD_LIMIT` seconds."""
        try:
            async with asyncio.timeout(_HOLD_LIMIT):
                await self._send(self._temperature)
            message = "a temperature ramp ended early: set point %.1f °C, cooler on"
            logger.warning(message, self._temperature)
        except (AlpacaError, TimeoutError) as error:
            reason = reason_of(error, _HOLD_LIMIT)
            logger.warning("the current temperature could not be held: %s", reason)


class _HeldFor:
    """Called with a condition, returns whether it has held for `seconds` seconds."""

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
    return running_loop().time()
