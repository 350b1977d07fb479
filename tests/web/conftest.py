"""An observatory with simulated cameras, on sockets of this machine."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
import pytest_asyncio

from alpaca_async import AlpacaClient, CameraAddress, CameraStates, CoolingPace, Timeouts
from alpaca_async.testing import (
    SimulatedCamera,
    SimulatedCoverCalibrator,
    SimulatedFilterWheel,
    SimulatedFocuser,
    SimulatedRig,
    SimulatorServer,
)
from alpaca_async.web import Pace, create_app
from alpaca_async.web.serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

    import pytest

COOLING = CoolingPace(interval=0.05, settled=0.2, stalled=5)
PACE = Pace(interval=0.1, retry=0.1, late_after=0.3, cooler_interval=0.2, cooling=COOLING)


@dataclass
class Site:
    """An observatory that is being served."""

    url: str
    http: httpx.AsyncClient
    simulator: SimulatorServer
    camera: Slow
    wheel: SimulatedFilterWheel
    folder: Path

    async def order(self, duration: float = 0.05, **more: object) -> httpx.Response:
        return await self.order_steps({"duration": duration, **more})

    async def order_steps(self, *steps: dict[str, Any]) -> httpx.Response:
        return await self.http.post("/api/cameras/0/exposures", json={"steps": steps})

    async def take(self, *steps: dict[str, Any]) -> dict[str, Any]:
        """Order a sequence, and return the view when it has ended."""
        await self.until(lambda view: view["wheel"] is not None)
        answer = await self.order_steps(*steps)
        assert answer.status_code == 202, answer.text
        return await self.ended()

    async def expose(self, duration: float = 0.05, **more: object) -> dict[str, Any]:
        """Give an order, and return the view when it has ended."""
        answer = await self.order(duration, **more)
        assert answer.status_code == 202, answer.text
        return await self.ended()

    async def ended(self) -> dict[str, Any]:
        """Wait until the order has ended."""
        return await self.until(lambda view: view["order"] is None)

    async def abort(self) -> httpx.Response:
        return await self.http.delete("/api/cameras/0/exposures")

    async def leave_idle(self) -> None:
        """End the order of a test that has failed: the tests that follow would fail as well."""
        if (await self.view())["order"] is not None:
            await self.abort()

    async def view(self) -> dict[str, Any]:
        """Return how the first camera is."""
        view: dict[str, Any] = (await self.http.get("/api/state")).json()["cameras"][0]
        return view

    async def device(self, kind: str) -> dict[str, Any]:
        """Return how the device of a kind is."""
        devices: list[dict[str, Any]] = (await self.http.get("/api/state")).json()["devices"]
        return next(device for device in devices if device["kind"] == kind)

    async def command(self, kind: str, action: str, position: int = 0) -> httpx.Response:
        number = (await self.device(kind))["number"]
        body = {"action": action, "position": position}
        return await self.http.post(f"/api/devices/{number}/commands", json=body)

    async def settled(self, kind: str) -> None:
        """Wait until the device of a kind has done what it should."""
        await self.known(kind, "busy", wanted=False)

    async def known(self, kind: str, name: str, *, wanted: bool | None) -> None:
        """Wait until the page is told of a value of the device of a kind."""
        async with asyncio.timeout(10), self.http.stream("GET", "/api/events") as response:
            async for line in response.aiter_lines():
                if line.startswith("data: "):
                    devices = json.loads(line.removeprefix("data: "))["devices"]
                    if any(each["kind"] == kind and each[name] is wanted for each in devices):
                        return

    async def until(self, wanted: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Wait until the view is as wanted."""
        async with asyncio.timeout(10):
            async with self.events() as views:
                async for view in views:
                    if wanted(view):
                        return view
        raise AssertionError("the server ended the stream of events")

    async def started(self) -> None:
        """Wait until the camera exposes."""
        await self.until(lambda _: self.camera.state is CameraStates.EXPOSING)

    @asynccontextmanager
    async def events(self) -> AsyncGenerator[AsyncGenerator[dict[str, Any]]]:
        """Listen to what is told of the first camera."""
        async with self.http.stream("GET", "/api/events") as response:
            assert response.headers["Content-Type"].startswith("text/event-stream")
            views = _views(response)
            yield views
            await views.aclose()

    @asynccontextmanager
    async def out_of_reach(self) -> AsyncGenerator[None]:
        """Cut off the camera while the block runs; it goes on meanwhile."""
        port = self.simulator.port
        await self.simulator.__aexit__(None, None, None)
        try:
            yield
        finally:  # the tests that follow need the camera, even if this one fails
            self.simulator = SimulatorServer(self.simulator.devices, port=port)
            await self.simulator.__aenter__()


async def _views(response: httpx.Response) -> AsyncGenerator[dict[str, Any]]:
    async for line in response.aiter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))["cameras"][0]


@asynccontextmanager
async def open_site(
    camera: Slow,
    folder: Path,
    timeouts: Timeouts | None = None,
    *,
    token: str | None = None,
    port: int = 0,
) -> AsyncGenerator[Site]:
    """Serve an observatory with `camera` and another one, and wait until it knows them."""
    rig = SimulatedRig(
        [camera, small_camera("Guider")],
        filter_wheel=SimulatedFilterWheel(speed_up=50),
        focuser=SimulatedFocuser(speed_up=50),
        cover_calibrator=SimulatedCoverCalibrator(speed_up=50),
    )
    simulator = await SimulatorServer(rig.devices).__aenter__()
    addresses = [CameraAddress(simulator.address, number) for number in range(2)]
    app = create_app(
        addresses,
        folder,
        pace=PACE,
        new_client=partial(AlpacaClient, timeouts=timeouts or Timeouts()),
        token=token,
    )
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    http = httpx.AsyncClient(timeout=20, limits=httpx.Limits(), headers=headers)
    site = Site("", http, simulator, camera, rig.filter_wheel, folder)
    try:
        async with site.http, serving(app, port=port) as served_port:
            site.http.base_url = site.url = f"http://127.0.0.1:{served_port}"
            await site.until(lambda view: view["status"])
            yield site
    finally:
        await site.simulator.__aexit__(None, None, None)


class Slow(SimulatedCamera):
    """Answers late, by `delay` seconds."""

    delay = 0.0

    def answer_delay(self, verb: str, member: str) -> float:
        return self.delay


def small_camera(name: str = "Imager") -> Slow:
    """Return a camera that is fast as long as it is not told otherwise."""
    return Slow(
        name=name,
        width=64,
        height=48,
        readout_time=0.0,
        connect_time=0.0,
        cooling_rate=20.0,
        settling_time=0.1,
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Site]:
    """Serve one observatory to all tests of a module; each leaves it idle and within reach."""
    async with open_site(small_camera(), tmp_path_factory.mktemp("frames")) as opened:
        yield opened
