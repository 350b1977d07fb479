"""An event loop under which Ctrl-C is a cancellation that cleans up to its end.

So are SIGTERM, and SIGHUP, which comes when the window of a terminal is closed.
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


def run(story: Coroutine[Any, Any, None]) -> None:
    """Run `story`; `Interrupted`, its own or one that says no more, after Ctrl-C.

    Only the first Ctrl-C counts: asyncio would break off at the second, wherever the code is,
    and leave a camera exposing. What a cancelled story still does is bounded in time.
    """
    try:
        asyncio.run(_interruptible(story))
    except ExceptionGroup as group:
        raise _first(group) from group


def _first(group: ExceptionGroup[Exception]) -> Exception:
    """Return what a task of `group` ran into first: a person is told one reason."""
    error = group.exceptions[0]
    return _first(error) if isinstance(error, ExceptionGroup) else error  # pyright: ignore[reportUnknownArgumentType] - it forgets of what


async def _interruptible(story: Coroutine[Any, Any, None]) -> None:
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(story)
    pressed = False

    def press(*_: object) -> None:
        nonlocal pressed
        if not pressed:
            pressed = True
            loop.call_soon_threadsafe(task.cancel)

    previous = {number: signal.signal(number, press) for number in _SIGNALS}
    try:
        await task
    except asyncio.CancelledError:
        raise Interrupted("interrupted") from None
    finally:
        if not pressed:  # else the process ends, which nothing should disturb either
            for number, handler in previous.items():
                signal.signal(number, handler)
