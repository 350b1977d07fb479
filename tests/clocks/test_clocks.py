"""Each clock of the catalogue, over a real socket; the page in the documentation."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from alpaca_async._fits.header import image_cards
from tests.conditions import until
from tests.scripted import Request, ScriptedServer, ascom_error, http, imagebytes, value

from .catalogue import CLOCKS, Clock
from .page import PAGE, page

if TYPE_CHECKING:
    from alpaca_async import AlpacaClient, Image
    from alpaca_async._fits.card import Card
from tests.scripted import Reply

DURATION = 0.1
NOT_IMPLEMENTED = ascom_error(0x400, "not implemented")


class ClockedCamera(dict[str, "Reply"]):
    """Replies of a camera that reports its exposures by `clock`."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(
            startexposure=self._start,
            imageready=self._is_ready,
            camerastate=value(0),
            imagearray=http(imagebytes(bytes(42), 3, 7), "application/imagebytes"),
            lastexposurestarttime=self._reported_start,
            lastexposureduration=self._reported_duration,
        )
        self.starts: list[datetime] = []
        self._polled = 0
        self._clock = clock

    def __missing__(self, member: str) -> Reply:
        return NOT_IMPLEMENTED

    def _start(self, _: Request) -> bytes:
        self.starts.append(datetime.now(UTC))
        return value(None)

    def _is_ready(self, _: Request) -> bytes:
        """Not at the first poll: an image may then be that before the exposure."""
        first, self._polled = self._polled < len(self.starts), len(self.starts)
        return value(not first)

    def _reported_start(self, _: Request) -> bytes:
        return _answer(self._clock.start(self.starts[-1], len(self.starts) - 1))

    def _reported_duration(self, _: Request) -> bytes:
        return _answer(self._clock.duration(DURATION))


def _answer(raw: object) -> bytes:
    return NOT_IMPLEMENTED if raw is None else value(raw)


@pytest.mark.parametrize("clock", CLOCKS, ids=str)
async def test_the_header_is_right_whatever_the_cameras_clock(
    clock: Clock, client: AlpacaClient, caplog: pytest.LogCaptureFixture
) -> None:
    replies = ClockedCamera(clock)
    async with ScriptedServer(replies) as server:
        images = [await client.camera(server.address).expose(DURATION) for _ in range(2)]
    for number, (image, start) in enumerate(zip(images, replies.starts, strict=True)):
        _check(clock, number, image, start)
    logged = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert len(logged) == len(clock.warnings)
    assert all(part in text for part, text in zip(clock.warnings, logged, strict=True))
    assert all(f"camera/0 at http://{server.address}" in text for text in logged)


def _cards(image: Image) -> dict[str, Card]:
    return {card.keyword: card for card in image_cards(image)}


def _check(clock: Clock, number: int, image: Image, start: datetime) -> None:
    cards = _cards(image)
    values: dict[str, Any] = {keyword: card.value for keyword, card in cards.items()}
    date = datetime.fromisoformat(values["DATE-OBS"]).replace(tzinfo=UTC)
    assert abs(date - start) <= timedelta(seconds=1.1 * values["TIMSYER"] + 0.001)
    assert f"start, {clock.start_by[number]} clock" in cards["DATE-OBS"].comment
    assert values.get("CAM-TIME") == (clock.start(start, number) or None)
    assert values.get("CAM-EXPT") == clock.duration(DURATION)
    assert values["EXPTIME"] == values["EXPOSURE"] == DURATION
    source = "as reported by the camera" if clock.duration_used else "as requested"
    assert cards["EXPTIME"].comment == f"[s] exposure time, {source}"


async def test_each_camera_is_warned_about_once_for_all_objects(
    client: AlpacaClient, caplog: pytest.LogCaptureFixture
) -> None:
    (fast,) = (clock for clock in CLOCKS if clock.name == "5 s fast")
    async with (
        ScriptedServer(ClockedCamera(fast)) as one,
        ScriptedServer(ClockedCamera(fast)) as other,
    ):
        for address in (one.address, other.address, one.address, other.address):
            await client.camera(address).expose(DURATION)
    warned = Counter(
        address
        for address in (one.address, other.address)
        for each in caplog.records
        if address in each.getMessage()
    )
    assert warned == {one.address: 1, other.address: 1}


async def exposed_and_stopped(client: AlpacaClient, reported: float) -> dict[str, Card]:
    """Return the header of an exposure of 30 s that was stopped, and of reported duration."""
    replies = ClockedCamera(Clock("stopped", duration=lambda _: reported))
    stopped = asyncio.Event()

    def stop(_: Request) -> bytes:
        stopped.set()
        return value(None)

    replies.update(stopexposure=stop, imageready=lambda _: value(stopped.is_set()))
    async with ScriptedServer(replies) as server:
        camera = client.camera(server.address)
        exposing = asyncio.create_task(camera.expose(30))
        await until(lambda: server.count("imageready") or server.count("binx"))
        await camera.stop_exposure()
        return _cards(await exposing)


async def test_after_a_stop_a_shorter_duration_is_used(
    client: AlpacaClient, caplog: pytest.LogCaptureFixture
) -> None:
    cards = await exposed_and_stopped(client, 0.5)
    assert cards["EXPTIME"].value == cards["CAM-EXPT"].value == 0.5
    assert "reported by the camera" in cards["EXPTIME"].comment
    assert not caplog.records


async def test_after_a_stop_what_was_left_of_a_countdown_is_not_used(
    client: AlpacaClient, caplog: pytest.LogCaptureFixture
) -> None:
    cards = await exposed_and_stopped(client, 28.9)
    assert cards["EXPTIME"].comment == "[s] exposure time, until StopExposure was sent"
    assert cards["CAM-EXPT"].value == 28.9
    assert "LastExposureDuration 28.9 s is not plausible for an exposure of 30 s, st" in caplog.text


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `python -m tests.clocks`"


def test_no_clock_is_listed_twice() -> None:
    assert max(Counter(clock.name for clock in CLOCKS).values()) == 1
    assert len(CLOCKS) >= 10
