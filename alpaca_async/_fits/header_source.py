"""What the caller of an exposure wants in the headers of files: given, or read meanwhile."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, TypeAlias, cast

from .keywords import callers_cards

Keywords: TypeAlias = Mapping[str, Any]
ReadKeywords: TypeAlias = Callable[[], Awaitable[Keywords]]
HeaderSource: TypeAlias = Keywords | ReadKeywords | None

logger = logging.getLogger("alpaca_async")


class HeaderReader:
    """Reads what has to be awaited; `found` are the keywords there are so far.

    `ValueError` for a given one that cannot be in a FITS header.
    """

    def __init__(self, source: HeaderSource) -> None:
        given: dict[str, Any] = {} if source is None or callable(source) else dict(source)
        late = [keyword for keyword, value in given.items() if callable(value)]
        self.found = {keyword: given[keyword] for keyword in given if keyword not in late}
        callers_cards(self.found | dict.fromkeys(late))
        self._reads: list[ReadKeywords] = [source] if callable(source) else []
        for keyword in late:
            self._reads.append(partial(_read_one, keyword, given[keyword]))

    async def run(self) -> None:
        """Await all at once. None that fails costs the frame, nor the other keywords."""
        await asyncio.gather(*(self._add(read) for read in self._reads))

    async def _add(self, read: ReadKeywords) -> None:
        try:
            keywords = dict(await read())
            callers_cards(keywords)
        except asyncio.CancelledError:
            if cast("asyncio.Task[None]", asyncio.current_task()).cancelling():
                raise
            logger.warning("keywords for the header are missing: their source was cancelled")
        except Exception as error:  # noqa: BLE001 - the caller's function may raise anything
            logger.warning("keywords for the header are missing: %r", error)
        else:
            self.found |= keywords


async def _read_one(keyword: str, read: Callable[[], Awaitable[Any]]) -> Keywords:
    return {keyword: await read()}
