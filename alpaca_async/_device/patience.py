"""How long failed polls are tolerated: a lost reply says nothing about the device.

One rule for every wait: exposures, connecting, cooling, guiding, recovery. It is for reads only;
a command is never sent again.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, TypeVar

from alpaca_async._errors import AlpacaError, RequestRejected, TransportError
from alpaca_async._session.error_mapping import is_server_failure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

LOSS_GRACE: Final = 10.0
"""Seconds for which every poll may fail before a wait fails."""
_PAUSE: Final = 0.2

logger = logging.getLogger("alpaca_async")


class Patience:
    """Tolerates the failed polls of one wait, until all have failed for `grace` seconds.

    That is `LOSS_GRACE` unless it is given.

    Tolerated are network errors, malformed replies and HTTP 5xx, and any HTTP status if a poll has
    worked before. What the device itself reports, with HTTP 200, is not.
    """

    def __init__(self, grace: float | None = None) -> None:
        self._grace = LOSS_GRACE if grace is None else grace
        self._worked = False
        self._failing_since: float | None = None

    def succeeded(self) -> None:
        """Record a poll that worked."""
        self._worked = True
        self._failing_since = None

    def tolerates(self, error: AlpacaError) -> bool:
        """Record a poll that failed; return whether to go on."""
        if not self._is_transient(error):
            return False
        now = asyncio.get_running_loop().time()
        if self._failing_since is None:  # the log has one line for all that fail in a row
            logger.info("a poll failed, which is tolerated for %g s: %s", self._grace, error)
            self._failing_since = now
        return now - self._failing_since < self._grace

    async def read(self, poll: Callable[[], Awaitable[T]]) -> T:
        """Return what `poll` returns, polling again while its failures are tolerated."""
        while True:
            try:
                value = await poll()
            except AlpacaError as error:
                if not self.tolerates(error):
                    raise
                await asyncio.sleep(_PAUSE)
            else:
                self.succeeded()
                return value

    def _is_transient(self, error: AlpacaError) -> bool:
        if isinstance(error, RequestRejected) and self._worked:
            return True
        return is_loss_of_contact(error)


def is_loss_of_contact(error: AlpacaError) -> bool:
    """Whether `error` says nothing about the device: there was no valid reply."""
    return isinstance(error, TransportError) or is_server_failure(error)
