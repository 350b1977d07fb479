"""`python -m tests.fuzz`: decode mutated replies of each kind, and print the results.

Stops with a traceback at the first reply that gives neither the right value nor an `AlpacaError`.
Exits with status 1 if memory grew by more than the largest input plus 16 MiB. `--seed` repeats a
run.
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
CASES: Final = {"json-images": 5000}  # a case takes as long as four cases of another kind
_WARM_UP: Final = 500
_ALLOWED_GROWTH: Final = 16 << 20
_M_MMAP_THRESHOLD: Final = -3
_BYTES_PER_MAXRSS: Final = 1 if sys.platform == "darwin" else 1024


def fuzz(check: Check, cases: int, seed: int) -> tuple[Counter[str], int]:
    """Run `cases` of one kind; return the count of each result, and the largest input's size."""
    results: Counter[str] = Counter()
    largest = 0
    for case in range(cases):
        result, size = check(Random(f"{seed}/{case}"))
        results[result] += 1
        largest = max(largest, size)
    return results, largest


def _return_large_blocks() -> None:
    """Make glibc return large blocks to the system at once, so that they do not count as growth."""
    if sys.platform == "linux":
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, 128 << 10)


def _peak_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _BYTES_PER_MAXRSS


def run(name: str, cases: int, seed: int) -> bool:
    """Run `cases` of one kind and print a line; return whether memory stayed within its limit."""
    fuzz(CHECKS[name], min(cases, _WARM_UP), seed)
    before, begun = _peak_memory(), time.perf_counter()
    results, largest = fuzz(CHECKS[name], cases, seed)
    grown, seconds = _peak_memory() - before, time.perf_counter() - begun
    counts = ", ".join(f"{count} {result}" for result, count in sorted(results.items()))
    print(  # noqa: T201 - a command
        f"{name}: {cases} cases in {seconds:.1f} s: {counts};"
        f" largest input {largest} bytes, memory grew by {grown} bytes"
    )
    return grown <= largest + _ALLOWED_GROWTH


def main() -> int:
    """Run the cases given on the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    for name in CHECKS:
        default = CASES.get(name, 20_000)
        parser.add_argument(f"--{name}", type=int, default=default, metavar="CASES")
    _return_large_blocks()
    chosen = vars(parser.parse_args())
    within_limit = [run(name, chosen[name.replace("-", "_")], chosen["seed"]) for name in CHECKS]
    return 0 if all(within_limit) else 1


if __name__ == "__main__":
    sys.exit(main())
