"""Getting a camera back whose server went away: at its address, or wherever it is now."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable  # noqa: TC003 - of a dataclass
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from alpaca_async._address import origin
from alpaca_async._discovery.discovery import DISCOVERY_PORT
from alpaca_async._discovery.finding import find_camera
from alpaca_async._errors import (
    AlpacaError,
    IncompleteImage,
    NotConnectedException,
    OperationFailed,
    OperationTimeout,
    RequestRejected,
    TransportError,
)
from alpaca_async._protocol.values import check_duration
from alpaca_async._session.management import get_configured_devices
from alpaca_async._tasks import finish

from .exposure import Exposing
from .framing import Framing

if TYPE_CHECKING:
    from alpaca_async._image import Image

    from .exposure import TakenExposure

_AWAY: Final = (502, 503, 504)
"""What gateways answer for a server that is not there."""
_SEARCH: Final = 2.0
"""Seconds in which servers may answer, each time that they are asked for the camera."""
_SETTINGS: Final = ("ReadoutMode", "FastReadout", "Gain", "Offset", "SubExposureDuration")
"""In the order in which they are set again: the mode may decide what gain there is."""
_FRAME: Final = {
    "BinX": "bin_x",
    "BinY": "bin_y",
    "StartX": "start_x",
    "StartY": "start_y",
    "NumX": "num_x",
    "NumY": "num_y",
}

logger = logging.getLogger("alpaca_async")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconnect:
    """How a camera that was lost is got back."""

    timeout: float = 300.0
    """Seconds until it is given up."""
    interval: float = 2.0
    """Seconds between two attempts."""
    unique_id: str | None = None
    """Look for the camera with this id wherever it is; None waits for it at its address."""
    hosts: tuple[str, ...] | None = None
    """Whom to ask for it; None asks all networks of this host."""
    port: int = DISCOVERY_PORT
    """The UDP port for that."""
    prepare: Callable[[], Awaitable[object]] | None = None
    """Awaited when the camera is back, to cool it for instance; not bounded by `timeout`."""
    attempts: int = 3
    """How often one exposure of a sequence is begun again before its error is raised."""

    def __post_init__(self) -> None:
        check_duration("timeout", self.timeout)
        check_duration("interval", self.interval)
        if isinstance(self.hosts, str):
            raise TypeError("hosts must be a tuple of names, not a string")


_AT_ITS_ADDRESS: Final = Reconnect()


class Recovering(Exposing, Framing):
    """A camera that can be got back."""

    async def reconnect(self, how: Reconnect = _AT_ITS_ADDRESS) -> None:
        """Wait until the camera is there again, connected, with what this client had set.

        Nothing is sent but questions if nothing is amiss. With `how.unique_id` the object follows
        the camera to another address or number: `server` and `device_number` change. Frame, gain,
        offset, readout and sub-exposures are set again as far as this client has set them, and
        where the camera has other values. The cooler is left alone: a camera that lost its power
        is warm, and how fast it may cool is for `how.prepare` to say.

        The camera is looked for over http and without credentials; the client's own go to the
        server that has it.

        Raises:
            OperationTimeout: the camera did not come back within `how.timeout` seconds.
            ValueError: a camera behind https, which discovery does not know, has a `unique_id`.
            AscomError: the camera refuses a setting that it had before.
        """
        self._check_reconnect(how)
        async with self._operation("connected"):
            await self._reconnect(how)

    async def _reconnect(self, how: Reconnect) -> None:
        self._record.forget()
        try:
            async with asyncio.timeout(how.timeout):
                while not await self._is_back(how):  # noqa: ASYNC110 - a server far away
                    await asyncio.sleep(how.interval)
        except TimeoutError:
            late = OperationTimeout(f"the camera did not come back within {how.timeout:g} s")
            raise late.at(self._server, self._member("connected")) from None
        if how.prepare is not None:
            await how.prepare()

    async def _is_back(self, how: Reconnect) -> bool:
        """Take what steps can be taken now, and tell whether all of them were."""
        try:
            await self._locate(how)
            if not await self.get_connected():
                await self.connect()
        except AlpacaError as error:
            logger.info("not back yet: %s", error)
            return False
        try:
            await self._set_again()
        except AlpacaError as error:
            if not self._is_lost(error):
                raise
            return False
        return True

    async def _locate(self, how: Reconnect) -> None:
        """Go to where the camera with the wanted id is."""
        if how.unique_id is None or await self._is_at_home(how.unique_id):
            return
        found = await find_camera(how.unique_id, how.hosts, timeout=_SEARCH, port=how.port)
        if found is None:
            raise OperationFailed(f"no server has the camera {how.unique_id}")
        logger.info("%r is now camera %d at %s", self, found.device_number, found.address)
        self._move_to(origin(found.address), found.device_number)

    async def _is_at_home(self, unique_id: str) -> bool:
        """Whether the server that had the camera has it still, under whatever number."""
        try:
            devices = await get_configured_devices(self._session, self._server)
        except AlpacaError as error:
            logger.info("not found at its address: %s", error)
            return False
        for device in devices:
            if (device.device_type.lower(), device.unique_id) == (self._type, unique_id):
                self._move_to(self._server, device.device_number)
                return True
        return False

    async def _set_again(self) -> None:
        """Set again what this client had set, where the camera has other values."""
        values = dict(self._record.set_values)
        for member in _SETTINGS:
            if member in values:
                value = values[member]
                if await self._get(member, type(value)) != value:
                    await self._set(member, value)
        if frame := {name: values[member] for member, name in _FRAME.items() if member in values}:
            await self.set_frame(**frame)  # type: ignore[arg-type]  # six integers

    async def _outlast(
        self,
        how: Reconnect,
        take: Callable[[], Awaitable[TakenExposure]],
        fetch: Callable[[TakenExposure], Awaitable[Image]],
    ) -> Image:
        """Take an image and fetch it, however often the camera is lost meanwhile.

        An image that outlived the loss is fetched; otherwise another is taken.
        """
        taken: TakenExposure | None = None
        losses = 0
        while True:
            restarts = math.inf  # while it is got back none is news
            try:
                if losses:
                    taken = await self._regain(how, taken)
                restarts = self._record.restarts
                taken = taken or await take()
                return await fetch(taken)
            except AlpacaError as error:
                losses += 1
                lost = self._is_lost(error) or self._record.restarts > restarts
                if losses > how.attempts or not lost:
                    raise
                logger.warning("%r is lost: %s", self, error)

    async def _regain(self, how: Reconnect, taken: TakenExposure | None) -> TakenExposure | None:
        """Get the camera back, and return `taken` if its image is there; else abort it.

        Also where the caller gives up: what was lost from sight may run still.
        """
        image_ready = False
        try:
            await self._reconnect(how)
            image_ready = await self.get_image_ready() and taken is not None
        finally:
            if not image_ready:
                await finish(self._abort())
        return taken if image_ready else None

    def _check_reconnect(self, how: Reconnect) -> None:
        if how.unique_id is not None and not self._server.startswith("http:"):
            raise ValueError("a unique_id leads to servers behind http only")

    def _is_lost(self, error: AlpacaError) -> bool:
        """Whether `error` means that this camera's server is away, or was."""
        if isinstance(error, RequestRejected):
            return error.server == self._server and error.status in _AWAY
        lost = isinstance(error, TransportError | IncompleteImage | NotConnectedException)
        return lost and error.server == self._server
