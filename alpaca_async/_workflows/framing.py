"""Sets binning and subframe together: checked first, in a valid order, all or nothing."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

from alpaca_async._device.cached_facts import CachedFacts
from alpaca_async._errors import AlpacaError, OperationFailed
from alpaca_async._protocol.values import check_int, decode, decode_size
from alpaca_async._tasks import finish, together

from .frame import Axis, Change, Limits, Request, plan

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    Frame: TypeAlias = tuple[Axis, Axis]
    ReadMember: TypeAlias = Callable[[str, Callable[[], Awaitable[int]]], Awaitable[int]]

_RESTORE_LIMIT: Final = 10.0
"""Seconds that restoring the former frame may take."""

_RESENDS: Final = 2
"""How often one member is sent again that the camera did not take."""
_READ_BACK_PAUSES: Final = (0.0, 0.05, 0.1, 0.2)
"""Seconds before each time that the camera is asked what it has: some report it late."""

logger = logging.getLogger("alpaca_async")


FRAME_MEMBERS: Final = ("BinX", "BinY", "StartX", "StartY", "NumX", "NumY")


async def _read_once(_member: str, read: Callable[[], Awaitable[int]]) -> int:
    return await read()


class Framing(CachedFacts):
    """A camera whose binning and subframe can be set together."""

    async def set_frame(
        self,
        *,
        bin_x: int | None = None,
        bin_y: int | None = None,
        start_x: int | None = None,
        start_y: int | None = None,
        num_x: int | None = None,
        num_y: int | None = None,
        even: bool = False,
    ) -> None:
        """Set binning and subframe, all or nothing; arguments that are None stay unchanged.

        If only the binning changes, the same part of the sensor is read: start and size are
        converted and rounded down, and the full frame stays the full frame. `even` rounds starts
        and sizes down to even numbers, so that a subframe of a Bayer sensor begins with the same
        colour as the sensor.

        Only values that differ from the camera's are sent, in an order in which no intermediate
        frame exceeds the sensor. If the camera refuses a value, or the caller is cancelled, the
        former frame is restored before the error is raised. If the camera has another frame then,
        a warning is logged, and the error has it as a note. Calls for the same camera wait for each
        other.

        What was sent is read back, and sent again where the camera did not take it.

        Raises:
            OperationFailed: the camera answered, but has another frame; the error says which.
            ValueError: the sensor does not support the values; nothing was sent.
            AlpacaError: as the setters do.
        """
        x = Request(
            _checked("bin_x", bin_x), _checked("start_x", start_x), _checked("num_x", num_x)
        )
        y = Request(
            _checked("bin_y", bin_y), _checked("start_y", start_y), _checked("num_y", num_y)
        )
        limits = await self._limits()
        async with self._operation("binx"), self._record.frame_turns():
            former = await self._read_frame()
            wanted = (
                x.apply_to(former[0], limits[0], even=even),
                y.apply_to(former[1], limits[1], even=even),
            )
            await self._check_symmetry(wanted)
            await self._change_frame(former, wanted)

    async def reset_frame(self, bin_x: int = 1, bin_y: int = 1) -> None:
        """Set the full frame at this binning; otherwise as `set_frame`."""
        x, y = await self._limits()
        num_x = x.full(check_int("bin_x", bin_x)).num
        num_y = y.full(check_int("bin_y", bin_y)).num
        await self.set_frame(
            bin_x=bin_x, bin_y=bin_y, start_x=0, start_y=0, num_x=num_x, num_y=num_y
        )

    async def _limits(self) -> tuple[Limits, Limits]:
        """Return the limits of the sensor; raise the camera's error if it does not report one."""
        info = await self.get_info()
        return (
            Limits(
                "X",
                await self._size("CameraXSize", info.camera_x_size),
                await self._size("MaxBinX", info.max_bin_x),
            ),
            Limits(
                "Y",
                await self._size("CameraYSize", info.camera_y_size),
                await self._size("MaxBinY", info.max_bin_y),
            ),
        )

    async def _size(self, member: str, known: int | None) -> int:
        """Return the known size if it is one; else read it, and raise if it is none."""
        return known if known and known > 0 else await self._read(member, decode_size)

    async def _read_frame(self, read: ReadMember = _read_once) -> Frame:
        """Read the frame from the camera, because other clients may have changed it."""
        decoders = (
            ("Bin", decode_size),
            ("Start", partial(decode, int)),
            ("Num", partial(decode, int)),
        )
        values = await together(
            read(name + axis, partial(self._read, name + axis, decoder))
            for axis in "XY"
            for name, decoder in decoders
        )
        return Axis("X", *values[:3]), Axis("Y", *values[3:])

    async def _check_symmetry(self, wanted: Frame) -> None:
        x, y = (axis.binning for axis in wanted)
        if x != y and (await self.get_info()).can_asymmetric_bin is False:
            raise ValueError(f"bin_x {x} and bin_y {y} must be equal: CanAsymmetricBin is False")

    async def _change_frame(self, former: Frame, wanted: Frame) -> None:
        sent: list[Change] = []
        set_before = self._frame_that_was_set()
        try:
            await self._send(plan(former, wanted), sent)
            if any(change.member.startswith("Bin") for change in sent):
                # Some cameras adapt the subframe to a new binning by themselves.
                await self._send(plan(await self._read_frame(), wanted), sent)
            if sent:
                await self._verify(wanted, sent)
        except BaseException as error:
            if sent and (problem := await finish(self._restore(former, sent))):
                problem = f"set_frame asked for {_listed(wanted)}; {problem}"
                logger.warning("%r: %s", self, problem)
                error.add_note(problem)
            for member in FRAME_MEMBERS:
                self._record.set_values.pop(member, None)
            self._record.set_values |= set_before
            raise
        for axis in wanted:  # also those that were equal and not sent
            self._record.set_values |= axis.members

    def _frame_that_was_set(self) -> dict[str, object]:
        """Return the members of the frame that this client has set, with their values."""
        values = self._record.set_values
        return {member: values[member] for member in FRAME_MEMBERS if member in values}

    async def _verify(self, wanted: Frame, sent: list[Change]) -> None:
        """Read back what was sent, and send again what the camera did not take.

        Some servers send the whole frame with every change, the other numbers from an old copy.
        So one member is sent at a time, and the next when the camera reports that one.

        Raises:
            OperationFailed: the camera does not take a member.
        """
        values = wanted[0].members | wanted[1].members
        expected = {member: values[member] for member in dict.fromkeys(c.member for c in sent)}
        resent: Counter[str] = Counter()
        while missing := await self._missing(expected):
            again = plan(await self._read_frame(), wanted)[:1]
            resent.update(change.member for change in again)
            not_taken = _described(missing, expected)
            if max(resent.values(), default=0) > _RESENDS:
                failure = OperationFailed(f"the camera did not take {not_taken}")
                raise failure.at(self._server, self._member(next(iter(missing))))
            logger.info("%r did not take %s", self, not_taken)
            await self._send(again, [])

    async def _missing(self, expected: Mapping[str, int]) -> dict[str, int]:
        """Return what the camera has instead, once it has had time to report what it took."""
        missing: dict[str, int] = {}
        for pause in _READ_BACK_PAUSES:
            await asyncio.sleep(pause)
            values = await together(self._get(member, int) for member in expected)
            present = dict(zip(expected, values, strict=True))
            missing = {m: number for m, number in present.items() if number != expected[m]}
            if not missing:
                break
        return missing

    async def _send(self, changes: Iterable[Change], sent: list[Change]) -> None:
        """Send `changes`, and add to `sent` those that may have had an effect.

        A command under way is awaited even on cancellation: otherwise it might reach the camera
        after the command that undoes it.
        """
        for change in changes:
            sent.append(change)
            try:
                await finish(self._set(change.member, change.value))
            except AlpacaError as error:
                if not error.outcome_unknown:
                    sent.pop()
                raise

    async def _restore(self, former: Frame, sent: list[Change]) -> str:
        """Undo `sent` in reverse order, then correct what the camera changed by itself.

        Returns why the camera may have another frame afterwards; nothing if it has the former one.
        """
        undoing = [Change(c.member, c.former, c.value) for c in reversed(sent)]
        try:
            async with asyncio.timeout(_RESTORE_LIMIT):
                await self._send(undoing, [])
                await self._send(plan(await self._read_frame(), former), [])
                expected = former[0].members | former[1].members
                missing = await self._missing(expected)
        except TimeoutError as error:
            reason = str(error) or f"no reply within {_RESTORE_LIMIT:g} s"
        except AlpacaError as error:
            reason = str(error)
        else:
            reason = _described(missing, expected)
        return reason and f"the former frame could not be restored: {reason}"


def _described(missing: Mapping[str, int], expected: Mapping[str, int]) -> str:
    return ", ".join(f"{m} {expected[m]} (it is {number})" for m, number in missing.items())


def _listed(frame: Frame) -> str:
    members = frame[0].members | frame[1].members
    return ", ".join(f"{member} {number}" for member, number in members.items())


def _checked(name: str, value: int | None) -> int | None:
    return None if value is None else check_int(name, value)
