"""Runs a coroutine in an event loop where Ctrl-C cancels it and lets it clean up.

SIGTERM does the same, and SIGHUP, which is sent when a terminal window is closed. A signal that is
ignored, as SIGHUP is under nohup, stays ignored.
"""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any, Final

from ._console import Interrupted

if TYPE_CHECKING:
    from collections.abc import Coroutine

_SIGNALS: Final = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run `coroutine`; raise `Interrupted` after Ctrl-C, with the coroutine's message if any.

    Only the first Ctrl-C has an effect: at the second, asyncio would stop the cleanup and leave
    the camera exposing. All cleanup has a time limit.
    """
    try:
        asyncio.run(_interruptible(coroutine))
    except ExceptionGroup as group:
        raise _first_error(group) from group


def _first_error(group: ExceptionGroup[Exception]) -> Exception:
    """Return the first error in `group`: the command reports one error."""
    error = group.exceptions[0]
    return _first_error(error) if isinstance(error, ExceptionGroup) else error  # pyright: ignore[reportUnknownArgumentType] - the type argument is lost


async def _interruptible(coroutine: Coroutine[Any, Any, None]) -> None:
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(coroutine)
    cancelled = False

    def cancel_once(*_: object) -> None:
        nonlocal cancelled
        if not cancelled:
            cancelled = True
            loop.call_soon_threadsafe(task.cancel)

    handled = [each for each in _SIGNALS if signal.getsignal(each) is not signal.SIG_IGN]  # nohup
    previous = {number: signal.signal(number, cancel_once) for number in handled}
    try:
        await task
    except asyncio.CancelledError:
        raise Interrupted("interrupted") from None
    finally:
        if not cancelled:  # after Ctrl-C the process exits: ignore further signals until then
            for number, handler in previous.items():
                signal.signal(number, handler)
