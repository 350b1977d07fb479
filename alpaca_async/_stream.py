"""Stream: what an async generator makes, with a definite end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable
    from typing import Self

T_co = TypeVar("T_co", covariant=True)


class Stream(Generic[T_co]):
    """An async iterator; `async with` ends what it does behind the scenes when the block is left.

    A bare `async for` that is left early ends it, too, as soon as nothing refers to the stream:
    at once in CPython, but without waiting for it.
    """

    def __init__(self, source: AsyncGenerator[T_co]) -> None:
        self._source = source

    def __aiter__(self) -> Self:
        return self

    def __anext__(self) -> Awaitable[T_co]:
        return self._source.__anext__()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End it, and wait until nothing of it is left."""
        await self._source.aclose()
