"""The steps of an order as exposures: checked before the first one, prepared before each."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from alpaca_async._device.exposure_log import check_limits
from alpaca_async._device.verbs import pauses
from alpaca_async._errors import AlpacaError
from alpaca_async._workflows.sequence import ExposureRequest

from .models import FrameNumber

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from alpaca_async._camera import AsyncCamera
    from alpaca_async._facts import CameraInfo

    from .devices import FilterWheel
    from .models import Order, Step

_RETURN_LIMIT: Final = 120.0


class OrderedFrames:
    """The frames of an order.

    `begin` is called before each, with its number. `read_keywords` returns what is known of the
    rig for the FITS header when the exposure starts.
    """

    def __init__(
        self,
        order: Order,
        camera: AsyncCamera,
        wheel: FilterWheel | None,
        begin: Callable[[FrameNumber], None],
        read_keywords: Callable[[], Mapping[str, Any]],
    ) -> None:
        self._steps = order.steps
        self._camera = camera
        self._wheel = wheel
        self._begin = begin
        self._read_keywords = read_keywords
        self._prepared_for: Step | None = None
        self._has_failed = False

    async def requests(self) -> Iterator[ExposureRequest]:
        """Return a request for each frame; raise `ValueError` for a step that is not possible."""
        info = await self._camera.get_info()
        filters = await self._filters()
        for number, step in enumerate(self._steps, 1):
            try:
                _check(step, info, filters)
            except ValueError as error:
                raise ValueError(f"step {number}: {error}") from error
        return self._requests(filters)

    def forget_settings(self) -> None:
        """Set all for the next frame: after a failure, the camera may have been restarted."""
        self._prepared_for = None
        self._has_failed = True

    async def _filters(self) -> Sequence[str]:
        """Return the names of the filters, if a step asks for one."""
        if all(step.filter is None for step in self._steps):
            return ()
        if self._wheel is None:
            raise ValueError("a step asks for a filter, but the camera has no filter wheel")
        return await self._wheel.get_filters()

    def _requests(self, filters: Sequence[str]) -> Iterator[ExposureRequest]:
        for number, step in enumerate(self._steps):
            chosen = {} if step.filter is None else {"FILTER": filters[step.filter]}
            for frame in range(step.count):
                header: dict[str, Any] = dict(chosen)
                which = FrameNumber(step=number, frame=frame)
                prepare = partial(self._prepare, step, which, header)
                yield ExposureRequest(step.duration, step.light, prepare, header)

    async def _prepare(self, step: Step, number: FrameNumber, header: dict[str, Any]) -> None:
        """Prepare the camera and the wheel; add to `header`, which is read afterwards."""
        self._begin(number)
        if self._has_failed:
            await self._wait_until_connected()
            self._has_failed = False
        if self._prepared_for is not step:
            await self._camera.reset_frame(step.binning, step.binning)
            if step.gain is not None:
                await self._camera.set_gain(step.gain)
            self._prepared_for = step
        if self._wheel is not None and step.filter is not None:
            await self._wheel.select(step.filter)
        header.update({**self._read_keywords(), **header})

    async def _wait_until_connected(self) -> None:
        """Wait until camera and wheel are connected again, which is done elsewhere.

        After `_RETURN_LIMIT` seconds the exposure is tried, and fails.
        """
        for pause in pauses(_RETURN_LIMIT):
            if await self._is_connected():
                return
            await asyncio.sleep(pause)

    async def _is_connected(self) -> bool:
        try:
            wheel = self._wheel is None or await self._wheel.get_connected()
            return wheel and await self._camera.get_connected()
        except AlpacaError:
            return False


def _check(step: Step, info: CameraInfo, filters: Sequence[str]) -> None:
    check_limits(info, step.duration)
    largest = min(info.max_bin_x or step.binning, info.max_bin_y or step.binning)
    if step.binning > largest:
        raise ValueError(f"binning {step.binning}: the camera allows at most {largest}")
    if step.filter is not None and step.filter >= len(filters):
        raise ValueError(f"filter {step.filter}: the camera's wheel has {len(filters)} filters")
