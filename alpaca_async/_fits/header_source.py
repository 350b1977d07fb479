"""The caller's keywords for the FITS header: given, or read during the exposure."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, TypeAlias, cast

from .keywords import user_cards

Keywords: TypeAlias = Mapping[str, Any]
ReadKeywords: TypeAlias = Callable[[], Awaitable[Keywords]]
HeaderSource: TypeAlias = Keywords | ReadKeywords | None

logger = logging.getLogger("alpaca_async")


class HeaderReader:
    """Awaits the keywords that are given as functions; `found` holds those known so far.

    Raises `ValueError` for a given keyword or value that cannot be in a FITS header.
    """

    def __init__(self, source: HeaderSource) -> None:
        given: dict[str, Any] = {} if source is None or callable(source) else dict(source)
        awaited = [keyword for keyword, value in given.items() if callable(value)]
        self.found = {keyword: given[keyword] for keyword in given if keyword not in awaited}
        user_cards(self.found | dict.fromkeys(awaited))
        self._reads: list[ReadKeywords] = [source] if callable(source) else []
        for keyword in awaited:
            self._reads.append(partial(_read_one, keyword, given[keyword]))

    async def run(self) -> None:
        """Await all concurrently. A failure is logged, and loses only its own keywords."""
        await asyncio.gather(*(self._add(read) for read in self._reads))

    async def _add(self, read: ReadKeywords) -> None:
        try:
            keywords = dict(await read())
            user_cards(keywords)
        except asyncio.CancelledError:
            if cast("asyncio.Task[None]", asyncio.current_task()).cancelling():
                raise
            logger.warning("header keywords are missing: their function was cancelled")
        except Exception as error:  # noqa: BLE001 - the caller's function may raise anything
            logger.warning("header keywords are missing: %r", error)
        else:
            self.found |= keywords


async def _read_one(keyword: str, read: Callable[[], Awaitable[Any]]) -> Keywords:
    return {keyword: await read()}
