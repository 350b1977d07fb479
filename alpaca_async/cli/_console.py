"""Where the command writes: results on stdout, everything else on stderr."""

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

from alpaca_async._errors import AlpacaError

from ._extras import MissingExtra
from ._usage import WrongUsage

if TYPE_CHECKING:
    from collections.abc import Generator

    from rich.table import Table


class Output(Console):
    """Standard output; when nobody reads it any more the command ends as after Ctrl-C."""

    def on_broken_pipe(self) -> None:
        """Let what is under way be cancelled, and say nothing more."""
        self.quiet = ERR.quiet = True
        # Python would complain when it ends, unless its output goes nowhere; if it is a file.
        with suppress(OSError), open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - no path of ours
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        signal.raise_signal(signal.SIGINT)


OUT: Final = Output(highlight=False)
ERR: Final = Console(stderr=True, highlight=False)

_FAILED: Final = 1
_NOT_USABLE: Final = 2
_INTERRUPTED: Final = 130
_ENDLESS: Final = 10_000

logger = logging.getLogger("alpaca_async")


class Interrupted(Exception):
    """Ctrl-C, with a sentence about what became of the work."""


class ConsoleHandler(logging.Handler):
    """Writes log records on stderr, above a progress bar if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record as one line, or more if it has a traceback."""
        ERR.print(Text(self.format(record), "dim"), soft_wrap=True)


def log_to_stderr(level: int) -> None:
    """Show what the library logs from `level` on."""
    handler = ConsoleHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logger.handlers = [handler]
    logger.setLevel(level)
    logger.propagate = False


def say(text: str | Text) -> None:
    """Write a line of the result, however long; nothing in it is markup."""
    OUT.print(Text(text) if isinstance(text, str) else text, soft_wrap=True)


def say_json(document: object) -> None:
    """Write a JSON document, indented."""
    say(json.dumps(document, indent=2, ensure_ascii=False))


def say_json_line(record: object) -> None:
    """Write one line of a stream of JSON."""
    say(json.dumps(record, ensure_ascii=False))


def say_table(table: Table) -> None:
    """Write a table of the result; each row is one line where there is no terminal to fit."""
    if OUT.is_terminal:
        OUT.print(table)
        return
    for line in OUT.render_lines(table, OUT.options.update(width=_ENDLESS), pad=False):
        say("".join(segment.text for segment in line).rstrip())


def note(sentence: str) -> None:
    """Write a remark on stderr."""
    _print_sentence(ERR, Text(sentence, "dim"))


def conclude(sentence: str) -> None:
    """Write a sentence of the result."""
    _print_sentence(OUT, Text(sentence, "bold"))


def _print_sentence(console: Console, sentence: Text) -> None:
    """Write it between words into the lines of a terminal, else as one line."""
    console.control(Control(ControlType.CARRIAGE_RETURN))  # the terminal may have shown ^C
    console.print(sentence, soft_wrap=not console.is_terminal)


@contextmanager
def foreseen_errors() -> Generator[None]:
    """Turn errors that are nobody's bug, and Ctrl-C, into one line and an exit code."""
    try:
        yield
    except Interrupted as error:
        raise _exit(str(error), _INTERRUPTED) from None
    except KeyboardInterrupt:
        raise _exit("interrupted", _INTERRUPTED) from None
    except (MissingExtra, WrongUsage) as error:
        raise _exit(str(error), _NOT_USABLE) from None
    except (AlpacaError, ValueError, OSError) as error:
        logger.debug("the error in full:", exc_info=True)
        raise _exit(_line(error), _FAILED) from None


def _exit(sentence: str, code: int) -> typer.Exit:
    _print_sentence(ERR, Text(f"alpaca-async: {sentence}"))
    return typer.Exit(code)


def _line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return " ".join(str(error).split()) or type(error).__name__
