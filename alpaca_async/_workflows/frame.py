"""Which part of the sensor is read, how finely, and in which order that may be changed. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator


class Axis(NamedTuple):
    """What is read along one axis; `start` and `num` in binned pixels."""

    name: str
    """`X` or `Y`."""
    binning: int
    start: int
    num: int

    @property
    def members(self) -> dict[str, int]:
        """The values by the names of ASCOM's members."""
        name, binning, start, num = self
        return {f"Bin{name}": binning, f"Start{name}": start, f"Num{name}": num}


class Change(NamedTuple):
    """One member that is to be set, and what it was."""

    member: str
    value: int
    former: int


class Limits(NamedTuple):
    """What the sensor allows along one axis."""

    name: str
    size: int
    """Unbinned pixels."""
    max_binning: int

    def full(self, binning: int) -> Axis:
        """Return all that can be read; `ValueError` for a binning that the camera lacks."""
        if 1 <= binning <= self.max_binning:
            return Axis(self.name, binning, 0, self.size // binning)
        raise ValueError(
            f"bin_{self.name.lower()} must be 1 to {self.max_binning} (MaxBin{self.name}),"
            f" not {binning}"
        )


class Request(NamedTuple):
    """What a caller asks for along one axis; None is left as it is."""

    binning: int | None = None
    start: int | None = None
    num: int | None = None

    def applied(self, present: Axis, limits: Limits, *, even: bool) -> Axis:
        """Return the axis that is meant, checked; `ValueError` if the sensor has no such pixels."""
        binning = present.binning if self.binning is None else self.binning
        full = limits.full(binning)
        kept = present if binning == present.binning else _rebinned(present, full, limits)
        start = kept.start if self.start is None else self.start
        num = kept.num if self.num is None else self.num
        if even:
            start, num = start // 2 * 2, max(num // 2 * 2, 2)
        wanted = Axis(present.name, binning, start, num)
        _check_subframe(wanted, full, limits)
        return wanted


def plan(present: tuple[Axis, Axis], wanted: tuple[Axis, Axis]) -> list[Change]:
    """Return what is to be set, in an order in which every frame between fits the sensor.

    Larger pixels are fewer: the subframe shrinks before the binning grows, and grows after the
    binning shrank. Both binnings follow each other, since one may bring the other along.
    """
    pairs = list(zip(present, wanted, strict=True))
    coarser = [pair for pair in pairs if pair[1].binning > pair[0].binning]
    others = [pair for pair in pairs if pair[1].binning <= pair[0].binning]
    changes = [
        *(move for pair in coarser for move in _moves(*pair)),
        *(Change(f"Bin{old.name}", new.binning, old.binning) for old, new in pairs),
        *(move for pair in others for move in _moves(*pair)),
    ]
    return [change for change in changes if change.value != change.former]


def _moves(present: Axis, wanted: Axis) -> Iterator[Change]:
    """Yield start and size; where the start grows, it does so in the room that the size left."""
    start = Change(f"Start{present.name}", wanted.start, present.start)
    num = Change(f"Num{present.name}", wanted.num, present.num)
    yield from (start, num) if wanted.start < present.start else (num, start)


def _rebinned(present: Axis, full: Axis, limits: Limits) -> Axis:
    """Return the same part of the sensor in other pixels, rounded down; all of it stays all."""
    if (present.start, present.num) == (0, limits.size // present.binning):
        return full
    num = max(present.num * present.binning // full.binning, 1)
    start = min(present.start * present.binning // full.binning, full.num - num)
    return Axis(full.name, full.binning, start, num)


def _check_subframe(wanted: Axis, full: Axis, limits: Limits) -> None:
    name = wanted.name.lower()
    if wanted.start < 0:
        raise ValueError(f"start_{name} must not be negative, not {wanted.start}")
    if wanted.num < 1:
        raise ValueError(f"num_{name} must be at least 1, not {wanted.num}")
    if wanted.start + wanted.num > full.num:
        raise ValueError(
            f"start_{name} {wanted.start} + num_{name} {wanted.num} exceed {full.num} pixels"
            f" (Camera{wanted.name}Size {limits.size} // bin_{name} {full.binning})"
        )
