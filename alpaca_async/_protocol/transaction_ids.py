"""Whether a reply belongs to its request, by the transaction id that the server echoes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from alpaca_async._errors import MalformedResponse

if TYPE_CHECKING:
    from collections.abc import Mapping

CheckTransactionId: TypeAlias = Callable[[int], None]
"""Gets an echoed id; `MalformedResponse` if the reply is refused for it."""

logger = logging.getLogger("alpaca_async")


def transaction_id(fields: Mapping[str, Any], key: str) -> int:
    """Return an id of a JSON reply; one that cannot be read counts as missing."""
    number = fields.get(key)
    return number if type(number) is int else 0


class TransactionIds:
    """Compares echoed ids: a wrong one is logged once for each server, or refused if `strict`.

    Many servers echo nothing, or 0, where they should; that alone is only worth a note.
    """

    def __init__(self, *, strict: bool) -> None:
        self._strict = strict
        self._noted: set[tuple[str, int]] = set()

    def check(self, server: str, sent: int, echoed: int) -> None:
        """Take note of the id in a reply to request `sent`; `MalformedResponse` if refused."""
        if echoed == sent:
            return
        if self._strict:
            raise MalformedResponse(f"the reply to request #{sent} says that it is for #{echoed}")
        level = logging.WARNING if echoed else logging.INFO
        if (server, level) not in self._noted:
            self._noted.add((server, level))
            logger.log(
                level,
                "%s echoed the transaction id %d for %d; more of that will not be logged",
                server,
                echoed,
                sent,
            )
