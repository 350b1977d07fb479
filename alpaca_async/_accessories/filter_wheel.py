"""AsyncFilterWheel: IFilterWheelV3, and moving to a filter by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from alpaca_async._errors import InvalidValueException
from alpaca_async._protocol.values import check_int, decode_integers, decode_strings, quoted

from .movement import Movement, Moving

if TYPE_CHECKING:
    from alpaca_async._session.session import Session

    from .command import SentCommand

_WHEEL: Final = "wheel"


class AsyncFilterWheel(Moving):
    """A filter wheel of an Alpaca server; made and closed as `AsyncDevice` is.

    The members of IFilterWheelV3 are `get_names`, `get_focus_offsets`, `get_position` and
    `set_position`, each one request. `move_to` waits until the filter is in place.
    """

    def __init__(
        self, address: str, device_number: int = 0, *, client: Session | None = None
    ) -> None:
        super().__init__(address, "filterwheel", device_number, client=client)

    async def get_names(self) -> list[str]:
        """The names of the filters, by position."""
        return await self._read("Names", decode_strings)

    async def get_focus_offsets(self) -> list[int]:
        """The focus offsets of the filters, in steps of the focuser, by position."""
        return await self._read("FocusOffsets", decode_integers)

    async def get_position(self) -> int:
        """The position of the filter in place, from 0; -1 while the wheel moves."""
        return await self._get("Position", int)

    async def set_position(self, position: int) -> None:
        """Start to move to `position`, from 0."""
        await self._send(_WHEEL, "Position", {"Position": check_int("position", position)})

    async def move_to(self, filter: str | int, *, timeout: float | None = 60.0) -> None:  # noqa: A002 - the field's word
        """Move to a filter, given by its name or by its position from 0, and wait for it.

        `timeout` in seconds; None waits as long as it takes. A name may be in upper or lower
        case, unless two names differ only in that. ASCOM cannot halt a wheel: if the call is
        cancelled, the wheel moves on.

        Raises:
            InvalidValueException: there is no such filter, or there are several of that name.
            OperationTimeout: the filter is not in place after `timeout` seconds, perhaps because
                the command was lost: then `outcome_unknown` is true.
            OperationFailed: another task sent the wheel elsewhere.
        """
        target = (
            await self._find(filter) if isinstance(filter, str) else check_int("filter", filter)
        )

        async def poll(_: SentCommand) -> str | None:
            position = await self.get_position()
            return None if position == target else f"at position {position}, not {target},"

        movement = Movement(part=_WHEEL, command="Position", fields={"Position": target})
        await self._move(movement, poll, timeout)

    async def _find(self, name: str) -> int:
        """Return the position of the filter called `name`."""
        names = await self.get_names()
        in_any_case = [each for each in names if each.casefold() == name.casefold()]
        found = [each for each in in_any_case if each == name] or in_any_case
        if len(found) == 1:
            return names.index(found[0])
        problem = "several filters have" if found else "no filter has"
        error = InvalidValueException(0x401, f"{problem} the name {quoted(name)}: {quoted(names)}")
        raise error.at(self._server, self._member("names"))
