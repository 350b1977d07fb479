"""Waiting until a camera is idle: some are busy for seconds after an abort."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, TypeVar

from alpaca_async._device.icamera import ICameraV4
from alpaca_async._device.patience import Patience
from alpaca_async._device.verbs import pauses
from alpaca_async._enums import CameraStates
from alpaca_async._errors import (
    AlpacaError,
    AscomError,
    NotImplementedException,
    TransportTimeout,
    reason_of,
)
from alpaca_async._tasks import finish

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

BUSY: Final = frozenset(
    {CameraStates.WAITING, CameraStates.EXPOSING, CameraStates.READING, CameraStates.DOWNLOAD}
)
_IDLE_LIMIT: Final = 60.0
"""Seconds after which a camera that stays busy is asked to expose all the same."""
_ABORT_LIMIT: Final = 5.0
"""Seconds that an abort may take."""
READ_LIMIT: Final = 2.0
"""Seconds to wait for a reply while a camera is brought back, over a network that loses some."""

logger = logging.getLogger("alpaca_async")


class Idling(ICameraV4):
    """A camera that can be brought back to idle."""

    async def connect(
        self, *, timeout: float = 30.0, wait: bool = True, abort: bool = False
    ) -> None:
        """Connect the camera, and wait until it is connected.

        Uses `Connect` on cameras of Platform 7, `Connected = True` on older ones. Tasks that
        connect at the same time share one attempt. If it fails, times out or is cancelled, the
        camera is disconnected again if it is known that it was not connected before. With
        `wait=False` the call only sends the command: see `get_connecting`.

        With `abort`, an exposure that another program left running is aborted, and the call waits
        until the camera is idle.

        Raises:
            OperationTimeout: not connected within `timeout` seconds, however long that is.
            OperationFailed: the camera finished connecting, but is not connected.
        """
        await super().connect(timeout=timeout, wait=wait)
        if abort:
            async with self._operation("abortexposure"):
                await self._take_over()

    async def _take_over(self) -> None:
        if await Patience().read(self.get_camera_state) in BUSY:
            logger.warning("%r is exposing for another program: the exposure is aborted", self)
            await self._abort_and_wait()

    async def _abort(self) -> None:
        """Try to return the camera to idle, for at most `_ABORT_LIMIT` seconds."""
        try:
            async with asyncio.timeout(_ABORT_LIMIT):
                try:
                    await self.abort_exposure()
                except NotImplementedException:
                    await self.stop_exposure()
        except (AlpacaError, TimeoutError) as error:
            reason = reason_of(error, _ABORT_LIMIT)
            logger.warning("%r: the exposure could not be aborted: %s", self, reason)

    async def _wait_until_idle(self) -> bool:
        """Wait until the camera is no longer busy; return whether it was.

        Ends after `_IDLE_LIMIT` seconds, since some cameras are never idle.
        """
        patience = Patience()
        was_busy = False
        for pause in pauses(_IDLE_LIMIT):
            try:
                state = await self._read_again("camerastate", self.get_camera_state, patience)
            except AscomError as error:
                logger.info("the camera does not tell its state: %s", error)
                break
            if state not in BUSY:
                break
            if not was_busy:
                logger.info("%r is %s: waiting until it is idle", self, state.name)
            was_busy = True
            await asyncio.sleep(pause)
        return was_busy

    async def _abort_and_wait(self) -> None:
        """Abort what may be running, and wait until the camera can expose again."""
        await finish(self._abort())
        await self._wait_until_idle()

    async def _read_again(
        self, member: str, read: Callable[[], Awaitable[T]], patience: Patience
    ) -> T:
        """Read `member`; a lost reply costs `READ_LIMIT` seconds, not those that replies have."""

        async def read_in_time() -> T:
            try:
                async with asyncio.timeout(READ_LIMIT):
                    return await read()
            except TimeoutError as error:
                if isinstance(error, AlpacaError):
                    raise
                late = TransportTimeout(f"no reply within {READ_LIMIT:g} s")
                raise late.at(self._server, self._member(member)) from None

        return await patience.read(read_in_time)
