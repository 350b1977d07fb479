"""The command and its global options. Each sub-command has its own module."""

from __future__ import annotations

import logging
from typing import Annotated, Final

import typer

from alpaca_async._version import __version__

from ._bench import bench
from ._console import log_to_stderr, print_line
from ._cooling import cool, warm
from ._dark import dark
from ._discover import discover
from ._expose import expose
from ._flat import flat
from ._focus import focus
from ._get import get
from ._help import Command
from ._info import info
from ._move import move
from ._record import record
from ._set import set_
from ._sim import sim
from ._watch import watch
from ._web import web

_LEVELS: Final = (logging.WARNING, logging.INFO, logging.DEBUG)

app = typer.Typer(
    name="alpaca-async",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(requested: bool) -> None:
    if requested:
        print_line(f"alpaca-async {__version__}")
        raise typer.Exit


@app.callback()
def options(
    verbose: Annotated[
        int,
        typer.Option(
            "--verbose",
            "-v",
            count=True,
            show_default=False,
            help="Log to stderr what happens; -vv logs every request.",
        ),
    ] = 0,
    version: Annotated[  # noqa: ARG001 - handled by its callback
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Control ASCOM Alpaca cameras and take pictures with them.

    To try it without a camera: alpaca-async expose sim --preview
    """
    log_to_stderr(_LEVELS[min(verbose, len(_LEVELS) - 1)])


_NEGATIVE_NUMBERS: Final = {"ignore_unknown_options": True}
"""Lets an argument such as -10 not be an option."""

app.command(cls=Command)(discover)
app.command(cls=Command)(expose)
app.command(cls=Command)(dark)
app.command(cls=Command)(flat)
app.command(cls=Command)(focus)
app.command(cls=Command)(move)
app.command(cls=Command, context_settings=_NEGATIVE_NUMBERS)(cool)
app.command(cls=Command)(warm)
app.command(cls=Command)(info)
app.command(cls=Command)(get)
app.command("set", cls=Command)(set_)
app.command(cls=Command)(watch)
app.command(cls=Command)(web)
app.command(cls=Command)(bench)
app.command(cls=Command)(record)
app.command(cls=Command)(sim)
