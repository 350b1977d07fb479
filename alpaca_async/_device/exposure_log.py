"""The exposures of a camera that may be running, and who waits for their images. No I/O."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from alpaca_async._loops import call_in

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable


@dataclass(slots=True, eq=False)
class StartedExposure:
    """One StartExposure that was sent; over at `due` by the event loop's clock."""

    due: float
    aborted: bool = False
    stopped: bool = False
    replaced: bool = False
    """Whether the camera began another one before this one's image was fetched."""


class Waiter(Protocol):
    """Something that waits for the image of `exposure`; None means whatever is running."""

    loop: AbstractEventLoop
    exposure: StartedExposure | None

    def stop(self) -> None:
        """Expect the image now."""
        ...

    def abort(self) -> None:
        """Expect no image: the exposure was aborted, or replaced by another one."""
        ...


class ExposureLog:
    """What this process knows of the exposures of one camera.

    `ghost_due` is when the last exposure that may have been aborted would have been over: some
    cameras show an image then.
    """

    def __init__(self) -> None:
        self.ghost_due = -math.inf
        self._open: tuple[StartedExposure, ...] = ()
        self._waiters: frozenset[Waiter] = frozenset()

    @property
    def latest(self) -> StartedExposure | None:
        """The exposure that was started last and may still be running."""
        return self._open[-1] if self._open else None

    def start(self, due: float) -> StartedExposure:
        """Record that StartExposure is about to be sent."""
        exposure = StartedExposure(due)
        self._open = (*self._open, exposure)
        return exposure

    def started(self, exposure: StartedExposure) -> None:
        """Record that the camera accepted an exposure, which replaces those before it."""
        before = self._open[: self._open.index(exposure)] if exposure in self._open else ()
        for former in before:
            former.replaced = True
        self._close(before)
        self._tell(before, lambda waiter: waiter.abort)

    def ended(self, exposure: StartedExposure) -> None:
        """Record that the camera refused an exposure, or that its image was fetched."""
        self._close((exposure,))

    def abort(self) -> tuple[StartedExposure, ...]:
        """Record that AbortExposure is about to be sent; return the exposures that it ends."""
        if self._open:
            self.ghost_due = max(exposure.due for exposure in self._open)
        return self._open

    def aborted(self, exposures: tuple[StartedExposure, ...]) -> None:
        """Record that the camera accepted AbortExposure."""
        for exposure in exposures:
            exposure.aborted = True
        self._close(exposures)
        self._tell((*exposures, None), lambda waiter: waiter.abort)

    def stop(self) -> tuple[StartedExposure, ...]:
        """Return the exposures that StopExposure, about to be sent, ends."""
        return self._open

    def stopped(self, exposures: tuple[StartedExposure, ...]) -> None:
        """Record that the camera accepted StopExposure."""
        for exposure in exposures:
            exposure.stopped = True
        self._tell((*exposures, None), lambda waiter: waiter.stop)

    def join(self, waiter: Waiter) -> None:
        """Add somebody who waits for an image."""
        self._waiters |= {waiter}

    def leave(self, waiter: Waiter) -> None:
        """Remove somebody who waited."""
        self._waiters -= {waiter}

    @property
    def has_waiters(self) -> bool:
        """Whether somebody waits for an image."""
        return bool(self._waiters)

    def _close(self, exposures: tuple[StartedExposure, ...]) -> None:
        self._open = tuple(each for each in self._open if each not in exposures)

    def _tell(
        self,
        exposures: tuple[StartedExposure | None, ...],
        news: Callable[[Waiter], Callable[[], None]],
    ) -> None:
        for waiter in self._waiters:
            if waiter.exposure in exposures:
                call_in(waiter.loop, news(waiter))
