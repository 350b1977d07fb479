"""Retries: a GET is sent once more if its connection broke before the reply. Nothing else is."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, TypeAlias

import httpx
import pytest

from alpaca_async import (
    AlpacaClient,
    AlpacaError,
    AsyncCamera,
    MalformedResponse,
    RequestRejected,
    Timeouts,
    TransportError,
    TransportTimeout,
)
from alpaca_async.testing import FAULTS, FaultProxy, SimulatedCamera, SimulatorServer
from tests.short_timeouts import QUICK, get_name_with_retries

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

Do: TypeAlias = "Callable[[AsyncCamera], Awaitable[None]]"
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # loading certificates takes longer than a test

WITHOUT_A_BYTE = ["reset_before", "close_before", "reset_after", "close_after"]
WITHIN_THE_REPLY = ["reset_in_head", "reset_midway", "close_midway", "close_between_chunks"]
WITHOUT_AN_END = ["silence", "lose_reply", "stall"]
ANSWERED = ["http_503_html", "http_500_text", "redirect", "login_page", "truncated_json"]


@pytest.fixture
def simulated() -> SimulatedCamera:
    """A camera with an image; it is fast enough to expose again between two calls."""
    camera = SimulatedCamera(
        width=16, height=12, stars=0, readout_time=0.0, speed_up=1000.0, initially_connected=True
    )
    camera.start_exposure(0.001, light=True)
    return camera


@pytest.fixture
async def proxy(server: SimulatorServer) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(server.address) as proxy:
        yield proxy


@pytest.fixture
def limits(request: pytest.FixtureRequest) -> Timeouts:
    """Return short timeouts if the fault will cause a timeout."""
    fault = request.node.callspec.params.get("fault")
    return QUICK if fault in WITHOUT_AN_END else Timeouts()


@pytest.fixture
async def camera(proxy: FaultProxy, limits: Timeouts) -> AsyncIterator[AsyncCamera]:
    async with AlpacaClient(timeouts=limits) as client:
        yield client.camera(proxy.address)


@pytest.fixture(params=["ours", "foreign"])
async def either(
    request: pytest.FixtureRequest, proxy: FaultProxy, limits: Timeouts
) -> AsyncIterator[AsyncCamera]:
    """A camera over our own transport, and over an injected `httpx.AsyncClient`."""
    async with httpx.AsyncClient(trust_env=False, verify=NO_TLS, follow_redirects=True) as foreign:
        http = foreign if request.param == "foreign" else None
        async with AlpacaClient(timeouts=limits, http=http) as client:
            yield client.camera(proxy.address)


async def read(camera: AsyncCamera) -> None:
    await camera.get_gain()


async def download(camera: AsyncCamera) -> None:
    await camera.get_image_array()


async def command(camera: AsyncCamera) -> None:
    await camera.set_gain(5)


async def start(camera: AsyncCamera) -> None:
    await camera.start_exposure(0.0, light=False)


MEMBERS: dict[Do, str] = {
    read: "gain",
    download: "imagearray",
    command: "gain",
    start: "startexposure",
}
READS = [read, download]
COMMANDS = [command, start]


async def failure(operation: Awaitable[None]) -> AlpacaError:
    with pytest.raises(AlpacaError) as caught:
        await operation
    return caught.value


# A GET


@pytest.mark.parametrize("ask", READS)
@pytest.mark.parametrize("fault", WITHOUT_A_BYTE)
@pytest.mark.parametrize("kept", [True, False])
async def test_a_get_is_retried_if_its_connection_broke_before_the_reply(
    camera: AsyncCamera,
    proxy: FaultProxy,
    ask: Do,
    fault: str,
    kept: bool,
) -> None:
    if kept:
        await get_name_with_retries(camera)
    proxy.add(fault, times=1)
    await ask(camera)
    assert proxy.count() == 1


@pytest.mark.parametrize("ask", READS)
@pytest.mark.parametrize("fault", WITHOUT_A_BYTE)
@pytest.mark.parametrize("kept", [True, False])
async def test_it_is_retried_only_once(
    camera: AsyncCamera,
    proxy: FaultProxy,
    ask: Do,
    fault: str,
    kept: bool,
) -> None:
    if kept:
        await get_name_with_retries(camera)
    proxy.add(fault)
    assert type(await failure(ask(camera))) is TransportError
    assert proxy.count(member=MEMBERS[ask]) == 2


@pytest.mark.parametrize("fault", WITHIN_THE_REPLY)
@pytest.mark.parametrize("ask", READS)
async def test_after_a_byte_of_the_reply_it_is_not_retried(
    camera: AsyncCamera,
    proxy: FaultProxy,
    ask: Do,
    fault: str,
) -> None:
    await get_name_with_retries(camera)
    proxy.add(fault)
    assert isinstance(await failure(ask(camera)), TransportError | MalformedResponse)
    assert proxy.count() == 1


# A command


@pytest.mark.parametrize("fault", WITHOUT_A_BYTE + WITHIN_THE_REPLY + WITHOUT_AN_END)
@pytest.mark.parametrize("give", COMMANDS)
async def test_a_command_that_was_sent_is_never_retried(
    either: AsyncCamera,
    simulated: SimulatedCamera,
    proxy: FaultProxy,
    give: Do,
    fault: str,
) -> None:
    await get_name_with_retries(either)  # so that a kept-alive connection is used
    proxy.add(fault)
    error = await failure(give(either))
    assert isinstance(error, TransportError)
    assert error.outcome_unknown
    assert "may have executed the command" in str(error)
    assert proxy.count() == 1
    assert simulated.count(MEMBERS[give], "PUT") == int(FAULTS[fault].passes_on)


@pytest.mark.parametrize("give", COMMANDS)
async def test_the_outcome_of_a_command_that_was_not_sent_is_known(
    either: AsyncCamera,
    proxy: FaultProxy,
    give: Do,
) -> None:
    with proxy.add("refuse"):
        error = await failure(give(either))
    assert isinstance(error, TransportError)
    assert not error.outcome_unknown
    await give(either)


@pytest.mark.parametrize("give", COMMANDS)
async def test_a_command_does_not_use_a_connection_that_is_known_to_be_dead(
    camera: AsyncCamera,
    simulated: SimulatedCamera,
    proxy: FaultProxy,
    give: Do,
) -> None:
    proxy.add("close_idle", times=1)
    await get_name_with_retries(camera)
    await asyncio.sleep(0.05)  # the FIN has arrived and waits in the socket
    await give(camera)
    assert simulated.count(MEMBERS[give], "PUT") == 1


# All


@pytest.mark.parametrize("fault", WITHOUT_AN_END)
@pytest.mark.parametrize("ask", READS)
async def test_a_timeout_is_not_retried(
    camera: AsyncCamera,
    proxy: FaultProxy,
    ask: Do,
    fault: str,
) -> None:
    await get_name_with_retries(camera)
    proxy.add(fault)
    assert isinstance(await failure(ask(camera)), TransportTimeout)
    assert proxy.count() == 1


@pytest.mark.parametrize("fault", ANSWERED)
@pytest.mark.parametrize("do", [read, command, start])
async def test_a_bad_answer_is_not_retried(
    camera: AsyncCamera,
    proxy: FaultProxy,
    do: Do,
    fault: str,
) -> None:
    await get_name_with_retries(camera)
    proxy.add(fault)
    assert isinstance(await failure(do(camera)), RequestRejected | MalformedResponse)
    assert proxy.count() == 1


@pytest.mark.parametrize("do", [read, download, command, start])
async def test_a_redirect_is_not_followed(
    either: AsyncCamera,
    simulated: SimulatedCamera,
    proxy: FaultProxy,
    do: Do,
) -> None:
    proxy.add("redirect", times=1)  # a client that follows it would succeed
    error = await failure(do(either))
    assert isinstance(error, RequestRejected)
    assert error.status == 307
    assert simulated.count(MEMBERS[do]) == 0
