"""The example in the documentation: a service of one's own with the observatory in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from alpaca_async.testing import SimulatorServer
from alpaca_async.web.serving import serving

from .conftest import small_camera

if TYPE_CHECKING:
    import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "observatory.py"


async def test_the_router_is_part_of_another_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with SimulatorServer([small_camera()]) as simulator:
        app = example(simulator.address)
        async with serving(app) as port, httpx.AsyncClient(follow_redirects=True) as http:
            url = f"http://127.0.0.1:{port}"
            assert "at /observatory/" in (await http.get(url)).text
            page = await http.get(f"{url}/observatory")
            assert (str(page.url), "<h1>" in page.text) == (f"{url}/observatory/", True)
            (camera,) = (await http.get(f"{url}/observatory/api/state")).json()["cameras"]
            assert camera["server"].endswith(simulator.address)
            nan = await http.post(
                f"{url}/observatory/api/cameras/0/exposures",
                content='{"steps": [{"duration": NaN}]}',
                headers={"Content-Type": "application/json"},
            )
            assert nan.status_code == 422
            foreign = await http.get(url, headers={"Origin": "http://evil.example"})
            assert foreign.status_code == 403


def example(address: str) -> Any:  # noqa: ANN401 - the application
    """Return the application of the example, for a camera at `address`."""
    names: dict[str, Any] = {"__name__": "example"}
    code = EXAMPLE.read_text(encoding="utf-8").replace("192.168.1.20:11111", address)
    exec(compile(code, str(EXAMPLE), "exec"), names)  # noqa: S102 - our own page
    return names["app"]
