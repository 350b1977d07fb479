"""What a program does in a night works on every event loop."""

from __future__ import annotations

import asyncio
import gc
import ssl
import sys
from typing import TYPE_CHECKING, Final

import pytest
import trustme

from alpaca_async import AlpacaClient, AsyncCamera, CameraStates, TransportError, discover
from alpaca_async.testing import SimulatedCamera, SimulatorServer, run_in_thread
from tests.conditions import until
from tests.discovery.udp import answering, naming
from tests.loops import on_each_loop, run

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE: Final = (3000, 2000)


def large_camera() -> SimulatedCamera:
    width, height = SIZE
    return SimulatedCamera(width=width, height=height, readout_time=0.0, initially_connected=True)


@pytest.fixture
def simulated() -> SimulatedCamera:
    return large_camera()


@pytest.fixture
def served(simulated: SimulatedCamera) -> Iterator[SimulatorServer]:
    with run_in_thread(SimulatorServer([simulated])) as server:
        yield server


@on_each_loop
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_camera_exposes(loop: str, host: str, served: SimulatorServer) -> None:
    async def main() -> tuple[int, ...]:
        async with AsyncCamera(f"{host}:{served.port}") as camera:
            assert await camera.get_name() == "Simulated camera"
            return (await camera.expose(0.05)).data.shape

    assert run(main(), loop) == SIZE[::-1]


@on_each_loop
def test_cancelling_an_exposure_aborts_it(
    loop: str, served: SimulatorServer, simulated: SimulatedCamera
) -> None:
    async def main() -> None:
        async with AsyncCamera(served.address) as camera:
            task = asyncio.create_task(camera.expose(60))
            await until(lambda: simulated.state is CameraStates.EXPOSING)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert simulated.state is CameraStates.IDLE

    run(main(), loop)


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # left open when the loop ended
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # uvloop's way
@on_each_loop
def test_a_client_goes_from_one_loop_to_the_next(loop: str, served: SimulatorServer) -> None:
    client = AlpacaClient()
    camera = client.camera(served.address)

    async def name() -> str:
        return await camera.get_name()

    assert [run(name(), loop) for _ in range(3)] == ["Simulated camera"] * 3
    run(client.aclose(), loop)
    gc.collect()  # the loops warn about the connections here


@on_each_loop
def test_downloads_are_cancelled_and_the_camera_still_answers(
    loop: str, served: SimulatorServer
) -> None:
    async def main() -> None:
        async with AlpacaClient() as client:
            camera = client.camera(served.address)
            await camera.expose(0.01)
            for delay in (0.0, 0.002, 0.005, 0.01, 0.02):
                tasks = [asyncio.create_task(camera.get_image()) for _ in range(3)]
                await asyncio.sleep(delay)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                assert await camera.get_name()
            assert (await camera.get_image()).data.shape == SIZE[::-1]
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main(), loop)


@on_each_loop
def test_tls_works_and_a_wrong_certificate_says_why(loop: str) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)  # pyright: ignore[reportUnknownMemberType]
    trusting = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())

    async def main(address: str) -> None:
        async with AlpacaClient(verify=trusting) as client:
            camera = client.camera(f"https://{address}")
            assert (await camera.expose(0.01)).data.shape == SIZE[::-1]
            task = asyncio.create_task(camera.get_image())
            await asyncio.sleep(0.005)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert await camera.get_name() == "Simulated camera"
        async with AlpacaClient() as client:
            with pytest.raises(TransportError, match="certificate is not trusted"):
                await client.camera(f"https://{address}").get_name()
            with pytest.raises(TransportError):
                await client.camera(f"http://{address}").get_name()

    with run_in_thread(SimulatorServer([large_camera()], ssl_context=context)) as server:
        run(main(server.address), loop)


@on_each_loop
def test_servers_are_discovered(loop: str) -> None:
    async def main() -> list[int]:
        async with answering(naming(4711)) as responder:
            async with discover(["127.0.0.1"], timeout=0.3, port=responder.port) as servers:
                return [server.port async for server in servers]

    assert run(main(), loop) == [4711]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="there are no eager tasks")
async def test_eager_tasks_expose(served: SimulatorServer) -> None:
    loop = asyncio.get_running_loop()
    loop.set_task_factory(getattr(asyncio, "eager_task_factory"))  # noqa: B009 - since 3.12
    async with AsyncCamera(f"localhost:{served.port}") as camera:
        images = [image.data.shape async for image in camera.exposures(0.01, count=2)]
        assert images == [SIZE[::-1]] * 2
