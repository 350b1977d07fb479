"""A recorded session of each server replays identically, for this library and for alpyca."""

from __future__ import annotations

import asyncio
import time
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

from alpaca_async import AlpacaClient
from alpaca_async.testing import (
    RecordingProxy,
    ReplayServer,
    SimulatedCamera,
    SimulatorServer,
    run_in_thread,
)

from .conftest import needs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [needs("alpaca"), needs("alpaca_simulators")]


@pytest.fixture(params=["simulator", "alpaca_simulators"])
def server(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "alpaca_simulators":
        yield request.getfixturevalue("alpaca_simulators")
        return
    camera = SimulatedCamera(width=64, height=48, readout_time=0.02, connect_time=0.02)
    with run_in_thread(SimulatorServer([camera])) as running:
        yield running.address


def with_our_client(address: str) -> dict[str, Any]:
    async def main() -> dict[str, Any]:
        async with AlpacaClient() as client:
            camera = client.camera(address)
            await camera.connect()
            await camera.set_bin_x(2)
            await camera.set_bin_y(2)
            await camera.set_num_x(20)
            await camera.set_num_y(10)
            images = [await camera.expose(0.1, light=False) for _ in range(2)]
            return {
                "info": await camera.get_info(),
                "state": await camera.get_camera_state(),
                "images": [image.data.tolist() for image in images],
                "started": [image.exposure.settings for image in images],
            }

    return asyncio.run(main())


def with_alpyca(address: str) -> dict[str, Any]:
    camera: Any = import_module("alpaca.camera").Camera(address, 0)
    camera.Connected = True
    camera.BinX = camera.BinY = 2
    camera.NumX, camera.NumY = 20, 10
    images: list[Any] = []
    for _ in range(2):
        camera.StartExposure(0.1, False)
        while not camera.ImageReady:
            time.sleep(0.05)
        images.append(camera.ImageArray)
    return {
        "name": camera.Name,
        "gain": camera.Gain,
        "state": camera.CameraState,
        "temperature": camera.CCDTemperature,
        "started": camera.LastExposureStartTime,
        "images": images,
    }


@pytest.mark.parametrize("session", [with_our_client, with_alpyca])
def test_a_recorded_session_replays_identically(
    server: str, session: Callable[[str], dict[str, Any]], tmp_path: Path
) -> None:
    path = tmp_path / "session.jsonl"
    with run_in_thread(RecordingProxy(server, path)) as proxy:
        recorded = session(proxy.address)
    with run_in_thread(ReplayServer(path)) as replay:
        assert session(replay.address) == recorded
    assert recorded["images"][0]
