"""How cameras that are watched look: a table that keeps its columns, or lines."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal

from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from alpaca_async._enums import CameraStates

from ._members import text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import RenderableType

    from ._sights import Sight

_STYLES: Final = {
    CameraStates.WAITING: "cyan",
    CameraStates.EXPOSING: "bold green",
    CameraStates.READING: "cyan",
    CameraStates.DOWNLOAD: "cyan",
    CameraStates.ERROR: "bold red",
}
_NARROWEST: Final = 12
_WIDEST: Final = 32
_GAP: Final = 2
_BAR: Final = 10
_ALL: Final = 100


@dataclass(frozen=True, slots=True)
class Column:
    """A part of what is known of a camera, as wide as its widest value."""

    title: str
    width: int
    cell: Callable[[Sight], RenderableType]
    justify: Literal["left", "right"] = "left"


def _state(sight: Sight) -> Text:
    if sight.error:
        return Text("error" if sight.answered else "no answer", "bold red")
    if not sight.connected:
        return Text("not connected", "dim")
    state = sight.status.camera_state
    return Text("", "dim") if state is None else Text(text_of(state), _STYLES.get(state, ""))


def _bar(sight: Sight) -> RenderableType:
    percent = sight.status.percent_completed
    if percent is None or sight.status.camera_state in {None, CameraStates.IDLE}:
        return ""
    return ProgressBar(total=_ALL, completed=percent, width=_BAR)


def _percent(sight: Sight) -> str:
    return "" if _bar(sight) == "" else f"{sight.status.percent_completed} %"


def _degrees(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} °C"


def _power(sight: Sight) -> str:
    power = sight.status.cooler_power
    return "" if power is None else f"{power:.0f} %"


def _image(sight: Sight) -> Text:
    return Text("ready" if sight.status.image_ready else "", "green")


def _guiding(sight: Sight) -> Text:
    return Text("pulse" if sight.status.is_pulse_guiding else "", "cyan")


_COLUMNS: Final = (
    Column("state", 13, _state),
    Column("done", _BAR, _bar),
    Column("", 5, _percent, "right"),
    Column("sensor", 9, lambda sight: _degrees(sight.status.ccd_temperature), "right"),
    Column("cooler", 6, _power, "right"),
    Column("image", 5, _image),
    Column("heat sink", 9, lambda sight: _degrees(sight.status.heat_sink_temperature), "right"),
    Column("guiding", 7, _guiding),
)
"""The most important first: a narrow terminal shows as many as it has room for."""


def screen(sights: Sequence[Sight], width: int, interval: float) -> Group:
    """Return all cameras, what is wrong with some, and when that was."""
    labels = [label for sight in sights for label in (sight.server, _label(sight))]
    first = min(max([_NARROWEST, *map(len, labels)]), _WIDEST)
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, _GAP, 0, 0))
    table.add_column("camera", width=first, no_wrap=True, overflow="ellipsis")
    columns = _fitting(width - first)
    for column in columns:
        table.add_column(column.title, width=column.width, justify=column.justify, no_wrap=True)
    for heading, sight in _rows(sights):
        cells = () if heading else (column.cell(sight) for column in columns)
        style = "dim" if sight.error and not heading else ""
        label = Text(heading, "bold") if heading else Text(_label(sight))
        table.add_row(label, *cells, style=style)
    return Group(table, *_troubles(sights), _footer(interval))


def _fitting(room: int) -> list[Column]:
    columns: list[Column] = []
    for column in _COLUMNS:
        room -= _GAP + column.width
        if room < 0:
            break
        columns.append(column)
    return columns


def _rows(sights: Sequence[Sight]) -> Iterator[tuple[str, Sight]]:
    """Yield every sight, behind a heading where a new server begins."""
    server = ""
    for sight in sights:
        if sight.number is not None and sight.server != server:
            yield sight.server, sight
        server = sight.server
        yield "", sight


def _label(sight: Sight) -> str:
    return sight.server if sight.number is None else f"  {sight.number} {sight.name}"


def _troubles(sights: Sequence[Sight]) -> Iterator[Text]:
    """Say once of each server what is wrong with it, or with its cameras."""
    said: dict[tuple[str, str], list[str]] = {}
    for sight in sights:
        if sight.error:
            said.setdefault((sight.server, sight.error), []).append(_number(sight))
    for (server, error), numbers in said.items():
        yield Text(f"{server}{','.join(numbers)}: {error}", "red")


def _number(sight: Sight) -> str:
    return "" if sight.number is None else f" camera {sight.number}"


def _footer(interval: float) -> Text:
    clock = datetime.now(UTC).astimezone().strftime("%H:%M:%S")
    return Text(f"{clock}, every {interval:g} s until Ctrl-C", "dim")


def line_of(sight: Sight) -> str:
    """Return a camera as one line."""
    place = f"{sight.server}{_number(sight)}"
    if sight.error:
        return f"{place}: {sight.error}"
    if not sight.connected:
        return f"{place}: not connected"
    status = sight.status
    facts = [
        f"{field.name}={text_of(getattr(status, field.name))}"
        for field in fields(status)
        if field.name != "timestamp" and getattr(status, field.name) is not None
    ]
    return f"{place}: {' '.join(facts) or 'state unknown'}"
