"""Starts the command `alpaca-async`: handles Ctrl-C before anything else is imported.

A module beside the package, because importing any part of `alpaca_async` first imports the whole
library, which takes a large part of a second.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress

_STDERR = 2
_INTERRUPTED = 130


def main() -> None:
    """Run the command; see `alpaca-async --help`."""
    signal.signal(signal.SIGINT, _end)
    from alpaca_async.cli import main as run_command  # noqa: PLC0415 - takes long

    try:
        run_command()
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command has ended: only Python has not


def _end(*_: object) -> None:
    """Print one line and end the process: there is nothing to clean up yet.

    A `KeyboardInterrupt` instead could be caught, or printed, by whatever is being imported.
    """
    start = b"\r" if os.isatty(_STDERR) else b""  # overwrites a ^C of the terminal
    with suppress(OSError):
        os.write(_STDERR, start + b"alpaca-async: interrupted\n")
    os._exit(_INTERRUPTED)
