"""A server in this process, as an async context manager."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Self

from alpaca_async._address import host_and_port

if TYPE_CHECKING:
    from types import TracebackType


class LocalServer(ABC):
    """A server on the running loop: starts and ends with an `async with` block."""

    def __init__(self, host: str) -> None:
        self._host = host

    async def __aenter__(self) -> Self:
        """Start to listen; raise `OSError` if the address is taken."""
        try:
            await self._start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Abort every connection and release the port."""
        await self._stop()

    @property
    def port(self) -> int:
        """The TCP port; raises `RuntimeError` while the server does not run."""
        port = self._listening_port()
        if port is None:
            raise RuntimeError("the server does not run")
        return port

    @property
    def address(self) -> str:
        """`host:port` for clients; raises `RuntimeError` while the server does not run."""
        return host_and_port(self._host, self.port)

    @abstractmethod
    async def _start(self) -> None:
        """Start to listen."""

    @abstractmethod
    async def _stop(self) -> None:
        """Abort every connection and release the port; do nothing if it does not listen."""

    @abstractmethod
    def _listening_port(self) -> int | None:
        """Return the TCP port; None while the server does not run."""
