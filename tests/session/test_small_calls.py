"""A small call makes no objects of httpx, which is what makes it cheap."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from alpaca_async import AlpacaClient
from tests.scripted import ScriptedServer, value

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from alpaca_async import AsyncCamera


@pytest.fixture
async def camera() -> AsyncGenerator[AsyncCamera]:
    """Yield a camera whose connection is open and whose members were used before."""
    async with ScriptedServer({"gain": value(5)}) as server, AlpacaClient() as client:
        camera = client.camera(server.address)
        await use(camera)
        yield camera


async def use(camera: AsyncCamera) -> None:
    assert await camera.get_gain() == 5
    await camera.set_gain(5)


async def test_a_call_makes_no_objects_of_httpx(
    camera: AsyncCamera, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []

    def note(self: object, *_: object, **__: object) -> None:
        made.append(self)

    for kind in (httpx.Request, httpx.Response, httpx.URL, httpx.Headers):
        monkeypatch.setattr(kind, "__init__", note)
    await use(camera)
    assert made == []
