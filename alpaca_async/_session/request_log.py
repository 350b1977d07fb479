"""One log line for each request: how it was answered, or why it failed."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field
from typing import Final, Self

from alpaca_async._errors import AlpacaError

_MS: Final = 1e3

logger = logging.getLogger("alpaca_async")


@dataclass(slots=True)
class RequestLog:
    """Logs what becomes of one request, a context manager around it; pixels are never logged."""

    method: str
    server: str
    path: str
    number: int
    """The client's transaction id."""
    _begun: float = field(default_factory=time.perf_counter)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, AlpacaError):
            self._log("failed after %.1f ms: %s", self._milliseconds, str(error))
        elif isinstance(error, asyncio.CancelledError):
            self._log("cancelled after %.1f ms", self._milliseconds)

    def answered(self, server_number: int) -> None:
        """Log the reply; `server_number` is the server's transaction id."""
        self._log("server's #%d after %.1f ms", server_number, self._milliseconds)

    @property
    def _milliseconds(self) -> float:
        return (time.perf_counter() - self._begun) * _MS

    def _log(self, text: str, *values: object) -> None:
        if logger.isEnabledFor(logging.DEBUG):
            request = f"{self.method} {self.server}/{self.path} #{self.number}"
            logger.debug("%s: " + text, request, *values)  # noqa: G003 - a constant
