"""Write a run into the page about performance: `python -m docs.quote_benchmarks RUN.json`.

RUN.json is the output of `python -m benchmarks --json`; table and plot come from that one run.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import median
from typing import Any, Final
from xml.sax.saxutils import escape

from benchmarks import report
from benchmarks.measure import Bound, Row

DOCS: Final = Path(__file__).parent
PAGE: Final = DOCS / "explanation" / "performance.md"
PLOT: Final = DOCS / "images" / "performance.svg"

_START: Final = "<!-- benchmarks: begin -->\n"
_END: Final = "<!-- benchmarks: end -->"
_LINE: Final = 26
_LEFT: Final = 310
_WIDTH: Final = 780
_OURS: Final = "#3b6ea5"
_THEIRS: Final = "#b8bec6"


def main(path: str) -> None:
    """Bring the run in the file at `path` into the page."""
    run: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    rows = [_row(record) for record in run["rows"]]
    page = PAGE.read_text(encoding="utf-8")
    head, _, rest = page.partition(_START)
    _, _, tail = rest.partition(_END)
    table = report.as_markdown(rows, judged=True, about=run["machine"])
    PAGE.write_text(f"{head}{_START}{table}\n{_END}{tail}", encoding="utf-8")
    PLOT.write_text(_plot(_bars(rows)), encoding="utf-8")


def _row(record: dict[str, Any]) -> Row:
    fields = {name: record[name] for name in ("what", "unit", "ours", "other", "theirs")}
    bound = record["bound"]
    return Row(**fields, bound=None if bound is None else Bound(**bound))


def _bars(rows: list[Row]) -> list[tuple[str, float]]:
    """Return names and ms of all that bring one frame of 61 megapixels, ours first."""
    frames = [row for row in rows if row.what.startswith("get_image") and row.unit == "ms"]
    images = [row for row in frames if "ready" not in row.what and "CPU" not in row.what]
    ours = {row.what: median(row.ours) for row in reversed(images)}
    theirs = {row.other: median(row.theirs) for row in images if "dropped" not in row.other}
    return sorted(ours.items()) + sorted(theirs.items(), key=lambda bar: bar[1])


def _plot(bars: list[tuple[str, float]]) -> str:
    longest = max(time for _, time in bars)
    height = _LINE * len(bars) + 10
    size = f'viewBox="0 0 {_WIDTH} {height}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="13">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    for number, (name, time) in enumerate(bars):
        y = 5 + _LINE * number
        width = time / longest * (_WIDTH - _LEFT - 70)
        colour = _OURS if name.startswith("get_image") else _THEIRS
        lines += [
            f'<text x="{_LEFT - 8}" y="{y + 17}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{_LEFT}" y="{y + 4}" width="{width:.1f}" height="18" fill="{colour}"/>',
            f'<text x="{_LEFT + width + 6:.1f}" y="{y + 17}">{time:.0f} ms</text>',
        ]
    return "\n".join([*lines, "</svg>", ""])


if __name__ == "__main__":
    main(*sys.argv[1:])
