"""`alpaca-async record`: writes a session between clients and a server into a file."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path  # noqa: TC003 - typer evaluates it
from typing import Annotated

import typer

from ._access import Access, Pins
from ._console import print_line, print_note, report_errors
from ._extras import require
from ._server import Address, server_address
from ._serving import Host, Port, local_address, run_until_ctrl_c


def record(
    address: Address,
    path: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="The file to create.", show_default=False),
    ],
    host: Host = "127.0.0.1",
    port: Port = 11112,
    pixels: Annotated[
        bool,
        typer.Option("--pixels/--no-pixels", help="Record pixels, or only their number and hash."),
    ] = True,
    pin: Pins = None,
) -> None:
    """Record what clients and a server send, until Ctrl-C.

    Clients connect to the address that is printed, instead of that of the server. Passwords and
    cookies are not recorded. 'alpaca-async sim --replay FILE' plays the file.
    """
    with report_errors():
        require("testing")
        access = Access.to([address], None, pin)
        run_until_ctrl_c(_record(address, path, (host, port), access, pixels=pixels), port)


async def _record(
    address: str, path: Path, listen_on: tuple[str, int], access: Access, *, pixels: bool
) -> None:
    from alpaca_async.testing import RecordingProxy  # noqa: PLC0415 - an extra

    host, port = listen_on
    context = access.verify if isinstance(access.verify, ssl.SSLContext) else None
    async with server_address(address) as server:
        proxy = RecordingProxy(
            server, path, host=host, port=port, pixels=pixels, ssl_context=context
        )
        try:
            async with proxy:
                print_line(f"recording {server} at {proxy.address}; press Ctrl-C to stop")
                print_note(f"try: alpaca-async expose {local_address(proxy.address)}")
                await asyncio.Event().wait()
        finally:
            if proxy.recorded:
                print_note(f"{proxy.recorded} requests and their replies are in {path}")
