"""Checks that a reply belongs to its request, by the transaction id that the server echoes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from alpaca_async._errors import MalformedResponse

if TYPE_CHECKING:
    from collections.abc import Mapping

CheckTransactionId: TypeAlias = Callable[[int], None]
"""Called with an echoed id; raises `MalformedResponse` to refuse the reply."""

logger = logging.getLogger("alpaca_async")


def transaction_id(fields: Mapping[str, Any], key: str) -> int:
    """Return an id of a JSON reply; 0 if it is missing or not an integer."""
    number = fields.get(key)
    return number if type(number) is int else 0


class TransactionIds:
    """Compares echoed ids with sent ones. Logs a mismatch once per server, or refuses if `strict`.

    Many servers echo no id, or 0. Such a mismatch is logged at level INFO, others as WARNING.
    """

    def __init__(self, *, strict: bool) -> None:
        self._strict = strict
        self._logged: set[tuple[str, int]] = set()

    def check(self, server: str, sent: int, echoed: int) -> None:
        """Check the id in the reply to request `sent`; raise `MalformedResponse` if refused."""
        if echoed == sent:
            return
        if self._strict:
            raise MalformedResponse(f"the reply to request #{sent} has the transaction id {echoed}")
        level = logging.WARNING if echoed else logging.INFO
        if (server, level) not in self._logged:
            self._logged.add((server, level))
            logger.log(
                level,
                "%s echoed the transaction id %d for request %d; further ones are not logged",
                server,
                echoed,
                sent,
            )
