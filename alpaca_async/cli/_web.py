"""`alpaca-async web`: serves the page that controls cameras, until Ctrl-C."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import platform
import re
import secrets
import sys
import threading
import webbrowser
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer
from anyio import to_thread
from rich.text import Text

from alpaca_async._address import host_and_port
from alpaca_async._discovery.finding import find_cameras
from alpaca_async._discovery.interfaces import own_address
from alpaca_async._errors import TransportError
from alpaca_async._group.member import CameraAddress

from ._access import Access, Pins, User
from ._console import print_line, print_note, report_errors
from ._extras import SIMULATOR, extras_for, require
from ._files import make_folder
from ._server import SIMULATED_SKY, check_address
from ._serving import Host, Port, run_until_ctrl_c
from ._usage import UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from alpaca_async._camera import AlpacaClient

_TOKEN_VARIABLE: Final = "ALPACA_ASYNC_TOKEN"  # noqa: S105 - the name of a variable
_CAMERA: Final = re.compile(r"(.*[^/])/(\d{1,9})", re.ASCII)


class _Options(NamedTuple):
    """The options of the command."""

    host: str
    port: int
    folder: Path
    allowed_hosts: Sequence[str]
    opens_browser: bool
    access: Access


def web(
    addresses: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ADDRESS",
            help="HOST, HOST:PORT or http(s)://HOST:PORT for all cameras of a server; with /N for "
            "camera N; 'sim' for a simulated rig. Default: all cameras in the network.",
            show_default=False,
        ),
    ] = None,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    folder: Annotated[
        Path, typer.Option("--folder", "-o", metavar="DIR", help="Folder for the frames.")
    ] = Path("frames"),
    allowed_hosts: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-host",
            metavar="NAME",
            help="Another name of this server, such as that of a proxy. Can be repeated.",
        ),
    ] = None,
    opens_browser: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in the browser.")
    ] = True,
    user: User = None,
    pin: Pins = None,
) -> None:
    """Serve a web page that controls cameras, until Ctrl-C.

    Only this computer can open the page, unless --host is given: then it also needs a token, from
    the environment variable ALPACA_ASYNC_TOKEN, or a random one that is printed.
    """
    with report_errors():
        wanted = addresses or []
        require("web", *extras_for(wanted))
        if user is not None and not wanted:
            raise UsageError("--user needs an ADDRESS: a password is not sent to whoever answers")
        access = Access.to(wanted, user, pin)
        options = _Options(host, port, folder, allowed_hosts or (), opens_browser, access)
        # Imported before the event loop runs, because it reads files and takes long.
        import_module("alpaca_async.web.serving")
        run_until_ctrl_c(_web(wanted, options), port)


async def _web(addresses: Sequence[str], options: _Options) -> None:
    from alpaca_async.web import create_app  # noqa: PLC0415 - an extra
    from alpaca_async.web.serving import serving  # noqa: PLC0415 - as above

    folder = await to_thread.run_sync(_make_folder, options.folder)
    token = _token(options.host)
    hosts = (options.host, *_names_of_this_computer(), *options.allowed_hosts)
    new_client = options.access.client
    async with _cameras(addresses, new_client) as cameras:
        app = create_app(cameras, folder, hosts=hosts, token=token, new_client=new_client)
        async with serving(app, options.host, options.port) as port:
            url = _url(options.host, port, token)
            _announce(url, len(cameras), folder)
            if options.opens_browser and _has_browser():
                # A browser may not return before it is closed.
                threading.Thread(target=webbrowser.open, args=[url], daemon=True).start()
            await asyncio.Event().wait()


@asynccontextmanager
async def _cameras(
    addresses: Sequence[str], new_client: Callable[[], AlpacaClient]
) -> AsyncGenerator[list[CameraAddress]]:
    """Yield the cameras at `addresses`, or all in the network; run a simulator for `sim`."""
    if SIMULATOR not in addresses:
        yield await (_list_cameras(addresses, new_client) if addresses else _find_cameras())
    else:
        from alpaca_async.testing import (  # noqa: PLC0415 - an extra
            SimulatedCamera,
            SimulatedRig,
            SimulatorServer,
        )

        rig = SimulatedRig([SimulatedCamera(**SIMULATED_SKY)])
        async with SimulatorServer(rig.devices) as server:
            places = [server.address if each == SIMULATOR else each for each in addresses]
            yield await _list_cameras(places, new_client)


async def _list_cameras(
    addresses: Sequence[str], new_client: Callable[[], AlpacaClient]
) -> list[CameraAddress]:
    cameras: list[CameraAddress] = []
    async with new_client() as client:
        for address in addresses:
            if match := _CAMERA.fullmatch(address):
                cameras.append(CameraAddress(check_address(match[1]), int(match[2])))
            else:
                cameras += await _cameras_of(client, check_address(address))
    return list({(each.address, each.device_number): each for each in cameras}.values())


async def _cameras_of(client: AlpacaClient, address: str) -> list[CameraAddress]:
    """Return the cameras of a server; the first one, unseen, if the server does not answer yet."""
    try:
        devices = await client.get_configured_devices(address)
    except TransportError as error:
        print_note(f"{error}; the page connects camera 0 as soon as the server answers")
        return [CameraAddress(address, 0)]
    cameras = [
        CameraAddress(address, device.device_number)
        for device in devices
        if device.device_type.lower() == "camera"
    ]
    if not cameras:
        raise UsageError(f"{address} has no camera")
    return cameras


async def _find_cameras() -> list[CameraAddress]:
    async with find_cameras() as found:
        cameras = [CameraAddress(each.address, each.device_number) async for each in found]
    if not cameras:
        raise UsageError("no camera found in the network; pass an address, or 'sim'")
    return sorted(cameras, key=lambda each: (each.address, each.device_number))


def _make_folder(folder: Path) -> Path:
    make_folder(folder)
    return folder.resolve()


def _token(host: str) -> str | None:
    """Return the token that a browser needs; None if only this computer can connect."""
    if token := os.environ.get(_TOKEN_VARIABLE):
        return token
    return None if _is_loopback(host) else secrets.token_urlsafe(16)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _is_wildcard(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _names_of_this_computer() -> tuple[str, ...]:
    name = platform.node()
    return (name, f"{name}.local") if name else ()


def _url(host: str, port: int, token: str | None) -> str:
    name = own_address() or platform.node() or "localhost" if _is_wildcard(host) else host
    return f"http://{host_and_port(name, port)}/" + (f"?token={token}" if token else "")


def _announce(url: str, cameras: int, folder: Path) -> None:
    count = "1 camera" if cameras == 1 else f"{cameras} cameras"
    print_line(f"{count} at {url}; press Ctrl-C to stop")
    print_line(Text(f"frames are saved in {folder}", "dim"))


def _has_browser() -> bool:
    """Whether there is a browser with a window; one for terminals would take this one."""
    if sys.platform in {"win32", "darwin"}:
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
