"""The command `alpaca-async`. It needs the extra `cli` (typer, rich)."""

from __future__ import annotations

import sys

from ._extras import MissingExtra, require

__all__ = ["main"]


def main() -> None:
    """Run the command; see `alpaca-async --help`. `alpaca_async_command` calls it."""
    try:
        require("cli")
    except MissingExtra as error:
        sys.stderr.write(f"alpaca-async: {error}\n")
        sys.exit(2)
    from ._app import app  # noqa: PLC0415 - typer and rich are an extra

    app()
