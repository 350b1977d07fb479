"""AsyncCoverCalibrator: ICoverCalibratorV2, a cover and a light for flat fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from alpaca_async._enums import CalibratorStatus, CoverStatus
from alpaca_async._protocol.values import check_int

from .movement import Movement, Moving, Poll, Stillness

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from alpaca_async._session.session import Session

    from .command import SentCommand

_COVER: Final = "cover"
_CALIBRATOR: Final = "calibrator"


class AsyncCoverCalibrator(Moving):
    """A cover, a calibrator, or both; made and closed as `AsyncDevice` is.

    A calibrator is a light for flat fields. `get_x` and `halt_cover` are members of
    ICoverCalibratorV2, each one request. `open_cover`, `close_cover`, `calibrator_on` and
    `calibrator_off` send the command of that name and wait until it is done; `timeout` in
    seconds, None for any time. With `wait=False` they only send it.
    """

    def __init__(
        self, address: str, device_number: int = 0, *, client: Session | None = None
    ) -> None:
        super().__init__(address, "covercalibrator", device_number, client=client)

    # the cover

    async def get_cover_state(self) -> CoverStatus:
        """The state of the cover; `NOT_PRESENT` if there is none."""
        return await self._get("CoverState", CoverStatus)

    async def get_cover_moving(self) -> bool:
        """Whether the cover is moving. Platform 7 only."""
        return await self._get("CoverMoving", bool)

    async def open_cover(self, *, timeout: float | None = 120.0, wait: bool = True) -> None:
        """Open the cover; halt it if the wait ends early.

        Raises:
            NotImplementedException: there is no cover.
            OperationTimeout: it is not open after `timeout` seconds.
            OperationFailed: it reports an error, stopped, did not begin to move, or another task
                moved it. `outcome_unknown` is true if the reply to the command was lost.
        """
        await self._move_cover("OpenCover", CoverStatus.OPEN, timeout, wait)

    async def close_cover(self, *, timeout: float | None = 120.0, wait: bool = True) -> None:
        """Close the cover; halt it if the wait ends early. Raises the errors of `open_cover`."""
        await self._move_cover("CloseCover", CoverStatus.CLOSED, timeout, wait)

    async def halt_cover(self) -> None:
        """Stop the cover; an `open_cover` or `close_cover` that waits for it fails."""
        await self._send(_COVER, "HaltCover")

    async def _move_cover(
        self, command: str, goal: CoverStatus, timeout: float | None, wait: bool
    ) -> None:
        if not wait:
            await self._send(_COVER, command)
            return
        stillness = Stillness()

        async def poll(_: SentCommand) -> str | None:
            state = await self.get_cover_state()
            if state is goal:
                return None
            text = f"the cover is {state.name}, not {goal.name},"
            if stillness.lasted(state, moving=state is CoverStatus.MOVING):
                raise self._failure(command, f"{text} and does not move")
            return text

        movement = Movement(part=_COVER, command=command, halt="HaltCover")
        await self._move(movement, poll, timeout)

    # the calibrator

    async def get_calibrator_state(self) -> CalibratorStatus:
        """The state of the calibrator; `NOT_PRESENT` if there is none."""
        return await self._get("CalibratorState", CalibratorStatus)

    async def get_calibrator_changing(self) -> bool:
        """Whether the brightness is changing. Platform 7 only."""
        return await self._get("CalibratorChanging", bool)

    async def get_brightness(self) -> int:
        """The brightness, from 0 to that of `get_max_brightness`."""
        return await self._get("Brightness", int)

    async def get_max_brightness(self) -> int:
        """The largest brightness, at least 1."""
        return await self._get("MaxBrightness", int)

    async def calibrator_on(
        self, brightness: int, *, timeout: float | None = 60.0, wait: bool = True
    ) -> None:
        """Turn the calibrator on; turn it off again if the wait ends early.

        Some devices close their cover for it.

        Raises:
            InvalidValueException: the brightness is not between 0 and that of
                `get_max_brightness`.
            NotImplementedException: there is no calibrator.
            OperationTimeout: it is not ready after `timeout` seconds.
            OperationFailed: it reports an error, or another task changed it.
        """
        fields = {"Brightness": check_int("brightness", brightness)}
        if not wait:
            await self._send(_CALIBRATOR, "CalibratorOn", fields)
            return

        async def is_ready(state: CalibratorStatus) -> bool:
            return state is CalibratorStatus.READY and await self.get_brightness() == brightness

        movement = Movement(
            part=_CALIBRATOR, command="CalibratorOn", fields=fields, halt="CalibratorOff"
        )
        await self._move(movement, self._poll_calibrator("CalibratorOn", is_ready), timeout)

    async def calibrator_off(self, *, timeout: float | None = 60.0, wait: bool = True) -> None:
        """Turn the calibrator off. Raises the errors of `calibrator_on`."""
        if not wait:
            await self._send(_CALIBRATOR, "CalibratorOff")
            return

        async def is_off(state: CalibratorStatus) -> bool:
            return state is CalibratorStatus.OFF

        movement = Movement(part=_CALIBRATOR, command="CalibratorOff")
        await self._move(movement, self._poll_calibrator("CalibratorOff", is_off), timeout)

    def _poll_calibrator(
        self, command: str, is_done: Callable[[CalibratorStatus], Awaitable[bool]]
    ) -> Poll:
        stillness = Stillness()

        async def poll(_: SentCommand) -> str | None:
            state = await self.get_calibrator_state()
            if await is_done(state):
                return None
            text = f"the calibrator is {state.name}"
            if stillness.lasted(state, moving=state is CalibratorStatus.NOT_READY):
                raise self._failure(command, f"{text}, and does not change")
            return text

        return poll
