"""The exposures of a camera that may be running, and the tasks that wait for them. No I/O."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from alpaca_async._errors import InvalidValueException
from alpaca_async._loops import call_in

from .readiness import Readiness, ReadinessHistory

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

    from alpaca_async._facts import CameraInfo

_INVALID_VALUE: Final = 0x401


@dataclass(slots=True, eq=False)
class StartedExposure:
    """One StartExposure, sent at `sent`; the exposure ends at `due`, by the event loop's clock."""

    sent: float
    due: float
    readiness: Readiness
    end_requested: bool = False
    """Whether AbortExposure or StopExposure was sent meanwhile."""
    aborted: bool = False
    stopped_at: float | None = None
    """When StopExposure was sent, if that was."""
    replaced: bool = False
    """Whether the camera started another one before this one's image was fetched."""

    @property
    def stopped(self) -> bool:
        """Whether the camera accepted StopExposure."""
        return self.stopped_at is not None

    def stopped_after(self, delay: float) -> float | None:
        """Return the seconds from `delay` after the request to StopExposure, if that was sent."""
        return None if self.stopped_at is None else max(self.stopped_at - self.sent - delay, 0.0)


class Waiter(Protocol):
    """A wait for the image of `exposure`; None means any exposure."""

    loop: AbstractEventLoop
    exposure: StartedExposure | None

    def stop(self) -> None:
        """Expect the image now."""
        ...

    def abort(self) -> None:
        """Expect no image: the exposure was aborted, or replaced by another one."""
        ...


class ExposureLog:
    """What this process knows about the exposures of one camera, in all event loops and threads.

    `stale_image_due` is when the last aborted exposure would have been over: some cameras show its
    image then.
    """

    def __init__(self) -> None:
        self.stale_image_due = -math.inf
        self.was_aborted = False
        """Whether AbortExposure was sent since the last exposure started."""
        self._lock = threading.RLock()
        """Reentrant: the garbage collector may close an abandoned task while the lock is held."""
        self._readiness = ReadinessHistory()
        self._open: tuple[StartedExposure, ...] = ()
        self._waiters: frozenset[Waiter] = frozenset()

    @property
    def latest(self) -> StartedExposure | None:
        """The latest exposure, if it may still be running."""
        return self._open[-1] if self._open else None

    def start(self, now: float, duration: float) -> StartedExposure:
        """Record that StartExposure is about to be sent."""
        exposure = StartedExposure(now, now + duration, Readiness(self._readiness, now))
        with self._lock:
            self._open = (*self._open, exposure)
        return exposure

    def started(self, exposure: StartedExposure, now: float) -> None:
        """Record that the camera accepted an exposure: it replaces the earlier ones."""
        exposure.readiness.answered(now)
        running = self._open
        before = running[: running.index(exposure)] if exposure in running else ()
        for former in before:
            former.replaced = True
        self.was_aborted = False
        self._close(before)
        self._notify(before, lambda waiter: waiter.abort())

    def ended(self, exposure: StartedExposure) -> None:
        """Record that the camera refused an exposure, or that its image was fetched."""
        self._close((exposure,))

    def abort(self) -> tuple[StartedExposure, ...]:
        """Record that AbortExposure is about to be sent; return the exposures that it ends."""
        self.was_aborted = True
        if self._open:
            self.stale_image_due = max(exposure.due for exposure in self._open)
        return self._request_end()

    def aborted(self, exposures: tuple[StartedExposure, ...]) -> None:
        """Record that the camera accepted AbortExposure."""
        for exposure in exposures:
            exposure.aborted = True
        self._close(exposures)
        self._notify((*exposures, None), lambda waiter: waiter.abort())

    def stop(self) -> tuple[StartedExposure, ...]:
        """Return the exposures that StopExposure, about to be sent, ends."""
        return self._request_end()

    def stopped(self, exposures: tuple[StartedExposure, ...], sent: float) -> None:
        """Record that the camera accepted StopExposure, which was sent at `sent`."""
        for exposure in exposures:
            exposure.stopped_at = sent if exposure.stopped_at is None else exposure.stopped_at
        self._notify((*exposures, None), lambda waiter: waiter.stop())

    def join(self, waiter: Waiter) -> None:
        """Add a waiter."""
        with self._lock:
            self._waiters |= {waiter}

    def leave(self, waiter: Waiter) -> None:
        """Remove a waiter."""
        with self._lock:
            self._waiters -= {waiter}

    @property
    def has_waiters(self) -> bool:
        """Whether anything waits for an image."""
        return bool(self._waiters)

    def _request_end(self) -> tuple[StartedExposure, ...]:
        exposures = self._open
        for exposure in exposures:
            exposure.end_requested = True
        return exposures

    def _close(self, exposures: tuple[StartedExposure, ...]) -> None:
        with self._lock:
            self._open = tuple(each for each in self._open if each not in exposures)

    def _notify(
        self,
        exposures: tuple[StartedExposure | None, ...],
        tell: Callable[[Waiter], None],
    ) -> None:
        for waiter in self._waiters:
            if waiter.exposure in exposures:
                call_in(waiter.loop, partial(self._tell_if_waiting, waiter, tell))

    def _tell_if_waiting(self, waiter: Waiter, tell: Callable[[Waiter], None]) -> None:
        """Tell a waiter in its own event loop, unless its wait has ended in the meantime."""
        if waiter in self._waiters:
            tell(waiter)


def check_limits(info: CameraInfo, duration: float) -> None:
    """Raise `InvalidValueException` for a duration outside the known limits of the camera.

    0 seconds is ASCOM's bias frame, whatever the shortest exposure is.
    """
    if info.exposure_max is not None and duration > info.exposure_max:
        reason = f"{duration:g} s is above ExposureMax, {info.exposure_max:g} s"
        raise InvalidValueException(_INVALID_VALUE, reason)
    if info.exposure_min is not None and 0 < duration < info.exposure_min:
        reason = f"{duration:g} s is below ExposureMin, {info.exposure_min:g} s"
        raise InvalidValueException(_INVALID_VALUE, reason)
