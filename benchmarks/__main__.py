"""Compares the library with a baseline and with other clients: `python -m benchmarks --help`.

How to read the table: docs/explanation/performance.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Final

from . import calls, exposures, files, images, loops, many_cameras, readouts, report
from .child import MEASURABLE, touch_memory
from .measure import FULL, QUICK

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from .measure import Row, Scale

GROUPS: Final[dict[str, Callable[[Scale], Awaitable[list[Row]]]]] = {
    "array": images.array,
    "image": images.image,
    "stalls": images.stalls,
    "calls": calls.one_by_one,
    "flight": calls.in_flight,
    "servers": many_cameras.own_servers,
    "server": many_cameras.one_server,
    "together": many_cameras.at_once,
    "tls": images.tls,
    "alpyca": images.alpyca,
    "guider": calls.guider,
    "others": images.others,
    "starts": exposures.starts,
    "sequence": exposures.sequence,
    "large": exposures.large,
    "cancelling": exposures.cancelling,
    "readout": readouts.readout,
    "files": files.files,
}


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    if not MEASURABLE:
        sys.exit("the benchmarks need /proc: run them on Linux")
    scale = QUICK if options.quick else FULL
    rows = loops.run(measure(options.only or GROUPS, scale), options.loop)
    about = report.machine(options.loop)
    if options.json:
        print(json.dumps({"machine": about, "rows": report.as_data(rows)}, indent=1))
    else:
        form = report.as_markdown if options.markdown else report.as_text
        print(form(rows, judged=not options.quick, about=about))
    if options.check and any(row.met is False for row in rows):
        sys.exit(1)


async def measure(groups: Iterable[str], scale: Scale) -> list[Row]:
    """Measure `groups` one after the other, and return their rows."""
    rows: list[Row] = []
    for group in groups:
        print(f"{group} ...", file=sys.stderr, flush=True)
        if scale.memory:
            touch_memory(scale.memory)
        rows += await GROUPS[group](scale)
    return rows


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only",
        action="append",
        choices=GROUPS,
        metavar="NAME",
        help=f"measure only {', '.join(GROUPS)}; repeatable",
    )
    parser.add_argument(
        "--loop", choices=loops.LOOPS, default=loops.LOOPS[0], help="run on this event loop"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print every run, for programs")
    form.add_argument(
        "--markdown", action="store_true", help="print the table of the documentation"
    )
    extent = parser.add_mutually_exclusive_group()
    extent.add_argument(
        "--quick", action="store_true", help="use small frames and few runs, check no bounds"
    )
    extent.add_argument("--check", action="store_true", help="exit with 1 if a bound is missed")
    return parser


if __name__ == "__main__":
    main()
