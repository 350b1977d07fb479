"""Outside of asyncio, every call raises the same error before any request."""

from __future__ import annotations

import inspect
import socket
from typing import TYPE_CHECKING, Any, Final

import anyio
import httpx
import pytest
import trio

from alpaca_async import (
    AlpacaClient,
    AsyncCamera,
    AsyncCoverCalibrator,
    AsyncDevice,
    AsyncFilterWheel,
    AsyncFocuser,
    AsyncioRequired,
    AsyncSafetyMonitor,
    CameraGroup,
    DirectTransport,
    GuideDirections,
    discover,
    find_camera,
    find_cameras,
    find_devices,
)
from alpaca_async.testing import SimulatedCamera, SimulatorServer, run_in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable, Callable, Iterator

ARGUMENTS: Final[dict[str, Any]] = {
    "float": 1.0,
    "int": 1,
    "bool": True,
    "str": "A",
    "int | str": 1,
    "str | int": 1,
    "Value": 1,
    "type[T]": int,
    "GuideDirections": GuideDirections.NORTH,
    "Duration | Iterable[Duration] | AsyncIterable[Duration]": [1.0],
}
"""An argument for each annotation of a parameter without a default."""


@pytest.fixture
def port() -> Iterator[int]:
    """A port on which a connection attempt is an error of the test."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


def required(function: Callable[..., object]) -> inspect.BoundArguments:
    """Return an argument for each parameter that has no default."""
    signature = inspect.signature(function)
    parameters = list(signature.parameters.values())[1:]
    bare = signature.replace(parameters=parameters)
    needed = [
        each for each in parameters if each.default is each.empty and each.kind != each.VAR_KEYWORD
    ]
    only = [ARGUMENTS[each.annotation] for each in needed if each.kind == each.POSITIONAL_ONLY]
    named = {each.name: each for each in needed if each.kind != each.POSITIONAL_ONLY}
    return bare.bind(*only, **{name: ARGUMENTS[each.annotation] for name, each in named.items()})


def members(kind: type[AsyncDevice] = AsyncCamera) -> list[str]:
    """Return the names of all coroutines and streams of a device."""
    return [
        name
        for name, member in inspect.getmembers(kind, callable)
        if not name.startswith("_")
        and name != "aclose"
        and ("Stream" in str(inspect.signature(member)) or inspect.iscoroutinefunction(member))
    ]


async def use(result: Awaitable[object] | AsyncIterable[object]) -> None:
    if inspect.isawaitable(result):
        await result
    else:
        async for _ in result:
            pass


def refuses(work: Callable[[], Awaitable[object] | AsyncIterable[object]]) -> None:
    async def main() -> None:
        await use(work())

    with pytest.raises(AsyncioRequired, match="trio"):
        trio.run(main)
    with pytest.raises(AsyncioRequired, match="trio"):
        anyio.run(main, backend="trio")


def test_the_members_are_found() -> None:
    assert {"expose", "exposures", "get_name", "set_gain", "watch", "cool_to"} <= set(members())


@pytest.mark.parametrize("name", members())
def test_a_member_of_a_camera_refuses(name: str, port: int) -> None:
    camera = AsyncCamera(f"127.0.0.1:{port}")
    member, arguments = getattr(camera, name), required(getattr(AsyncCamera, name))
    refuses(lambda: member(*arguments.args, **arguments.kwargs))


ACCESSORIES: Final = (
    AsyncFilterWheel,
    AsyncFocuser,
    AsyncCoverCalibrator,
    AsyncSafetyMonitor,
)


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, name) for kind in ACCESSORIES for name in members(kind) if name in vars(kind)],
)
def test_a_member_of_an_accessory_refuses(
    kind: Callable[[str], AsyncDevice], name: str, port: int
) -> None:
    member, arguments = getattr(kind(f"127.0.0.1:{port}"), name), required(getattr(kind, name))
    refuses(lambda: member(*arguments.args, **arguments.kwargs))


def test_a_block_with_a_client_refuses() -> None:
    refuses(lambda: AlpacaClient().__aenter__())
    refuses(lambda: AsyncCamera("pi").__aenter__())


def test_what_was_never_used_can_be_closed_only_in_asyncio() -> None:
    refuses(lambda: AlpacaClient().aclose())


def test_a_group_refuses(port: int) -> None:
    refuses(lambda: CameraGroup([AsyncCamera(f"127.0.0.1:{port}")]).__aenter__())


def test_discovery_refuses() -> None:
    refuses(lambda: discover(timeout=0.1))
    refuses(lambda: find_cameras(timeout=0.1))
    refuses(lambda: find_camera("id", timeout=0.1))
    refuses(lambda: find_devices(timeout=0.1))


def test_the_transport_refuses(port: int) -> None:
    async def main() -> None:
        await DirectTransport().handle_async_request(
            httpx.Request("GET", f"http://127.0.0.1:{port}")
        )

    refuses(main)


def test_no_event_loop_at_all_is_the_same_error(port: int) -> None:
    with pytest.raises(AsyncioRequired):
        AsyncCamera(f"127.0.0.1:{port}").get_name().send(None)


def test_anyio_on_asyncio_works() -> None:
    camera = SimulatedCamera(width=64, height=48, initially_connected=True, readout_time=0.0)
    with run_in_thread(SimulatorServer([camera])) as server:

        async def main() -> tuple[int, ...]:
            async with AlpacaClient() as client:
                image = await client.camera(server.address).expose(0.01)
                return image.data.shape

        assert anyio.run(main, backend="asyncio") == (48, 64)
