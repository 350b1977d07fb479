"""Output of the command: results go to stdout, everything else goes to stderr."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

import typer
from rich.console import Console
from rich.control import Control
from rich.segment import ControlType
from rich.text import Text

from alpaca_async._errors import AlpacaError, TransportError

from ._extras import MissingExtra
from ._usage import UsageError

if TYPE_CHECKING:
    from collections.abc import Generator

    from rich.table import Table


class StdoutConsole(Console):
    """Standard output; a broken pipe ends the command as Ctrl-C does."""

    def on_broken_pipe(self) -> None:
        """Cancel the command with SIGINT, and print nothing more."""
        self.quiet = ERR.quiet = True
        # Python flushes stdout at exit, which would fail and print an error.
        # A stdout without a file descriptor raises OSError.
        with suppress(OSError), open(os.devnull, "wb") as devnull:  # noqa: PTH123 - a constant
            os.dup2(devnull.fileno(), sys.stdout.fileno())
        signal.raise_signal(signal.SIGINT)


OUT: Final = StdoutConsole(highlight=False)
ERR: Final = Console(stderr=True, highlight=False)

_FAILED: Final = 1
_USAGE_ERROR: Final = 2
_INTERRUPTED: Final = 130
_UNLIMITED_WIDTH: Final = 10_000

logger = logging.getLogger("alpaca_async")


class Interrupted(Exception):
    """The command was interrupted; the message says what was done and what was not."""


class ConsoleHandler(logging.Handler):
    """Writes log records to stderr, above the progress bar if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record: one line, or more if it has a traceback."""
        ERR.print(Text(self.format(record), "dim"), soft_wrap=True)


def log_to_stderr(level: int) -> None:
    """Show the log records of the library that have at least `level`."""
    handler = ConsoleHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logger.handlers = [handler]
    logger.setLevel(level)
    logger.propagate = False


def print_line(text: str | Text) -> None:
    """Print one line of the result, unwrapped and without markup."""
    OUT.print(Text(text) if isinstance(text, str) else text, soft_wrap=True)


def print_json(document: object) -> None:
    """Print an indented JSON document."""
    print_line(json.dumps(document, indent=2, ensure_ascii=False))


def print_json_line(record: object) -> None:
    """Print a JSON document on one line."""
    print_line(json.dumps(record, ensure_ascii=False))


def print_table(table: Table) -> None:
    """Print a table; without a terminal, each row is one line of any length."""
    if OUT.is_terminal:
        OUT.print(table)
        return
    for line in OUT.render_lines(table, OUT.options.update(width=_UNLIMITED_WIDTH), pad=False):
        print_line("".join(segment.text for segment in line).rstrip())


def print_note(sentence: str) -> None:
    """Print a remark to stderr."""
    _print_wrapped(ERR, Text(sentence, "dim"))


def print_sentence(sentence: str) -> None:
    """Print a sentence of the result."""
    _print_wrapped(OUT, Text(sentence, "bold"))


def _print_wrapped(console: Console, sentence: Text) -> None:
    """Wrap `sentence` between words on a terminal; print one line elsewhere."""
    console.control(Control(ControlType.CARRIAGE_RETURN))  # overwrites a ^C of the terminal
    console.print(sentence, soft_wrap=not console.is_terminal)


@contextmanager
def report_errors() -> Generator[None]:
    """Report expected errors and Ctrl-C as one line on stderr, and set the exit code."""
    try:
        yield
    except Interrupted as error:
        raise _exit_with(str(error), _INTERRUPTED) from None
    except KeyboardInterrupt:
        raise _exit_with("interrupted", _INTERRUPTED) from None
    except (MissingExtra, UsageError) as error:
        raise _exit_with(str(error), _USAGE_ERROR) from None
    except (AlpacaError, ValueError, OSError) as error:
        logger.debug("full traceback:", exc_info=True)
        raise _exit_with(_message_of(error), _FAILED) from None


def _exit_with(sentence: str, code: int) -> typer.Exit:
    """Print `sentence` to stderr, and return the exception that ends the command."""
    _print_wrapped(ERR, Text(f"alpaca-async: {sentence}"))
    return typer.Exit(code)


def _message_of(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    text = " ".join(str(error).split()) or type(error).__name__
    refused = isinstance(error, TransportError) and "connection refused" in error.reason
    return f"{text}: is the server running, and is the address right?" if refused else text
