"""Movements: one command, a wait for its end, and a halt if the wait ends early."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeAlias

from alpaca_async._device.device import AsyncDevice
from alpaca_async._device.patience import is_loss_of_contact
from alpaca_async._errors import AlpacaError, OperationFailed, OperationTimeout, reason_of
from alpaca_async._loops import running_loop
from alpaca_async._session.session import NO_FIELDS
from alpaca_async._tasks import finish

from .command import SentCommand

Poll: TypeAlias = Callable[[SentCommand], Awaitable[str | None]]
"""Returns None when the movement is over, else its state; the argument is the command sent."""

_HALT_LIMIT: Final = 5.0
"""Seconds that a halt may take."""
_FIRST_POLL: Final = 2.0
"""Seconds after which the device is polled while there is no reply to the command."""
_LONGEST_REPLY: Final = 86400.0
"""Seconds for the reply to a command whose caller has a limit of its own, or wants none: a day."""
_NEVER_BLOCKS: Final = {"covercalibrator": 1, "focuser": 4}
"""By device type, the first interface version whose commands return before the movement ends."""
SETTLED: Final = 2.0
"""Seconds without a change after which a device is not about to move any more.

Some servers answer a command before their driver has begun to execute it.
"""

_NUMBERS: Final = itertools.count(1)
"""The numbers of all commands that start or stop a movement, in the order of sending."""

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

    async def _move(self, movement: Movement, poll: Poll, timeout: float | None) -> None:
        """Send the command of `movement` and poll as `Wait.until_done` does.

        The device is polled while the reply is outstanding, too: it may be lost, and some servers
        answer only when the movement is over. If the wait ends early, the part is halted, unless
        another command has replaced this one.
        """
        wait = self._waiting(movement.command, timeout)
        command = self._command_of(movement, wait.limit)
        claim = _Claim(self._record.movements, movement.part)
        async with self._operation(movement.command):
            try:
                async with wait, command:
                    await command.wait(min(_FIRST_POLL, self._session.timeouts.reply))
                    if command.refusal is None:
                        claim.take()
                        await wait.until_done(self._checked(movement, command, claim, poll))
                    if command.refusal is not None:
                        raise command.refusal
            except (Exception, asyncio.CancelledError) as error:
                _note_outcome(error, command)
                if claim.is_latest and _may_be_moving(error, command):
                    await finish(self._halt(movement))
                raise

    def _command_of(self, movement: Movement, limit: float) -> SentCommand:
        """Return the command, whose reply may take as long as the movement: up to `limit`."""
        limit = min(limit, _LONGEST_REPLY)
        send = partial(self._call, movement.command, movement.fields, timeout=limit)
        return SentCommand(lambda attempt: send(attempt=attempt), self._session.timeouts.reply)

    def _checked(
        self, movement: Movement, command: SentCommand, claim: _Claim, poll: Poll
    ) -> Callable[[], Awaitable[str | None]]:
        """Return `poll`, which also ends the wait if the command is refused or replaced."""

        async def checked() -> str | None:
            if command.refusal is not None:
                return None
            try:
                state = await poll(command)
            except AlpacaError as error:
                if not await self._may_still_move(command, error):
                    raise
                state = error.reason
            if not claim.is_latest:
                raise self._failure(
                    movement.command, "another command has stopped or replaced this movement"
                )
            return state

        return checked

    async def _may_still_move(self, command: SentCommand, error: AlpacaError) -> bool:
        """Whether the failed poll tells nothing, because the server may be busy with the command.

        A server that does nothing else until a movement ends does not answer polls, or reports the
        state from before it.
        """
        if not command.is_outstanding:
            return False
        if isinstance(error, OperationFailed):
            return not command.is_late or await self._may_block()
        return is_loss_of_contact(error)

    async def _may_block(self) -> bool:
        """Whether this version of the interface lets commands return when the movement is over."""
        try:
            return await self.get_interface_version() < _NEVER_BLOCKS[self._type]
        except AlpacaError:
            return True

    async def _send(
        self, part: str, command: str, fields: Mapping[str, object] = NO_FIELDS
    ) -> None:
        """Send a command that starts or stops a movement of `part`, and do not wait."""
        claim = _Claim(self._record.movements, part)
        await self._call(command, fields, timeout=self._long)
        claim.take()

    async def _halt(self, movement: Movement) -> None:
        """Try to stop a movement, for at most `_HALT_LIMIT` seconds."""
        if movement.halt is None:
            return
        try:
            async with asyncio.timeout(_HALT_LIMIT):
                await self._send(movement.part, movement.halt)
            logger.warning("%r: %s ended early: sent %s", self, movement.command, movement.halt)
        except (AlpacaError, TimeoutError) as error:
            reason = reason_of(error, _HALT_LIMIT)
            logger.warning("%r: %s failed: %s", self, movement.halt, reason)

    def _failure(self, member: str, reason: str) -> OperationFailed:
        return OperationFailed(reason).at(self._server, self._member(member))


class _Claim:
    """Tells whether a command is the last one for a part of the device.

    Make it before the command is sent: replies may come in another order.
    """

    def __init__(self, movements: dict[str, int], part: str) -> None:
        self._movements = movements
        self._part = part
        self._number = next(_NUMBERS)

    def take(self) -> None:
        """Record that the command was sent, unless a later one has been recorded."""
        if self.is_latest:
            self._movements[self._part] = self._number

    @property
    def is_latest(self) -> bool:
        """Whether no later command for this part has been recorded."""
        return self._movements.get(self._part, 0) <= self._number


def _note_outcome(error: BaseException, command: SentCommand) -> None:
    """Say in an error of the wait whether the device may have executed the unanswered command."""
    if isinstance(error, AlpacaError) and not command.is_answered:
        error.outcome_unknown = command.may_be_executed


def _may_be_moving(error: BaseException, command: SentCommand) -> bool:
    """Whether the part has to be halted after `error`; not if it was seen to rest."""
    rests = isinstance(error, OperationFailed) and not isinstance(error, OperationTimeout)
    return command.may_be_executed and not rests


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
