"""Stream: wraps an async generator so that its background work ends reliably."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from ._loops import running_loop

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable
    from typing import Self

T_co = TypeVar("T_co", covariant=True)


class Stream(Generic[T_co]):
    """An async iterator. Used with `async with`, it stops its background work at block exit.

    A plain `async for` that is left early also stops it, as soon as the stream is garbage
    collected: at once in CPython, but without waiting until it has ended.
    """

    def __init__(self, source: AsyncGenerator[T_co]) -> None:
        self._source = source

    def __aiter__(self) -> Self:
        return self

    def __anext__(self) -> Awaitable[T_co]:
        running_loop()
        return self._source.__anext__()

    async def __aenter__(self) -> Self:
        running_loop()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Stop the stream, and wait until its background work has ended."""
        await self._source.aclose()
