from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest

from alpaca_async._download.delivery import Delivery, DeliveryRecord
from tests.scripted import ScriptedServer, http, imagebytes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from alpaca_async import AlpacaClient, AsyncCamera
    from tests.scripted import Request

USUAL = Delivery(latency=0.01, transfer=1.0, nbytes=10_000_000)
SLOW = Delivery(latency=0.01, transfer=4.0, nbytes=10_000_000)


def record_of(*deliveries: Delivery) -> tuple[DeliveryRecord, list[str]]:
    record = DeliveryRecord()
    warnings = [record.add(delivery) for delivery in deliveries]
    return record, [each for each in warnings if each is not None]


def test_without_deliveries_there_are_no_statistics() -> None:
    assert DeliveryRecord().statistics is None


def test_statistics_are_medians() -> None:
    record, _ = record_of(*[Delivery(0.5, seconds, 1_000_000) for seconds in (1.0, 2.0, 4.0)])
    statistics = record.statistics
    assert statistics is not None
    assert (statistics.count, statistics.latency, statistics.seconds) == (3, 0.5, 2.5)
    assert (statistics.jitter, statistics.slowest) == (1.0, 4.5)
    assert statistics.bytes_per_second == 500_000


def test_only_the_last_hundred_count() -> None:
    record, _ = record_of(*[SLOW] * 10, *[USUAL] * 100)
    statistics = record.statistics
    assert statistics is not None
    assert (statistics.count, statistics.slowest) == (100, USUAL.seconds)


def test_three_slow_ones_in_a_row_give_one_warning() -> None:
    _, warnings = record_of(*[USUAL] * 5, *[SLOW] * 5)
    assert warnings == ["3 images in a row were slow, the last with 2.5 instead of 10.0 MB/s"]


def test_after_a_fast_one_the_warning_is_repeated() -> None:
    _, warnings = record_of(*[USUAL] * 9, *[SLOW] * 3, USUAL, *[SLOW] * 3)
    assert len(warnings) == 2


@pytest.mark.parametrize(
    "deliveries",
    [
        [*[USUAL] * 5, SLOW, SLOW, USUAL, SLOW, SLOW],
        [*[USUAL] * 4, *[SLOW] * 3],
        [*[USUAL] * 5, *[Delivery(0.01, 2.9, USUAL.nbytes)] * 5],
        [*[Delivery(0.0, 0.001, 1_000_000)] * 5, *[Delivery(0.0, 0.4, 1_000_000)] * 5],
    ],
    ids=["not in a row", "too few before", "not slow enough", "too short to notice"],
)
def test_otherwise_there_is_no_warning(deliveries: list[Delivery]) -> None:
    assert record_of(*deliveries)[1] == []


async def test_a_camera_has_statistics_of_its_downloads(camera: AsyncCamera) -> None:
    image = await camera.expose(0.01)
    await camera.get_image_array()
    statistics = camera.delivery_statistics
    assert statistics is not None
    assert statistics.count == 2
    assert 0 < statistics.seconds <= statistics.slowest < 5
    assert statistics.bytes_per_second * statistics.slowest >= image.data.nbytes / 2


async def test_a_camera_that_becomes_slow_is_named_in_a_warning(
    client: AlpacaClient, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alpaca_async._download.delivery._NOTICEABLE", 0.05)
    pauses = iter([0.0] * 5 + [0.1] * 3)

    async def in_two_parts(_: Request) -> AsyncIterator[bytes]:
        whole = http(imagebytes(bytes(4 * 3), 4, 3, kind=6), "application/imagebytes")
        yield whole[:-4]
        await asyncio.sleep(next(pauses))
        yield whole[-4:]

    async with ScriptedServer({"imagearray": in_two_parts}) as server:
        camera = client.camera(server.address)
        for _ in range(8):
            await camera.get_image_array()
    (warning,) = (each for each in caplog.records if each.levelno == logging.WARNING)
    assert f"{camera!r}: 3 images in a row were slow" in warning.getMessage()
