from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from alpaca_async.testing import (
    FaultProxy,
    RecordingProxy,
    ReplayServer,
    SimulatedCamera,
    SimulatorServer,
)


class Clock:
    """A clock that moves only by `advance`."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.seconds += seconds


@dataclass
class Wire:
    """An HTTP client of one server, with the first camera of that server."""

    http: httpx.AsyncClient
    server: SimulatorServer
    camera: SimulatedCamera

    async def get(self, member: str, **headers: str) -> httpx.Response:
        return await self.http.get(f"/api/v1/camera/0/{member}", headers=headers)

    async def put(self, member: str, **form: object) -> httpx.Response:
        data = {name: str(value) for name, value in form.items()}
        return await self.http.put(f"/api/v1/camera/0/{member}", data=data)

    async def value(self, member: str) -> Any:  # noqa: ANN401 - JSON
        reply = (await self.get(member)).json()
        assert reply["ErrorNumber"] == 0, reply
        return reply["Value"]

    async def error(self, member: str) -> int:
        response = await self.get(member)
        assert response.status_code == 200
        number: int = response.json()["ErrorNumber"]
        return number

    async def do(self, member: str, **form: object) -> int:
        response = await self.put(member, **form)
        assert response.status_code == 200, response.text
        number: int = response.json()["ErrorNumber"]
        return number


def http_client(
    server: SimulatorServer | FaultProxy | RecordingProxy | ReplayServer,
) -> httpx.AsyncClient:
    # Without TLS there is nothing to verify, and loading certificates would take most of a test.
    return httpx.AsyncClient(
        base_url=f"http://{server.address}",
        trust_env=False,
        verify=False,  # noqa: S501 - see above
    )


@asynccontextmanager
async def wired(
    *cameras: SimulatedCamera,
    **options: Any,  # noqa: ANN401 - options of SimulatorServer
) -> AsyncGenerator[Wire]:
    async with (
        SimulatorServer(cameras, **options) as server,
        http_client(server) as http,
    ):
        yield Wire(http, server, cameras[0])


@pytest.fixture
def clock() -> Clock:
    return Clock()


MakeCamera = Callable[..., SimulatedCamera]


@pytest.fixture
def make_camera(clock: Clock) -> MakeCamera:
    """Return a factory of small, connected cameras that use `clock`."""

    def make(**facts: Any) -> SimulatedCamera:  # noqa: ANN401 - fields of CameraModel
        small: dict[str, Any] = {"width": 64, "height": 48, "clock": clock}
        merged: dict[str, Any] = {"initially_connected": True, **small, **facts}
        return SimulatedCamera(**merged)

    return make


@pytest.fixture
async def wire(make_camera: MakeCamera) -> AsyncIterator[Wire]:
    async with wired(make_camera()) as wire:
        yield wire
