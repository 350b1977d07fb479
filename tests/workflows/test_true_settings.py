"""The settings of an image are those that it was taken with, whoever has set them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from alpaca_async import AlpacaClient
from alpaca_async._workflows import true_settings
from tests.scripted import ScriptedServer, http, imagebytes, value

from .test_exposure_facts import Facts, facts_of, silence

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from alpaca_async import AsyncCamera
    from alpaca_async.testing import SimulatorServer


@pytest.fixture
async def another_program(server: SimulatorServer) -> AsyncIterator[AsyncCamera]:
    async with AlpacaClient() as stranger:
        yield stranger.camera(server.address)


async def test_a_gain_that_another_program_has_set_is_in_the_header(
    camera: AsyncCamera, another_program: AsyncCamera, caplog: pytest.LogCaptureFixture
) -> None:
    await camera.expose(0.01)
    before = await camera.get_settings()
    await another_program.set_gain(200)
    exposure = facts_of(await camera.expose(0.01))
    assert exposure.settings.gain == 200
    assert exposure.settings.electrons_per_adu != before.electrons_per_adu
    assert (await camera.get_settings()).gain == 200
    assert "another program has changed the settings" in caplog.text


async def test_an_offset_that_another_program_has_set_is_in_the_header(
    camera: AsyncCamera, another_program: AsyncCamera
) -> None:
    await camera.expose(0.01)
    await another_program.set_offset(30)
    assert facts_of(await camera.expose(0.01)).settings.offset == 30


async def test_a_frame_that_another_program_has_set_is_in_the_header(
    camera: AsyncCamera, another_program: AsyncCamera, caplog: pytest.LogCaptureFixture
) -> None:
    await camera.expose(0.01)
    await another_program.set_frame(bin_x=2, bin_y=2, start_x=4, num_x=20, num_y=10)
    image = await camera.expose(0.01)
    settings = facts_of(image).settings
    assert image.data.shape == (10, 20)
    assert (settings.bin_x, settings.start_x, settings.num_x, settings.num_y) == (2, 4, 20, 10)
    assert image.frame_mismatch is None
    assert "another program has changed the settings" in caplog.text
    assert "delivered" not in caplog.text


async def test_our_own_changes_are_nobody_elses(
    camera: AsyncCamera, caplog: pytest.LogCaptureFixture
) -> None:
    for gain in (0, 100):
        await camera.set_gain(gain)
        assert facts_of(await camera.expose(0.01)).settings.gain == gain
    assert "another program" not in caplog.text


async def test_a_camera_that_always_delivers_another_frame_is_asked_once(
    client: AlpacaClient, caplog: pytest.LogCaptureFixture
) -> None:
    async with ScriptedServer(Facts(numx=value(6), numy=value(14))) as server:
        camera = client.camera(server.address)
        for _ in range(3):
            image = await camera.expose(0.01)
            assert image.frame_mismatch == "size"
        assert server.count("numx") == 2
    assert "another program" not in caplog.text
    assert caplog.text.count("delivered 3 x 7 pixels") == 3


async def test_settings_that_are_wrong_and_cannot_be_read_again_are_unknown(
    client: AlpacaClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(true_settings, "_REREAD_LIMIT", 0.1)
    async with ScriptedServer(Facts()) as server:
        camera = client.camera(server.address)
        await camera.expose(0.01)
        server.replies["imagearray"] = http(imagebytes(bytes(24), 3, 4), "application/imagebytes")
        server.replies["numy"] = silence
        image = await camera.expose(0.01)
    assert (facts_of(image).settings.num_x, facts_of(image).settings.num_y) == (3, None)


def pixels(dtype: str, kind: int, first: int) -> bytes:
    data = np.full((3, 7), first, dtype)
    return http(imagebytes(data.tobytes(), 3, 7, kind=kind), "application/imagebytes")


@pytest.mark.parametrize(
    ("image", "max_adu", "warnings"),
    [
        (pixels("<i2", 1, -5), 65535, 1),
        (pixels("<i2", 1, 5), 65535, 0),
        (pixels("<i2", 1, -5), 32767, 0),
        (pixels("<u2", 8, 65535), 65535, 0),
        (pixels("<i4", 2, -5), 65535, 0),
    ],
    ids=["wrapped", "not negative", "15 bits", "unsigned", "32 bits"],
)
async def test_unsigned_pixels_that_are_sent_as_signed_ones_are_warned_about_once(
    image: bytes,
    max_adu: int,
    warnings: int,
    client: AlpacaClient,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with ScriptedServer(Facts(imagearray=image, maxadu=value(max_adu))) as server:
        camera = client.camera(server.address)
        for contiguous in (True, False, True):
            await camera.expose(0.01, contiguous=contiguous)
    assert caplog.text.count("delivers negative pixels") == warnings
