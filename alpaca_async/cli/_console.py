"""Where the command writes: results on stdout, everything else on stderr."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import typer
from rich.console import Console
from rich.text import Text

from alpaca_async._errors import AlpacaError

from ._extras import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Generator

OUT: Final = Console(highlight=False)
ERR: Final = Console(stderr=True, highlight=False)

_FAILED: Final = 1
_NOT_USABLE: Final = 2
_INTERRUPTED: Final = 130

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


@contextmanager
def foreseen_errors() -> Generator[None]:
    """Turn errors that are nobody's bug, and Ctrl-C, into one line and an exit code."""
    try:
        yield
    except Interrupted as error:
        raise _exit(str(error), _INTERRUPTED) from None
    except KeyboardInterrupt:
        raise _exit("interrupted", _INTERRUPTED) from None
    except MissingExtra as error:
        raise _exit(str(error), _NOT_USABLE) from None
    except (AlpacaError, ValueError, OSError) as error:
        logger.debug("the error in full:", exc_info=True)
        raise _exit(_line(error), _FAILED) from None


def _exit(sentence: str, code: int) -> typer.Exit:
    ERR.print(Text(f"alpaca-async: {sentence}"), soft_wrap=True)
    return typer.Exit(code)


def _line(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__
