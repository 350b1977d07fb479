"""Which recorded exchange answers a request. Pure."""

from __future__ import annotations

import logging
from bisect import bisect_left, bisect_right
from collections import defaultdict
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ._recording import RecordedExchange

    Parameters = frozenset[tuple[str, str]]

_IDS: Final = frozenset({"clientid", "clienttransactionid"})

logger = logging.getLogger("alpaca_async.testing")


class Script:
    """The exchanges with one device, in their order, and how far a client is in them."""

    def __init__(self, exchanges: list[RecordedExchange]) -> None:
        self._exchanges = exchanges
        self._commands = [at for at, exchange in enumerate(exchanges) if exchange.verb == "PUT"]
        self._at = -1
        """The index of the last command that a client has repeated."""
        self._similar: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        self._same: defaultdict[tuple[str, str, Parameters], list[int]] = defaultdict(list)
        self._used: dict[tuple[str, str], int] = {}
        """The index of the last read of each member that was answered."""
        for index, exchange in enumerate(exchanges):
            key = exchange.verb, member_of(exchange.target)
            self._similar[key].append(index)
            self._same[*key, _values(parameters_of(exchange))].append(index)

    def next(
        self, verb: str, member: str, parameters: Iterable[tuple[str, str]]
    ) -> RecordedExchange | None:
        """Return the exchange that answers a request; None if there is none like it.

        An exchange with the same parameters is preferred to another of the same member.
        """
        values = _values(parameters)
        indices = self._same.get((verb, member, values))
        if indices is None:
            indices = self._similar.get((verb, member))
            if indices is None:
                return None
            logger.warning("%s %s was recorded with other values: %s", verb, member, dict(values))
        if verb == "PUT":
            return self._exchanges[self._next_command(indices)]
        index = self._next_read(indices, self._used.get((verb, member), -1))
        self._used[verb, member] = index
        return self._exchanges[index]

    def _next_command(self, indices: list[int]) -> int:
        """Return the next of `indices`, and go on to there; the last one if there is no next."""
        index = indices[min(bisect_right(indices, self._at), len(indices) - 1)]
        self._at = max(self._at, index)
        return index

    def _next_read(self, indices: list[int], used: int) -> int:
        """Return the next of `indices` before the next command; else the last one before that."""
        end = bisect_left(indices, self._next_command_index())
        following = bisect_right(indices, max(self._at, used))
        return indices[max(min(following, end - 1), 0)]

    def _next_command_index(self) -> int:
        position = bisect_right(self._commands, self._at)
        return self._commands[position] if position < len(self._commands) else len(self._exchanges)


def parameters_of(exchange: RecordedExchange) -> list[tuple[str, str]]:
    """Return the parameters in the query and in the form of a request."""
    query = exchange.target.partition("?")[2]
    return parse_qsl(f"{query}&{exchange.form}", keep_blank_values=True)


def device_of(target: str) -> str:
    """Return the path of a request up to the member, in lower case."""
    return _path_of(target).rpartition("/")[0]


def member_of(target: str) -> str:
    """Return the last part of the path of a request, in lower case."""
    return _path_of(target).rpartition("/")[2]


def _path_of(target: str) -> str:
    return target.partition("?")[0].lower()


def _values(parameters: Iterable[tuple[str, str]]) -> Parameters:
    """Return parameters in lower case without ids: clients spell names and booleans differently."""
    lower = ((name.lower(), value.lower()) for name, value in parameters)
    return frozenset((name, value) for name, value in lower if name not in _IDS)
