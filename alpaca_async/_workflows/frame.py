"""Computes binning and subframe, and the order in which to change them. Pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Axis(NamedTuple):
    """Binning and subframe along one axis; `start` and `num` in binned pixels."""

    name: str
    """`X` or `Y`."""
    binning: int
    start: int
    num: int

    @property
    def members(self) -> dict[str, int]:
        """The values, keyed by ASCOM member name."""
        name, binning, start, num = self
        return {f"Bin{name}": binning, f"Start{name}": start, f"Num{name}": num}

    def with_members(self, values: Mapping[str, object]) -> Axis:
        """Return the axis with those of its members that `values` has."""
        members = {name: values.get(name, own) for name, own in self.members.items()}
        return Axis(self.name, *members.values())  # type: ignore[arg-type]  # integers


class Change(NamedTuple):
    """One member to set, with its new and its former value."""

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
        """Return the full axis at `binning`; `ValueError` if the camera does not support it."""
        if 1 <= binning <= self.max_binning:
            return Axis(self.name, binning, 0, self.size // binning)
        raise ValueError(
            f"bin_{self.name.lower()} must be 1 to {self.max_binning} (MaxBin{self.name}),"
            f" not {binning}"
        )


class Request(NamedTuple):
    """The values that a caller wants along one axis; None means unchanged."""

    binning: int | None = None
    start: int | None = None
    num: int | None = None

    def apply_to(self, present: Axis, limits: Limits, *, even: bool) -> Axis:
        """Return `present` with the wanted values; `ValueError` if they exceed the sensor."""
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
    """Return the changes in an order in which every intermediate frame fits the sensor.

    A higher binning means fewer pixels. So the subframe shrinks before the binning rises, and
    grows after the binning falls. The two binnings are set one after the other, because setting
    one may also change the other.
    """
    pairs = list(zip(present, wanted, strict=True))
    coarser = [pair for pair in pairs if pair[1].binning > pair[0].binning]
    others = [pair for pair in pairs if pair[1].binning <= pair[0].binning]
    changes = [
        *(change for pair in coarser for change in _start_and_num(*pair)),
        *(Change(f"Bin{old.name}", new.binning, old.binning) for old, new in pairs),
        *(change for pair in others for change in _start_and_num(*pair)),
    ]
    return [change for change in changes if change.value != change.former]


def _start_and_num(present: Axis, wanted: Axis) -> Iterator[Change]:
    """Yield start and size; the size comes first if the start grows, so that their sum fits."""
    start = Change(f"Start{present.name}", wanted.start, present.start)
    num = Change(f"Num{present.name}", wanted.num, present.num)
    yield from (start, num) if wanted.start < present.start else (num, start)


def _rebinned(present: Axis, full: Axis, limits: Limits) -> Axis:
    """Convert the subframe to another binning, rounded down; a full frame stays full."""
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
