"""`python -m tests.fuzz`: so many mutated replies of each kind, and what came of them.

Ends with a traceback at the first that is neither the right value nor an `AlpacaError`, and with
an error if memory grew by more than the largest input and 16 MiB. `--seed` repeats a run.
"""

from __future__ import annotations

import argparse
import ctypes
import resource
import sys
import time
from collections import Counter
from random import Random
from typing import TYPE_CHECKING, Final

from . import imagebytes, json_replies

if TYPE_CHECKING:
    from collections.abc import Callable

    Check = Callable[[Random], tuple[str, int]]

CHECKS: Final[dict[str, Check]] = {
    "imagebytes": imagebytes.check,
    "envelopes": json_replies.check_envelope,
    "json-images": json_replies.check_image,
}
QUICK: Final = {"json-images": 5000}  # a case takes as long as four of the others
_WARM_UP: Final = 500
_ALLOWANCE: Final = 16 << 20
_M_MMAP_THRESHOLD: Final = -3
_UNIT: Final = 1 if sys.platform == "darwin" else 1024


def fuzz(check: Check, cases: int, seed: int) -> tuple[Counter[str], int]:
    """Try `cases` of one kind; return how they ended, and the size of the largest."""
    ends: Counter[str] = Counter()
    largest = 0
    for case in range(cases):
        end, size = check(Random(f"{seed}/{case}"))
        ends[end] += 1
        largest = max(largest, size)
    return ends, largest


def _hoard_nothing() -> None:
    """Have glibc return large blocks at once: what it hoards is nobody's in particular."""
    if sys.platform == "linux":
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, 128 << 10)


def _most_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT


def run(name: str, cases: int, seed: int) -> bool:
    """Try `cases` of one kind and print a line; return whether memory stayed in its bounds."""
    fuzz(CHECKS[name], min(cases, _WARM_UP), seed)
    before, begun = _most_memory(), time.perf_counter()
    ends, largest = fuzz(CHECKS[name], cases, seed)
    grown, seconds = _most_memory() - before, time.perf_counter() - begun
    shares = ", ".join(f"{count} {end}" for end, count in sorted(ends.items()))
    print(  # noqa: T201 - a command
        f"{name}: {cases} cases in {seconds:.1f} s: {shares};"
        f" largest input {largest} bytes, memory grew by {grown} bytes"
    )
    return grown <= largest + _ALLOWANCE


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    for name in CHECKS:
        default = QUICK.get(name, 20_000)
        parser.add_argument(f"--{name}", type=int, default=default, metavar="CASES")
    _hoard_nothing()
    chosen = vars(parser.parse_args())
    bounded = [run(name, chosen[name.replace("-", "_")], chosen["seed"]) for name in CHECKS]
    return 0 if all(bounded) else 1


if __name__ == "__main__":
    sys.exit(main())
