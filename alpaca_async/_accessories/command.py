"""A command on its way, whose reply may be late or lost. It is never sent again."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from alpaca_async._errors import AlpacaError
from alpaca_async._loops import running_loop
from alpaca_async._session.error_mapping import Attempt
from alpaca_async._tasks import wait_for_end

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any, Self

logger = logging.getLogger("alpaca_async")


class SentCommand:
    """An `async with` block during which a command is sent and its reply awaited.

    At its end the request is cancelled if there is no reply so far. A reply is late after
    `usual` seconds. `send` makes the request.
    """

    def __init__(
        self, send: Callable[[Attempt], Coroutine[Any, Any, object]], usual: float
    ) -> None:
        self._attempt = Attempt()
        self._send = send
        self._usual = usual

    async def __aenter__(self) -> Self:
        self._late_from = running_loop().time() + self._usual
        self._request = asyncio.create_task(self._send(self._attempt))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._request.cancel()
        await wait_for_end(self._request)
        if self._lost is not None:
            logger.info("the reply to a command was lost: %s", self._lost)

    async def wait(self, seconds: float) -> None:
        """Wait for the reply, for at most `seconds`."""
        await asyncio.wait([self._request], timeout=seconds)

    @property
    def is_outstanding(self) -> bool:
        """Whether the reply may still come."""
        return not self._request.done()

    @property
    def is_late(self) -> bool:
        """Whether the reply is outstanding for longer than replies usually take."""
        return self.is_outstanding and running_loop().time() >= self._late_from

    @property
    def is_answered(self) -> bool:
        """Whether the device has accepted the command."""
        return not self.is_outstanding and not self._request.cancelled() and self._error is None

    @property
    def refusal(self) -> AlpacaError | None:
        """The error if the command was certainly not executed."""
        error = self._error
        return None if error is None or error.outcome_unknown else error

    @property
    def may_be_executed(self) -> bool:
        """Whether the device may have executed the command, or may still do so."""
        return self._attempt.sent and self.refusal is None

    @property
    def _lost(self) -> AlpacaError | None:
        return None if self.refusal is not None else self._error

    @property
    def _error(self) -> AlpacaError | None:
        if self.is_outstanding or self._request.cancelled():
            return None
        error = self._request.exception()
        if error is not None and not isinstance(error, AlpacaError):
            raise error
        return error
