"""Limits the time of a reply, which counts from the moment when its request is sent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from alpaca_async._loops import running_loop

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .error_mapping import Attempt


class ReplyDeadline:
    """Raises `TimeoutError` from its `with` block when a reply takes longer than `reply`.

    The time counts from the moment when the request is sent. Until then there are `establish`
    seconds more. Transports that do not report that moment have the sum of both. `attempt`
    is told the same events.

    It cancels its block as `asyncio.timeout` does, in half the processor time, which is noticeable
    in small requests.
    """

    def __init__(self, attempt: Attempt | None, establish: float, reply: float) -> None:
        self._attempt = attempt
        self._establish = establish
        self._reply = reply
        self._loop = running_loop()
        self._expired = False

    def __enter__(self) -> None:
        self._task = cast("asyncio.Task[object]", asyncio.current_task())
        self._cancelling = self._task.cancelling()
        begun = self._loop.time()
        self._due = begun + self._establish + self._reply
        # No deadline is earlier than this. So one timer is enough for a reply that comes in time.
        self._set_timer(begun + self._reply)

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        self._timer.cancel()
        if not self._expired:
            return
        alone = self._task.uncancel() <= self._cancelling  # nobody else has cancelled the task
        if alone and isinstance(error, asyncio.CancelledError):
            raise TimeoutError from error

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Note that the request is sent. The transport calls this as its `trace` extension."""
        if self._attempt is not None:
            await self._attempt.trace(event, info)
        if event.endswith(".send_request_headers.started"):
            self._due = self._loop.time() + self._reply
            if self._timer_due > self._due:  # connecting took longer than a reply may
                self._timer.cancel()
                self._set_timer(self._due)

    def _set_timer(self, due: float) -> None:
        self._timer_due = due  # the timers of some event loops cannot tell
        self._timer = self._loop.call_at(due, self._check)

    def _check(self) -> None:
        if self._loop.time() < self._due:
            self._set_timer(self._due)
        else:
            self._expired = True
            self._task.cancel()
