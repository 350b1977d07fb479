"""Tells whether two addresses lead to the same server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from alpaca_async._address import origin
from alpaca_async._errors import AlpacaError

if TYPE_CHECKING:
    from alpaca_async._session.session import Session

_ROUNDS: Final = 3
_PATH: Final = "management/v1/configureddevices"


async def is_same_server(session: Session, address: str, other: str) -> bool:
    """Return whether two addresses lead to one server, as far as its replies tell.

    A server numbers its replies, whatever address they are sent from. So if requests go to both
    addresses in turn, the numbers of one server increase from reply to reply; those of two
    servers do not. False if the replies have no numbers, or if a request fails.
    """
    last = 0
    try:
        for _ in range(_ROUNDS):
            for each in (address, other):
                reply = await session.get(origin(each), _PATH)
                if reply.server_transaction_id <= last:
                    return False
                last = reply.server_transaction_id
    except AlpacaError:
        return False
    return True
