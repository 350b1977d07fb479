"""Reads the facts of an exposure while it runs and while its image is downloaded."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from alpaca_async._device.cached_facts import READ_EACH_TIME
from alpaca_async._device.status import Reporting
from alpaca_async._errors import AlpacaError, TransportTimeout
from alpaca_async._facts import CameraSettings
from alpaca_async._tasks import wait_for_end

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from alpaca_async._device.cached_facts import Reader
    from alpaca_async._device.fact_reader import Suspension
    from alpaca_async._facts import CameraInfo, CameraStatus
    from alpaca_async._fits.header_source import HeaderReader

_GRACE: Final = 2.0
"""Seconds for which a ready image waits for facts of this exposure, and for header keywords."""
_CAMERA_GRACE: Final = 0.5
"""Seconds for which a ready image waits for facts of the camera: the next header has them, too."""
_POLL_FIRST: Final = 0.001
"""Seconds by which the poll at the end of an exposure goes before the facts that are read then."""
_CAMERA: Final = "camera"
_HEADER: Final = "header"

logger = logging.getLogger("alpaca_async")


class ExposureFacts:
    """The facts of one exposure, each read in a task. The owner must end the tasks with `cancel`.

    `suspension` delays the reading of the camera's own facts until the last facts of the exposure
    are being read, except where it delays nothing.
    """

    def __init__(self, suspension: Suspension) -> None:
        self.suspension = suspension
        self.settings_before = CameraSettings()
        """The settings that were known before the exposure started."""
        self.values: dict[str, Any] = {}
        self.unread: set[str] = set()
        """The facts that the camera has, and that could not be read."""
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._image_ready = asyncio.Event()
        self._ready_time = 0.0

    def begin(self, name: str, read: Reader, delay: float = 0.0) -> None:
        """Read a fact after `delay` seconds, or when the image is ready; not a second time."""
        if name not in self.values and name not in self._tasks:
            self._tasks[name] = asyncio.create_task(self._read(name, read, delay))

    def image_is_ready(self) -> None:
        """Note the time from which the image waits for facts, and read all those delayed."""
        self._ready_time = asyncio.get_running_loop().time()
        self._image_ready.set()

    async def finish(self, names: Collection[str], grace: float) -> list[str]:
        """Wait for `names` until `grace` seconds after the image was ready; return those late.

        Late ones are cancelled.
        """
        tasks = {name: self._tasks[name] for name in names if name in self._tasks}
        left = self._ready_time + grace - asyncio.get_running_loop().time()
        if any(not task.done() for task in tasks.values()):
            await asyncio.wait(tasks.values(), timeout=max(left, 0.0))
        late = [name for name, task in tasks.items() if not task.done()]
        await self._cancel(late)
        for name in tasks.keys() - late:
            tasks[name].result()
        return late

    async def cancel(self) -> None:
        """End all tasks; what they read can be begun again."""
        self.suspension.end()
        await self._cancel([name for name, task in self._tasks.items() if not task.done()])

    async def _cancel(self, names: Collection[str]) -> None:
        tasks = [self._tasks.pop(name) for name in names]
        for task in tasks:
            task.cancel()
        await wait_for_end(*tasks)

    async def _read(self, name: str, read: Reader, delay: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._image_ready.wait()
        if (value := await read()) is not None:
            self.values[name] = value


class Describing(Reporting):
    """A camera that reads the facts of its exposures."""

    def _new_facts(self) -> ExposureFacts:
        """Return the facts of an exposure that is about to start; begin no others from now on."""
        return ExposureFacts(self._record.fact_readers.get().suspend())

    def _begin_facts(
        self,
        facts: ExposureFacts,
        keywords: HeaderReader,
        *,
        pause: float,
        left: float,
        round_trip: float,
    ) -> None:
        """Begin to read the facts of an exposure that ends in `left` seconds.

        Gain and offset are read at its end: only that shows whether another program changed them.
        Facts of the camera are read until a `round_trip` before that.
        """
        facts.settings_before = self._record.settings.known
        facts.suspension.interrupt(left - round_trip)
        facts.begin(_HEADER, keywords.run, pause)
        facts.begin(_CAMERA, self._wait_for_camera_facts, pause)
        self._begin(facts, self._readers_of_single_members(), pause)
        self._begin(facts, self._readers_at_end(), left + _POLL_FIRST)

    def _take_facts_from(self, status: CameraStatus | None, facts: ExposureFacts) -> None:
        """Take what the last poll has brought: then it is not read again."""
        if status is None:
            return
        for name in self._readers_during():
            if (value := getattr(status, name)) is not None:
                facts.values.setdefault(name, value)
                self._record.not_in_device_state -= {name}
            else:
                self._record.not_in_device_state |= {name}

    def _begin_last_facts(self, facts: ExposureFacts) -> None:
        """Begin to read what is known after the exposure.

        When a failed download is repeated, begin again what its end has interrupted.
        """
        facts.image_is_ready()
        self._begin(facts, self._own_readers())
        facts.suspension.end()

    async def _finish_facts(self, facts: ExposureFacts) -> dict[str, Any]:
        """Return the fields of `Exposure` that are known soon after the image is ready."""
        info, settings = await self._finish_camera_facts(facts)
        await self._finish_own_facts(facts)
        own = {name: facts.values[name] for name in self._own_readers() if name in facts.values}
        at_end = {name: own.pop(name) for name in READ_EACH_TIME if name in own}
        self._record.settings_at_end |= at_end
        last_known = self._last_known(facts.unread & READ_EACH_TIME)
        return {**own, "info": info, "settings": replace(settings, **{**last_known, **at_end})}

    def _last_known(self, names: Collection[str]) -> dict[str, Any]:
        """Return the last known values of settings that could not be read.

        Another program may have changed them, so that is logged.
        """
        record = self._record
        known: dict[str, Any] = {}
        for name in sorted(names):
            value = record.settings_at_end.get(name, record.set_values.get(name.capitalize()))
            if value is None:
                text = f"{name} could not be read: the image has no {name.upper()}"
            else:
                text = f"{name} could not be read: the image has the last known value, {value}"
                known[name] = value
            logger.warning("%r: %s", self, text)
        return known

    async def _finish_camera_facts(self, facts: ExposureFacts) -> tuple[CameraInfo, CameraSettings]:
        if await facts.finish([_CAMERA], _CAMERA_GRACE):
            logger.info("%r: some facts will be in the header of a later image", self)
            self._record.info.stop_waiting()
            self._record.settings.stop_waiting()
        known = (self._record.info.known, self._record.settings.known)
        return cast("tuple[CameraInfo, CameraSettings]", facts.values.get(_CAMERA, known))

    async def _finish_own_facts(self, facts: ExposureFacts) -> None:
        own = self._own_readers()
        if late := await facts.finish([_HEADER, *own], _GRACE):
            logger.warning("%r: some facts or header keywords came too late and are missing", self)
        for name in own.keys() & late:
            facts.unread.add(name)
            self._record.retry_pauses.failed(name)

    async def _wait_for_camera_facts(self) -> tuple[CameraInfo, CameraSettings]:
        """Return the facts of the camera as soon as all are known that can be waited for."""
        await self._read_in_background().wait()
        return self._record.info.known, self._record.settings.known

    # single facts

    def _begin(
        self, facts: ExposureFacts, readers: Mapping[str, Reader], delay: float = 0.0
    ) -> None:
        """Begin to read facts, except those that hung a short while ago."""
        allowed = self._allowed(readers)
        facts.unread |= readers.keys() - allowed.keys()
        for name, read in allowed.items():
            facts.begin(name, partial(self._value_or_none, name, read, facts.unread), delay)

    def _allowed(self, readers: Mapping[str, Reader]) -> dict[str, Reader]:
        """Return the readers without those that hung a short while ago."""
        allows = self._record.retry_pauses.allows
        return {name: read for name, read in readers.items() if allows(name)}

    async def _value_or_none(self, name: str, read: Reader, unread: set[str]) -> object:
        """Read a fact of this exposure; what hangs is not asked for by the next ones.

        A failure is added to `unread`; None alone may mean that the camera has no such member.
        """
        pauses = self._record.retry_pauses
        try:
            if name in READ_EACH_TIME:
                value, _ = await self._learn(self._record.settings, name, read)
            else:
                value, _ = await self._read_in_turn(read)
        except AlpacaError as error:
            logger.info("a fact of the exposure is missing: %s", error)
            unread.add(name)
            if isinstance(error, TransportTimeout):
                pauses.failed(name)
            return None
        unread.discard(name)
        pauses.answered(name)
        return value

    def _own_readers(self) -> dict[str, Reader]:
        return self._readers_during() | self._readers_at_end() | self._readers_after()

    def _readers_during(self) -> dict[str, Reader]:
        return {
            "ccd_temperature": self.get_ccd_temperature,
            "cooler_power": self.get_cooler_power,
        }

    def _readers_of_single_members(self) -> dict[str, Reader]:
        """Return what reads, during the exposure, what no poll will bring."""
        readers = self._readers_during()
        if self._record.has_device_state is False:
            return readers
        return {name: readers[name] for name in readers.keys() & self._record.not_in_device_state}

    def _readers_at_end(self) -> dict[str, Reader]:
        return {"gain": self.get_gain, "offset": self.get_offset}

    def _readers_after(self) -> dict[str, Reader]:
        return {
            "last_exposure_start_time": self.get_last_exposure_start_time,
            "last_exposure_duration": self.get_last_exposure_duration,
        }
