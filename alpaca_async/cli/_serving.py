"""What the commands that serve until Ctrl-C have in common."""

from __future__ import annotations

from errno import EADDRINUSE
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import typer

from ._console import Interrupted, print_note
from ._event_loop import run
from ._usage import UsageError

if TYPE_CHECKING:
    from collections.abc import Coroutine

MAX_PORT: Final = 65535
_LOOPBACK_OF: Final = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - only printed

Host: TypeAlias = Annotated[str, typer.Option(metavar="HOST", help="Address to listen on.")]

Port: TypeAlias = Annotated[
    int,
    typer.Option(min=0, max=MAX_PORT, metavar="PORT", help="TCP port; 0 uses a free one."),
]


def run_until_ctrl_c(coroutine: Coroutine[Any, Any, None], port: int) -> None:
    """Run `coroutine`, which serves at `port`, until Ctrl-C: the normal end (exit code 0)."""
    try:
        run(coroutine)
    except Interrupted:
        print_note("stopped")
    except OSError as error:
        if error.errno != EADDRINUSE:
            raise
        raise UsageError(
            f"port {port} is in use, perhaps by another alpaca-async; --port 0 uses a free one"
        ) from error


def local_address(address: str) -> str:
    """Return the address of a server of this machine for clients on it."""
    host, _, port = address.rpartition(":")
    return f"{_LOOPBACK_OF.get(host, host)}:{port}"
