"""Facts and settings of a camera, read a few at a time, and cached while they are valid."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from alpaca_async._errors import (
    AlpacaError,
    AscomError,
    MalformedResponse,
    NotConnectedException,
    RequestRejected,
    TransportError,
    TransportTimeout,
)
from alpaca_async._loops import PerLoop
from alpaca_async._session.management import get_configured_devices
from alpaca_async._tasks import together

from .fact_reader import FactSource
from .icamera import ICameraV4
from .verbs import is_missing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from alpaca_async._facts import CameraInfo, CameraSettings

    from .fact_reader import FactReader
    from .known_facts import Facts, KnownFacts
    from .record import DeviceRecord


logger = logging.getLogger("alpaca_async")

T = TypeVar("T")
Reader: TypeAlias = Callable[[], Awaitable[Any]]
Learner: TypeAlias = Callable[[], Awaitable[tuple[Any, bool]]]
"""Reads a fact and remembers it; returns it, and whether it is final."""

READ_EACH_TIME: Final = frozenset({"gain", "offset"})
"""Settings that are read at the end of each exposure: other programs may have changed them."""


class CachedFacts(ICameraV4):
    """A camera that caches its constant facts, and its settings until one is set."""

    async def get_info(self) -> CameraInfo:
        """Return the constant facts, read concurrently, then cached.

        Connecting or disconnecting the camera through this client clears the cache. Facts that
        the camera does not implement are None. What could not be read is None now, and read again
        by the next call. Raises the same errors as the single members.
        """
        return await self._complete(self._record.info, self._info_readers())

    async def get_settings(self) -> CameraSettings:
        """Return the current settings, read concurrently, then cached.

        The cache is cleared when this client sends a command that may change a setting, or when
        the server seems to have restarted. `expose` notices most changes by other programs; this
        method does not. What could not be read is None now, and read again by the next call.
        """
        return await self._complete(self._record.settings, self._settings_readers())

    async def _complete(self, facts: KnownFacts[Facts], readers: Mapping[str, Reader]) -> Facts:
        """Return all facts, after reading those that are unknown."""
        version, known, unknown = facts.version, facts.known, facts.unknown
        answers = await together(self._learn(facts, name, readers[name]) for name in unknown)
        if version == facts.version:
            return facts.known
        found = zip(unknown, answers, strict=True)
        return replace(known, **{name: value for name, (value, _) in found if value is not None})

    async def _learn(
        self, facts: KnownFacts[Facts], name: str, read: Callable[[], Awaitable[T]]
    ) -> tuple[T | None, bool]:
        """Read a fact, and remember the answer if it is final; return both."""
        version = facts.version
        value, final = await self._read_in_turn(read)
        if final:
            facts.add(name, value, version)
            self._record.retry_pauses.answered(name)
        return value, final

    async def _read_in_turn(self, read: Callable[[], Awaitable[T]]) -> tuple[T | None, bool]:
        """Read a fact as `_read_optional` does.

        All facts together leave one connection to the server free for what cannot wait: polls,
        commands and images.
        """
        limit = self._session.shared((self._server, "facts"), self._new_limit)
        async with limit.get():
            return await _read_optional(read)

    def _new_limit(self) -> PerLoop[asyncio.Semaphore]:
        return PerLoop(partial(asyncio.Semaphore, self._facts_at_once))

    @property
    def _facts_at_once(self) -> int:
        return max(1, self._session.connections_per_server - 1)

    # in the background

    def _read_in_background(self) -> FactReader:
        """Read what is unknown in tasks of its own; return what an exposure can wait for."""
        reader = self._record.fact_readers.get()
        reader.begin(self._fact_source())
        return reader

    def _fact_source(self) -> FactSource:
        record = self._record
        readers = self._background_readers()

        return FactSource(
            awaited=lambda: [name for name in readers if name in record.awaited_facts],
            others=lambda: [name for name in readers if name in record.other_facts],
            read=partial(self._read_unknown, record, readers),
            at_once=max(1, self._facts_at_once - 1),  # another may be one of an exposure
            operation=partial(self._operation, "info"),
        )

    async def _read_unknown(
        self, record: DeviceRecord, readers: Mapping[str, Learner], name: str
    ) -> bool:
        """Read a fact in the background; if it fails, it is due again later.

        Returns False if the server cannot be reached, or if the device has moved to another one.
        """
        if record is not self._record:
            return False
        try:
            _, final = await readers[name]()
        except AlpacaError as error:
            logger.info("a fact is still unknown: %s", error)
            record.retry_pauses.failed(name)
            return isinstance(error, TransportTimeout) or not isinstance(error, TransportError)
        if not final:
            record.retry_pauses.failed(name)
        return True

    def _background_readers(self) -> Mapping[str, Learner]:
        """Return what reads and remembers a fact, in the order in which they are read."""
        record = self._record
        settings = {
            name: partial(self._learn, record.settings, name, read)
            for name, read in self._settings_readers().items()
            if name not in READ_EACH_TIME
        }
        info = {
            name: partial(self._learn, record.info, name, read)
            for name, read in self._info_readers().items()
        }
        return settings | info

    def _info_readers(self) -> dict[str, Reader]:
        """What a FITS header needs comes first."""
        return {
            "name": self.get_name,
            "sensor_type": self.get_sensor_type,
            "bayer_offset_x": self.get_bayer_offset_x,
            "bayer_offset_y": self.get_bayer_offset_y,
            "pixel_size_x": self.get_pixel_size_x,
            "pixel_size_y": self.get_pixel_size_y,
            "max_adu": self.get_max_adu,
            "sensor_name": self.get_sensor_name,
            "unique_id": self._get_unique_id,
            "driver_version": self.get_driver_version,
            "readout_modes": self._get_readout_mode_names,
            "interface_version": self.get_interface_version,
            "camera_x_size": self.get_camera_x_size,
            "camera_y_size": self.get_camera_y_size,
            "exposure_min": self.get_exposure_min,
            "exposure_max": self.get_exposure_max,
            "max_bin_x": self.get_max_bin_x,
            "max_bin_y": self.get_max_bin_y,
            "has_shutter": self.get_has_shutter,
            "can_abort_exposure": self.get_can_abort_exposure,
            "can_stop_exposure": self.get_can_stop_exposure,
            "can_asymmetric_bin": self.get_can_asymmetric_bin,
            "can_fast_readout": self.get_can_fast_readout,
            "can_get_cooler_power": self.get_can_get_cooler_power,
            "can_pulse_guide": self.get_can_pulse_guide,
            "can_set_ccd_temperature": self.get_can_set_ccd_temperature,
        }

    def _settings_readers(self) -> dict[str, Reader]:
        return {
            "bin_x": self.get_bin_x,
            "bin_y": self.get_bin_y,
            "num_x": self.get_num_x,
            "num_y": self.get_num_y,
            "start_x": self.get_start_x,
            "start_y": self.get_start_y,
            "gain": self.get_gain,
            "offset": self.get_offset,
            "electrons_per_adu": self.get_electrons_per_adu,
            "readout_mode": self.get_readout_mode,
            "ccd_temperature_setpoint": self.get_ccd_temperature_setpoint,
        }

    async def _get_readout_mode_names(self) -> tuple[str, ...]:
        return tuple(await self.get_readout_modes())

    async def _get_unique_id(self) -> str | None:
        for device in await get_configured_devices(self._session, self._server):
            if (device.device_type.lower(), device.device_number) == (self._type, self._number):
                return device.unique_id
        return None


async def optional(read: Callable[[], Awaitable[T]]) -> T | None:
    """Return the result of `read`; None if the device lacks the member or cannot report it."""
    value, _ = await _read_optional(read)
    return value


async def _read_optional(read: Callable[[], Awaitable[T]]) -> tuple[T | None, bool]:
    """Return the result of `read` or None, and whether it is final: it cannot change later."""
    try:
        return await read(), True
    except NotConnectedException:
        raise
    except (AscomError, RequestRejected) as error:
        missing = is_missing(error)
        if not missing:
            logger.info("what could not be read is treated as unknown: %s", error)
        return None, missing
    except MalformedResponse as error:
        logger.info("an invalid value is treated as unknown: %s", error)
        return None, False


async def read_all(readers: Mapping[str, Reader]) -> tuple[dict[str, Any], bool]:
    """Read all of `readers` concurrently; return the values, and whether all of them are final.

    A value is None in the cases of `optional`.
    """
    results = await together(_read_optional(read) for read in readers.values())
    values = (value for value, _ in results)
    return dict(zip(readers, values, strict=True)), all(final for _, final in results)
