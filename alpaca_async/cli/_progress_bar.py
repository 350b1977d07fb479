"""Progress bars on the last line of a terminal."""

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

    from alpaca_async._progress import Progress as ProgressReport
    from alpaca_async._progress import ProgressCallback

_CTRL_C_WIDTH: Final = 3
"""Columns kept free for the ^C that terminals echo: a bar that it wraps cannot be erased."""


class _NarrowProgress(Progress):
    """Progress bars that keep some columns free for the ^C of a terminal."""

    def get_renderables(self) -> Iterable[RenderableType]:
        """Yield the table of bars, narrower than the terminal."""
        yield Constrain(self.make_tasks_table(self.tasks), ERR.width - _CTRL_C_WIDTH)


class ProgressBar:
    """Shows the progress of some work during the block, and erases the bar at its end.

    It shows nothing if stderr is not a terminal.
    """

    def __init__(self, title: str) -> None:
        self._bars = _NarrowProgress(
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
        if ERR.is_interactive:  # older versions of rich print an empty line otherwise
            self._bars.stop()

    def show(self, phase: str, fraction: float | None = None, detail: str = "") -> None:
        """Show the bar of `phase`; it pulses if `fraction` is None."""
        bar = self._bar_of(phase, known=fraction is not None)
        self._bars.update(bar, completed=fraction or 0.0, detail=detail)

    def _bar_of(self, phase: str, *, known: bool) -> TaskID:
        """Return the bar of `phase`; a new bar replaces that of another phase."""
        for task in self._bars.tasks:
            if task.description == phase:
                return task.id
            self._bars.remove_task(task.id)
        return self._bars.add_task(phase, total=1.0 if known else None, detail="")


class ExposureProgressBar(ProgressBar):
    """Shows the progress of one frame."""

    def __init__(self, title: str) -> None:
        super().__init__(title)
        self.bytes_per_second: float | None = None
        """The download speed; None until progress reported it."""

    @property
    def callback(self) -> ProgressCallback | None:
        """For `expose`; None without a terminal, which saves requests to the camera."""
        return self._follow if ERR.is_interactive else None

    def _follow(self, report: ProgressReport) -> None:
        self.bytes_per_second = report.bytes_per_second
        self.show(report.phase, report.fraction, _detail(report))


def _detail(report: ProgressReport) -> str:
    if report.phase == "downloading":
        parts = [megabytes(report.bytes_received)]
        if report.bytes_total is not None:
            parts.append(f"of {megabytes(report.bytes_total)}")
        if report.bytes_per_second is not None:
            parts.append(f"at {megabytes(report.bytes_per_second)}/s")
        return " ".join(parts)
    return "" if report.seconds_left is None else f"{seconds(report.seconds_left)} left"
