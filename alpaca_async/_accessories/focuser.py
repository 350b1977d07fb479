"""AsyncFocuser: IFocuserV4, and movements that are waited for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from alpaca_async._errors import InvalidOperationException
from alpaca_async._protocol.values import check_bool, check_count, check_int

from .movement import Movement, Moving, Poll, Stillness

if TYPE_CHECKING:
    from alpaca_async._session.session import Session

    from .command import SentCommand

_DRAWTUBE: Final = "drawtube"


class AsyncFocuser(Moving):
    """A focuser of an Alpaca server; made and closed as `AsyncDevice` is.

    `get_x`, `set_temp_comp`, `move` and `halt` are the members of IFocuserV4, each one request.
    `move_to` and `move_by` wait for the end of the movement.
    """

    def __init__(
        self, address: str, device_number: int = 0, *, client: Session | None = None
    ) -> None:
        super().__init__(address, "focuser", device_number, client=client)

    async def get_absolute(self) -> bool:
        """Whether the focuser knows its position; otherwise `move` takes a distance."""
        return await self._get("Absolute", bool)

    async def get_is_moving(self) -> bool:
        """Whether the focuser is moving."""
        return await self._get("IsMoving", bool)

    async def get_max_increment(self) -> int:
        """The longest movement, in steps."""
        return await self._get("MaxIncrement", int)

    async def get_max_step(self) -> int:
        """The largest position, in steps; the smallest is 0."""
        return await self._get("MaxStep", int)

    async def get_position(self) -> int:
        """The position, in steps. Only absolute focusers have one."""
        return await self._get("Position", int)

    async def get_step_size(self) -> float:
        """The length of a step, in micrometres."""
        return await self._get("StepSize", float)

    async def get_temp_comp(self) -> bool:
        """Whether the focuser follows the temperature."""
        return await self._get("TempComp", bool)

    async def set_temp_comp(self, temp_comp: bool) -> None:
        """Turn temperature compensation on or off."""
        await self._set_bool("TempComp", check_bool("temp_comp", temp_comp))

    async def get_temp_comp_available(self) -> bool:
        """Whether the focuser can follow the temperature."""
        return await self._get("TempCompAvailable", bool)

    async def get_temperature(self) -> float:
        """The temperature of the surroundings, in °C."""
        return await self._get("Temperature", float)

    async def halt(self) -> None:
        """Stop the movement; a `move_to` of this client that waits for it fails."""
        await self._send(_DRAWTUBE, "Halt")

    async def move(self, position: int) -> None:
        """Start to move to `position`, in steps; a relative focuser takes a distance instead."""
        await self._send(_DRAWTUBE, "Move", {"Position": check_int("position", position)})

    async def move_to(
        self, position: int, *, tolerance: int = 2, timeout: float | None = 300.0
    ) -> None:
        """Move an absolute focuser to `position`, in steps, and wait until it is there.

        It may come to rest up to `tolerance` steps beside it. `timeout` in seconds; None waits as
        long as it takes. If the call is cancelled or times out, or the client is closed, it sends
        `Halt`.

        Raises:
            InvalidOperationException: the focuser is relative; see `move_by`.
            InvalidValueException: the focuser does not accept the position.
            OperationTimeout: it is not there after `timeout` seconds.
            OperationFailed: it stopped elsewhere, did not begin to move, or another task halted or
                moved it. `outcome_unknown` is true if the reply to the command was lost.
        """
        target, tolerance = check_int("position", position), check_count("tolerance", tolerance)
        if not await self.get_absolute():
            error = InvalidOperationException(0x40B, "a relative focuser has no positions")
            raise error.at(self._server, self._member("absolute"))
        await self._move_and_poll(target, self._poll_position(target, tolerance), timeout)

    async def move_by(
        self, steps: int, *, tolerance: int = 2, timeout: float | None = 300.0
    ) -> None:
        """Move an absolute or a relative focuser by `steps`, and wait as `move_to` does."""
        steps, tolerance = check_int("steps", steps), check_count("tolerance", tolerance)
        if await self.get_absolute():
            target = await self.get_position() + steps
            await self._move_and_poll(target, self._poll_position(target, tolerance), timeout)
        else:
            await self._move_and_poll(steps, self._poll_movement(), timeout)

    async def _move_and_poll(self, position: int, poll: Poll, timeout: float | None) -> None:
        movement = Movement(
            part=_DRAWTUBE, command="Move", fields={"Position": position}, halt="Halt"
        )
        await self._move(movement, poll, timeout)

    def _poll_position(self, target: int, tolerance: int) -> Poll:
        """Return a poll that is done when the focuser rests at `target`, or close to it."""
        stillness = Stillness()

        async def poll(_: SentCommand) -> str | None:
            moving = await self.get_is_moving()
            position = await self.get_position()
            rests = stillness.lasted(position, moving=moving)
            if not moving and (position == target or (rests and near(position))):
                return None
            if rests:
                raise self._failure("move", f"stopped at {position}, not at {target}")
            return f"at {position}, not at {target},"

        def near(position: int) -> bool:
            return abs(position - target) <= tolerance

        return poll

    def _poll_movement(self) -> Poll:
        """Return a poll that is done when the focuser has moved, or does not begin to."""
        stillness, has_moved = Stillness(), False

        async def poll(command: SentCommand) -> str | None:
            nonlocal has_moved
            moving = await self.get_is_moving()
            rests = stillness.lasted(moving, moving=moving)
            if not moving and (has_moved or (rests and command.is_answered)):
                return None
            if rests:
                raise self._failure("move", "was not seen to move, and did not confirm the command")
            has_moved = has_moved or moving
            return "still moving"

        return poll
