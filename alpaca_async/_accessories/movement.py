"""Movements: one command, a wait for its end, and a halt if the wait ends early."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping  # noqa: TC003 - of a dataclass
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from alpaca_async._device.device import AsyncDevice
from alpaca_async._errors import AlpacaError, OperationFailed, OperationTimeout
from alpaca_async._loops import running_loop
from alpaca_async._session.error_mapping import Attempt
from alpaca_async._session.session import NO_FIELDS
from alpaca_async._tasks import finish

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_HALT_LIMIT: Final = 5.0
"""Seconds that a halt may take."""
_LONGEST_REPLY: Final = 86400.0
"""Seconds for the reply to a command whose caller has a limit of its own, or wants none: a day."""
SETTLED: Final = 2.0
"""Seconds without a change after which a device is not about to move any more.

Some servers answer a command before their driver has begun to execute it.
"""

logger = logging.getLogger("alpaca_async")


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """The movement of a part of a device."""

    part: str
    """What moves: a new command replaces an earlier one for the same part."""
    command: str
    fields: Mapping[str, object] = field(default_factory=dict[str, object])
    halt: str | None = None
    """The command that stops it; None if ASCOM has none."""


class Moving(AsyncDevice):
    """A device with parts that move.

    What moved a part last is in the record of the device, which all objects of a client share: a
    movement that another one has replaced fails, and does not halt that one.
    """

    async def _move(
        self,
        movement: Movement,
        poll: Callable[[], Awaitable[str | None]],
        timeout: float | None,
    ) -> None:
        """Send the command of `movement` and poll as `Wait.until_done` does.

        If that ends early, the part is halted, unless another command has replaced this one.
        """
        attempt = Attempt()
        token: object = None
        async with self._operation(movement.command):
            try:
                async with self._waiting(movement.command, timeout) as wait:
                    limit = min(wait.limit, _LONGEST_REPLY)
                    token = await self._start(movement, limit, attempt)
                    await wait.until_done(self._unless_replaced(movement, token, poll))
            except (Exception, asyncio.CancelledError) as error:
                failed = isinstance(error, OperationFailed) and not isinstance(
                    error, OperationTimeout
                )
                if attempt.sent and not failed and self._is_latest(movement.part, token):
                    await finish(self._halt(movement))
                raise

    async def _start(self, movement: Movement, limit: float, attempt: Attempt) -> object:
        """Send the command; if its reply is lost, go on: polling shows whether it moves."""
        try:
            await self._call(movement.command, movement.fields, timeout=limit, attempt=attempt)
        except AlpacaError as error:
            if not error.outcome_unknown:
                attempt.sent = False  # there is nothing to halt
                raise
            logger.info("the reply to a command was lost, its outcome is polled: %s", error)
        return self._replace(movement.part)

    async def _send(
        self, part: str, command: str, fields: Mapping[str, object] = NO_FIELDS
    ) -> None:
        """Send a command that starts or stops a movement of `part`, and do not wait."""
        await self._call(command, fields, timeout=self._long)
        self._replace(part)

    def _replace(self, part: str) -> object:
        """Record that a command was sent that replaces any other for `part`; return its token."""
        token = self._record.movements[part] = object()
        return token

    def _is_latest(self, part: str, token: object) -> bool:
        """Whether no command has replaced that of `token`; None is one without a reply so far."""
        return token is None or self._record.movements.get(part) is token

    def _unless_replaced(
        self, movement: Movement, token: object, poll: Callable[[], Awaitable[str | None]]
    ) -> Callable[[], Awaitable[str | None]]:
        async def checked() -> str | None:
            state = await poll()
            if not self._is_latest(movement.part, token):
                raise self._failure(
                    movement.command, "another command has stopped or replaced this movement"
                )
            return state

        return checked

    async def _halt(self, movement: Movement) -> None:
        """Try to stop a movement, for at most `_HALT_LIMIT` seconds."""
        if movement.halt is None:
            return
        try:
            async with asyncio.timeout(_HALT_LIMIT):
                await self._send(movement.part, movement.halt)
            logger.warning("%r: %s ended early: sent %s", self, movement.command, movement.halt)
        except (AlpacaError, TimeoutError) as error:
            logger.warning("%r: %s failed: %s", self, movement.halt, error)

    def _failure(self, member: str, reason: str) -> OperationFailed:
        return OperationFailed(reason).at(self._server, self._member(member))


class Stillness:
    """For how long what is polled has been the same."""

    def __init__(self) -> None:
        self._clock = running_loop().time
        self._last: object = None
        self._since = self._clock()

    def lasted(self, state: object, *, moving: bool) -> bool:
        """Record a poll; return whether nothing has moved or changed for `SETTLED` seconds."""
        if moving or state != self._last:
            self._last = state
            self._since = self._clock()
        return self._clock() - self._since >= SETTLED
