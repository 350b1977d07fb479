"""The shortest service of the how-to, asked over HTTP."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from alpaca_async import CameraStates
from alpaca_async.testing import SimulatedCamera, SimulatorServer

if TYPE_CHECKING:
    import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "fastapi.md"


async def test_the_shortest_service_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    camera = SimulatedCamera(width=64, height=48, readout_time=0.0)
    async with SimulatorServer([camera]) as server:
        service = shortest_service(server.address)
        transport = httpx.ASGITransport(service["app"])
        async with (
            httpx.AsyncClient(transport=transport, base_url="http://service") as http,
            service["camera"],
        ):
            picture = await http.post("/pictures", params={"seconds": 0.05})
            assert picture.content.startswith(b"\x89PNG")
            status = (await http.get("/status")).json()
            assert status["camera_state"] == CameraStates.IDLE
            assert status["image_ready"] is True

            refused = await http.post("/pictures", params={"seconds": 5000})
            assert refused.status_code == 400
            assert "0x401" in refused.json()["detail"]

            schemas = (await http.get("/openapi.json")).json()["components"]["schemas"]
            assert schemas["CameraStatus"]["properties"].keys() == status.keys()


def shortest_service(address: str) -> dict[str, Any]:
    """Return the names that the page's block of Python defines."""
    text = PAGE.read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {"__name__": "service"}
    exec(block.replace("192.168.1.20:11111", address), names)  # noqa: S102 - our own page
    return names
