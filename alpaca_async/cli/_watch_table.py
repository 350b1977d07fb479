"""Formats the snapshots of `watch` as a table with fixed columns, or as lines."""

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

    from ._snapshots import Snapshot

_STYLES: Final = {
    CameraStates.WAITING: "cyan",
    CameraStates.EXPOSING: "bold green",
    CameraStates.READING: "cyan",
    CameraStates.DOWNLOAD: "cyan",
    CameraStates.ERROR: "bold red",
}
_STATES: Final = {
    "exposing": CameraStates.EXPOSING,
    "reading": CameraStates.READING,
    "downloading": CameraStates.DOWNLOAD,
}
"""The state of a camera in each phase of an exposure."""
_MIN_LABEL_WIDTH: Final = 12
_MAX_LABEL_WIDTH: Final = 32
_GAP: Final = 2
_BAR_WIDTH: Final = 10
_HUNDRED_PERCENT: Final = 100


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table; `width` fits its widest value."""

    title: str
    width: int
    cell: Callable[[Snapshot], RenderableType]
    justify: Literal["left", "right"] = "left"


def _state(snapshot: Snapshot) -> Text:
    if snapshot.error:
        return Text("error" if snapshot.answered else "no answer", "bold red")
    if not snapshot.connected:
        return Text("not connected", "dim")
    if snapshot.progress is not None:
        return Text(snapshot.progress.phase, _STYLES[_STATES[snapshot.progress.phase]])
    state = snapshot.status.camera_state
    return Text("", "dim") if state is None else Text(text_of(state), _STYLES.get(state, ""))


def _done(snapshot: Snapshot) -> int | None:
    """Return how much of the exposure, or of its present phase, is done, in percent."""
    if snapshot.progress is not None:
        fraction = snapshot.progress.fraction
        return None if fraction is None else int(_HUNDRED_PERCENT * fraction)
    idle = snapshot.status.camera_state in {None, CameraStates.IDLE}
    return None if idle else snapshot.status.percent_completed


def _bar(snapshot: Snapshot) -> RenderableType:
    done = _done(snapshot)
    if done is None:
        return ""
    return ProgressBar(total=_HUNDRED_PERCENT, completed=done, width=_BAR_WIDTH)


def _percent(snapshot: Snapshot) -> str:
    done = _done(snapshot)
    return "" if done is None else f"{done} %"


def _degrees(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} °C"


def _power(snapshot: Snapshot) -> str:
    power = snapshot.status.cooler_power
    return "" if power is None else f"{power:.0f} %"


def _image(snapshot: Snapshot) -> Text:
    return Text("ready" if snapshot.status.image_ready else "", "green")


def _guiding(snapshot: Snapshot) -> Text:
    return Text("pulse" if snapshot.status.is_pulse_guiding else "", "cyan")


_COLUMNS: Final = (
    Column("state", 13, _state),
    Column("done", _BAR_WIDTH, _bar),
    Column("", 5, _percent, "right"),
    Column("sensor", 9, lambda snapshot: _degrees(snapshot.status.ccd_temperature), "right"),
    Column("cooler", 6, _power, "right"),
    Column("image", 5, _image),
    Column(
        "heat sink", 9, lambda snapshot: _degrees(snapshot.status.heat_sink_temperature), "right"
    ),
    Column("guiding", 7, _guiding),
)
"""The most important column first: a narrow terminal shows only the first ones."""


def screen(snapshots: Sequence[Snapshot], width: int, interval: float) -> Group:
    """Return the table of cameras, the lines about errors, and the footer with the time."""
    labels = [label for snapshot in snapshots for label in (snapshot.server, _label(snapshot))]
    first = min(max([_MIN_LABEL_WIDTH, *map(len, labels)]), _MAX_LABEL_WIDTH)
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, _GAP, 0, 0))
    table.add_column("camera", width=first, no_wrap=True, overflow="ellipsis")
    columns = _columns_that_fit(width - first)
    for column in columns:
        table.add_column(column.title, width=column.width, justify=column.justify, no_wrap=True)
    for heading, snapshot in _rows(snapshots):
        cells = () if heading else (column.cell(snapshot) for column in columns)
        style = "dim" if snapshot.error and not heading else ""
        label = Text(heading, "bold") if heading else Text(_label(snapshot))
        table.add_row(label, *cells, style=style)
    return Group(table, *_error_lines(snapshots), _footer(interval))


def _columns_that_fit(available: int) -> list[Column]:
    columns: list[Column] = []
    for column in _COLUMNS:
        available -= _GAP + column.width
        if available < 0:
            break
        columns.append(column)
    return columns


def _rows(snapshots: Sequence[Snapshot]) -> Iterator[tuple[str, Snapshot]]:
    """Yield every snapshot, and a heading before the first camera of a server."""
    server = ""
    for snapshot in snapshots:
        if snapshot.number is not None and snapshot.server != server:
            yield snapshot.server, snapshot
        server = snapshot.server
        yield "", snapshot


def _label(snapshot: Snapshot) -> str:
    return snapshot.server if snapshot.number is None else f"  {snapshot.number} {snapshot.name}"


def _error_lines(snapshots: Sequence[Snapshot]) -> Iterator[Text]:
    """Yield one line for each error of a server, with the numbers of the cameras."""
    numbers_of: dict[tuple[str, str], list[str]] = {}
    for snapshot in snapshots:
        if snapshot.error:
            numbers_of.setdefault((snapshot.server, snapshot.error), []).append(_number(snapshot))
    for (server, error), numbers in numbers_of.items():
        yield Text(f"{server}{','.join(numbers)}: {error}", "red")


def _number(snapshot: Snapshot) -> str:
    return "" if snapshot.number is None else f" camera {snapshot.number}"


def _footer(interval: float) -> Text:
    clock = datetime.now(UTC).astimezone().strftime("%H:%M:%S")
    return Text(f"{clock}, updated every {interval:g} s; press Ctrl-C to stop", "dim")


def line_of(snapshot: Snapshot) -> str:
    """Return a snapshot as one line."""
    camera = f"{snapshot.server}{_number(snapshot)}"
    if snapshot.error:
        return f"{camera}: {snapshot.error}"
    if not snapshot.connected:
        return f"{camera}: not connected"
    status = snapshot.status
    facts = [
        f"{field.name}={text_of(getattr(status, field.name))}"
        for field in fields(status)
        if field.name != "timestamp" and getattr(status, field.name) is not None
    ]
    return f"{camera}: {' '.join([*facts, *_progress(snapshot)]) or 'state unknown'}"


def _progress(snapshot: Snapshot) -> Iterator[str]:
    if snapshot.progress is None:
        return
    yield f"phase={snapshot.progress.phase}"
    if snapshot.progress.fraction is not None:
        yield f"fraction={snapshot.progress.fraction:.2f}"
    if snapshot.progress.seconds_left is not None:
        yield f"seconds_left={snapshot.progress.seconds_left:.1f}"
