"""Reads members of a camera, and formats their values and errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from anyio import CapacityLimiter
from rich.table import Table
from rich.text import Text

from alpaca_async._device.verbs import is_missing
from alpaca_async._errors import (
    AlpacaError,
    AscomError,
    MalformedResponse,
    NotConnectedException,
    RequestRejected,
)
from alpaca_async._tasks import together

from ._members import json_value, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from alpaca_async._camera import AsyncCamera

    from ._members import Member

_MAX_CONCURRENT: Final = 4
_NOISY_UNITS: Final = ("°C", "%")
"""Units of measured values that fluctuate; tables show one decimal."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The value of a member at one time, or the `reason` why it has none."""

    member: Member
    value: Any = None
    reason: str = ""
    missing: bool = False
    """Whether the camera does not implement the member."""
    connected: bool = True
    """False if the camera refused because it is not connected."""

    @property
    def failed(self) -> bool:
        """Whether reading failed although the camera implements the member."""
        return bool(self.reason) and not self.missing

    @property
    def line(self) -> str:
        """`name=value`, or `name: reason`."""
        name = self.member.name
        return f"{name}: {self.reason}" if self.reason else f"{name}={text_of(self.value)}"

    @property
    def text(self) -> Text:
        """The value with its unit, or the reason."""
        if self.reason:
            return Text(self.reason, "yellow" if self.failed else "dim")
        unit = self.member.unit
        value = f"{self.value:.1f}" if unit in _NOISY_UNITS else text_of(self.value)
        return Text.assemble(value, (f" {unit}".rstrip(), "dim"))


async def read(camera: AsyncCamera, members: Iterable[Member]) -> list[Reading]:
    """Read `members` concurrently. Only network errors and a missing device are raised.

    Other errors become the `reason` of a `Reading`.
    """
    await camera.get_name()  # raises if the server does not have this device
    limiter = CapacityLimiter(_MAX_CONCURRENT)

    async def read_one(member: Member) -> Reading:
        async with limiter:
            return await _read(camera, member)

    return await together(read_one(member) for member in members)


async def _read(camera: AsyncCamera, member: Member) -> Reading:
    try:
        return Reading(member, await getattr(camera, f"get_{member.name}")())
    except NotConnectedException:
        return Reading(member, reason="not connected", connected=False)
    except (AscomError, RequestRejected, MalformedResponse) as error:
        return Reading(member, reason=_reason_for(error), missing=is_missing(error))


def _reason_for(error: AlpacaError) -> str:
    return "not implemented" if is_missing(error) else " ".join(error.reason.split())


def table_of(readings: Sequence[Reading], *, grouped: bool) -> Table:
    """Return a table with one row for each reading, and headings if `grouped`."""
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
    """Return `readings` as one JSON document."""
    readings = tuple(readings)
    return {
        "values": {r.member.name: json_value(r.value) for r in readings if not r.reason},
        "not_implemented": [r.member.name for r in readings if r.missing],
        "errors": {r.member.name: r.reason for r in readings if r.failed},
    }


def record_of(reading: Reading) -> dict[str, object]:
    """Return one reading as a line of a JSON stream."""
    name = reading.member.name
    if reading.missing:
        return {"member": name, "value": None, "not_implemented": True}
    if reading.reason:
        return {"member": name, "value": None, "error": reading.reason}
    return {"member": name, "value": json_value(reading.value)}
