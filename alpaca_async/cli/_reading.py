"""Members read from a camera: their values, or why there is none, told to people and programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from anyio import CapacityLimiter
from rich.table import Table
from rich.text import Text

from alpaca_async._device.device import is_missing
from alpaca_async._errors import (
    AlpacaError,
    AscomError,
    MalformedResponse,
    NotConnectedException,
    RequestRejected,
)
from alpaca_async._tasks import together

from ._members import plain, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from alpaca_async._camera import AsyncCamera

    from ._members import Member

_AT_ONCE: Final = 4
_NOISY: Final = ("°C", "%")
"""Units of what is never quite the same; people see one digit behind the point."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A member at one moment; `trouble` is why it has no value."""

    member: Member
    value: Any = None
    trouble: str = ""
    missing: bool = False
    """Whether the camera does not implement the member."""
    connected: bool = True
    """Whether the camera would not tell because it is not connected."""

    @property
    def failed(self) -> bool:
        """Whether a value was to be expected, and there is none."""
        return bool(self.trouble) and not self.missing

    @property
    def line(self) -> str:
        """`name=value`, or `name: reason`."""
        name = self.member.name
        return f"{name}: {self.trouble}" if self.trouble else f"{name}={text_of(self.value)}"

    @property
    def text(self) -> Text:
        """The value with its unit, or the reason."""
        if self.trouble:
            return Text(self.trouble, "yellow" if self.failed else "dim")
        unit = self.member.unit
        value = f"{self.value:.1f}" if unit in _NOISY else text_of(self.value)
        return Text.assemble(value, (f" {unit}".rstrip(), "dim"))


async def read(camera: AsyncCamera, members: Iterable[Member]) -> list[Reading]:
    """Read `members`, some at once. Errors of the network are raised, others told.

    Every device has a name: one that the server does not know is an error, too.
    """
    await camera.get_name()
    limiter = CapacityLimiter(_AT_ONCE)

    async def read_one(member: Member) -> Reading:
        async with limiter:
            return await _read(camera, member)

    return await together(read_one(member) for member in members)


async def _read(camera: AsyncCamera, member: Member) -> Reading:
    try:
        return Reading(member, await getattr(camera, f"get_{member.name}")())
    except NotConnectedException:
        return Reading(member, trouble="not connected", connected=False)
    except (AscomError, RequestRejected, MalformedResponse) as error:
        return Reading(member, trouble=_reason(error), missing=is_missing(error))


def _reason(error: AlpacaError) -> str:
    return "not implemented" if is_missing(error) else " ".join(error.reason.split())


def table_of(readings: Sequence[Reading], *, grouped: bool) -> Table:
    """Return `readings` one below the other, `grouped` by their subjects."""
    table = Table(box=None, show_header=False, pad_edge=False)
    width = max((len(reading.member.name) for reading in readings), default=0)
    table.add_column(style="dim", no_wrap=True, min_width=width)
    table.add_column(overflow="fold")
    group = None
    for reading in readings:
        if grouped and reading.member.group != group:
            group = reading.member.group
            table.add_row(Text(group, "bold not dim"))
        indent = "  " if grouped else ""
        table.add_row(f"{indent}{reading.member.name}", reading.text)
    return table


def document_of(readings: Iterable[Reading]) -> dict[str, object]:
    """Return `readings` for JSON."""
    readings = tuple(readings)
    return {
        "values": {r.member.name: plain(r.value) for r in readings if not r.trouble},
        "not_implemented": [r.member.name for r in readings if r.missing],
        "errors": {r.member.name: r.trouble for r in readings if r.failed},
    }


def record_of(reading: Reading) -> dict[str, object]:
    """Return one reading for a stream of JSON."""
    name = reading.member.name
    if reading.missing:
        return {"member": name, "value": None, "not_implemented": True}
    if reading.trouble:
        return {"member": name, "value": None, "error": reading.trouble}
    return {"member": name, "value": plain(reading.value)}
