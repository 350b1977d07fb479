"""AsyncSafetyMonitor: ISafetyMonitorV3, where what cannot be read is unsafe."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Final

from alpaca_async._device.device import AsyncDevice
from alpaca_async._device.patience import Patience, is_loss_of_contact
from alpaca_async._device.poller import Poller, listen
from alpaca_async._errors import AlpacaError
from alpaca_async._protocol.values import check_duration
from alpaca_async._stream import Stream
from alpaca_async._tasks import cancel

if TYPE_CHECKING:
    from alpaca_async._session.session import Session

_POLLS: Final = 3
"""How many polls are sent at regular intervals within the limit while none is answered."""

logger = logging.getLogger("alpaca_async")


class AsyncSafetyMonitor(AsyncDevice):
    """A safety monitor of an Alpaca server; made and closed as `AsyncDevice` is.

    `get_is_safe` is the member of ISafetyMonitorV3, one request. For `is_safe` and `watch`, a
    monitor that is unreachable, not connected or broken is unsafe.
    """

    def __init__(
        self, address: str, device_number: int = 0, *, client: Session | None = None
    ) -> None:
        super().__init__(address, "safetymonitor", device_number, client=client)

    async def get_is_safe(self) -> bool:
        """Whether it is safe. Raises an error if the monitor does not say so."""
        return await self._get("IsSafe", bool)

    async def is_safe(self, *, timeout: float = 5.0) -> bool:
        """Return whether the monitor says that it is safe.

        False if it does not answer within `timeout` seconds, and at once if it reports an error,
        such as that it is not connected. The reason is logged as a warning. Failed polls are
        repeated, and a third of the time without a reply leads to another poll beside the first,
        so that one lost reply is not taken for danger, nor is a slow server.

        Raises:
            TransportError: the client is closed.
        """
        limit = check_duration("timeout", timeout)
        async with self._operation("issafe"):
            return await self._read_safety(limit)

    def watch(self, interval: float = 0.5, *, timeout: float = 5.0) -> Stream[bool]:
        """Yield what `is_safe` returns, read every `interval` seconds.

        All listeners with the same `interval` and `timeout` share one poll; a slow listener gets
        only the latest value. The stream ends only with the client, which raises
        `TransportError`. Use it with `async with`; polling ends with the last listener.
        """
        if check_duration("interval", interval) == 0:
            raise ValueError("interval must be positive")
        read = partial(self._read_safety, check_duration("timeout", timeout))

        def make() -> Poller[bool]:
            return Poller(read, interval, self._operation("issafe"))

        return Stream(listen(self._record.pollers, (interval, timeout), make))

    async def _read_safety(self, limit: float) -> bool:
        try:
            async with asyncio.timeout(limit):
                return await Patience(limit).read(partial(self._poll_safety, limit / _POLLS))
        except AlpacaError as error:
            logger.warning("%r counts as unsafe: %s", self, error)
        except TimeoutError:
            logger.warning("%r counts as unsafe: no answer within %g s", self, limit)
        return False

    async def _poll_safety(self, interval: float) -> bool:
        """Return the first answer to polls that are `interval` seconds apart, or their error.

        A poll that failed on its way is ignored while another one is outstanding. After a pause
        the server may answer several at the same moment: then all must say that it is safe.
        """
        polls = {asyncio.create_task(self.get_is_safe())}
        try:
            while True:
                done, polls = await asyncio.wait(
                    polls, timeout=interval, return_when=asyncio.FIRST_COMPLETED
                )
                lost = {poll for poll in done if _is_lost(poll)}
                if ended := done - lost or (lost if not polls else set()):
                    return all(poll.result() for poll in ended)
                if not done:
                    polls.add(asyncio.create_task(self.get_is_safe()))
        finally:
            await cancel(*polls)


def _is_lost(poll: asyncio.Task[bool]) -> bool:
    error = poll.exception()
    return isinstance(error, AlpacaError) and is_loss_of_contact(error)
