"""The table, and the machine it was measured on."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from alpaca_async._download.transposition import transposed_by

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .measure import Row

_PACKAGES: Final = ("alpaca_async", "numpy", "httpx", "httptools", "aiohttp", "alpyca")
_TITLES: Final = ("measured", "ours", "compared with", "theirs", "ratio", "min to max", "bound")


def machine(loop: str) -> dict[str, str]:
    """Return the system, the versions and the event loop that the figures depend on."""
    about = {
        platform.system(): platform.machine(),
        "CPUs": str(os.cpu_count()),
        "Python": platform.python_version(),
        loop: _version(loop),
        "rows by": transposed_by(),
    }
    return about | {name: found for name in _PACKAGES if (found := _version(name))}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def as_data(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Return the rows with every run, for programs."""
    return [asdict(row) | {"ratio": median(row.ratios), "met": row.met} for row in rows]


def as_text(rows: Iterable[Row], *, judged: bool, about: dict[str, str]) -> str:
    """Return the machine and the table in aligned columns."""
    table = _padded(_table(rows, judged=judged))
    lines = "\n".join("  ".join(cells).rstrip() for cells in table)
    return f"{_sentence(about)}\n\n{lines}"


def as_markdown(rows: Iterable[Row], *, judged: bool, about: dict[str, str]) -> str:
    """Return the machine and the table in Markdown."""
    table = _table(rows, judged=judged)
    table.insert(1, ["---"] * len(_TITLES))
    lines = "\n".join(f"| {' | '.join(cells)} |" for cells in _padded(table))
    return f"{_sentence(about)}\n\n{lines}"


def _sentence(about: dict[str, str]) -> str:
    return ", ".join(f"{name} {value}".rstrip() for name, value in about.items())


def _table(rows: Iterable[Row], *, judged: bool) -> list[list[str]]:
    return [list(_TITLES), *(_cells(row, judged=judged) for row in rows)]


def _cells(row: Row, *, judged: bool) -> list[str]:
    return [
        row.what,
        f"{_figure(median(row.ours))} {row.unit}",
        row.other,
        f"{_figure(median(row.theirs))} {row.unit}",
        _figure(median(row.ratios)),
        f"{_figure(min(row.judged))} to {_figure(max(row.judged))}",
        _bound(row) if judged else "",
    ]


def _bound(row: Row) -> str:
    if row.bound is None:
        return ""
    unit = "" if row.bound.figure == "ratio" else f" {row.unit}"
    missed = "" if row.met else ", missed"
    return f"{row.bound.sign} {_figure(row.bound.limit)}{unit}{missed}"


def _figure(value: float) -> str:
    """Return `value` with three significant digits, and no exponent."""
    if abs(value) >= 100:  # noqa: PLR2004 - three digits before the point
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"  # noqa: PLR2004


def _padded(table: Sequence[Sequence[str]]) -> list[list[str]]:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)] for cells in table
    ]
