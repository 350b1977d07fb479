"""One line at the bottom of a terminal that follows an exposure, and numbers for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

from rich.constrain import Constrain
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn

from ._console import ERR
from ._units import megabytes, seconds

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from rich.console import RenderableType

    from alpaca_async._progress import Progress as Moment
    from alpaca_async._progress import ProgressCallback

_ECHO: Final = 3
"""Room for the ^C that terminals show: a line that it breaks could not be taken away."""


class _Bars(Progress):
    """Bars that leave room for the ^C of a terminal."""

    def get_renderables(self) -> Iterable[RenderableType]:
        """Yield what is drawn."""
        yield Constrain(self.make_tasks_table(self.tasks), ERR.width - _ECHO)


class ExposureDisplay:
    """Shows what happens to one frame while the block runs, then leaves no trace.

    Where stderr is no terminal it shows nothing.
    """

    def __init__(self, title: str) -> None:
        self.bytes_per_second: float | None = None
        """How fast the download was, once it was seen."""
        self._bars = _Bars(
            SpinnerColumn(),
            TextColumn("{task.description:<11}", style="bold", markup=False),
            TextColumn(title, markup=False),
            BarColumn(),
            TextColumn("{task.fields[detail]}", style="dim", markup=False),
            console=ERR,
            transient=True,
            disable=not ERR.is_interactive,
        )

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if ERR.is_interactive:  # else older versions of rich would write an empty line
            self._bars.stop()

    @property
    def callback(self) -> ProgressCallback | None:
        """For `expose`; None where nobody watches, which spares the camera some requests."""
        return self._follow if ERR.is_interactive else None

    def show(self, phase: str, fraction: float | None = None, detail: str = "") -> None:
        """Show the bar of `phase`; it pulses while nobody knows the `fraction`."""
        bar = self._bar_of(phase, known=fraction is not None)
        self._bars.update(bar, completed=fraction or 0.0, detail=detail)

    def _bar_of(self, phase: str, *, known: bool) -> TaskID:
        """Return the bar of `phase`, a new one in place of that of another."""
        for task in self._bars.tasks:
            if task.description == phase:
                return task.id
            self._bars.remove_task(task.id)
        return self._bars.add_task(phase, total=1.0 if known else None, detail="")

    def _follow(self, moment: Moment) -> None:
        self.bytes_per_second = moment.bytes_per_second
        self.show(moment.phase, moment.fraction, _detail(moment))


def _detail(moment: Moment) -> str:
    if moment.phase == "downloading":
        parts = [megabytes(moment.bytes_received)]
        if moment.bytes_total is not None:
            parts.append(f"of {megabytes(moment.bytes_total)}")
        if moment.bytes_per_second is not None:
            parts.append(f"at {megabytes(moment.bytes_per_second)}/s")
        return " ".join(parts)
    return "" if moment.seconds_left is None else f"{seconds(moment.seconds_left)} left"
