"""Measures what a camera, its server and the way to it take of the time of calls and frames."""

from __future__ import annotations

import asyncio
import math
from contextlib import asynccontextmanager
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import httpx

from alpaca_async._camera import AlpacaClient
from alpaca_async._device.cached_facts import optional
from alpaca_async._enums import CameraStates
from alpaca_async._http.transport import DirectTransport

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from alpaca_async._camera import AsyncCamera
    from alpaca_async._protocol.imagebytes import ImageMetadata

_PATIENCE: Final = 10.0
"""Seconds after which no further call is measured."""

_BUSY: Final = frozenset(
    {CameraStates.WAITING, CameraStates.EXPOSING, CameraStates.READING, CameraStates.DOWNLOAD}
)


class Answer(NamedTuple):
    """The head of a reply, and when it came."""

    member: str
    sent: float
    came: float
    version: str
    media_type: str


class ObservedTransport(DirectTransport):
    """Remembers when each reply began, and how long each connection took to open."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[Answer] = []
        self.openings: list[float] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and take note of the time until the head of its reply."""
        sent = perf_counter()
        response = await super().handle_async_request(request)
        version: bytes = response.extensions["http_version"]
        self.answers.append(
            Answer(
                request.url.path.rpartition("/")[2],
                sent,
                perf_counter(),
                version.decode("ascii"),
                response.headers.get("Content-Type", "").partition(";")[0],
            )
        )
        return response

    async def _connect(self, *arguments: Any, **names: Any) -> Any:  # noqa: ANN401 - they only pass by
        begun = perf_counter()
        connection = await super()._connect(*arguments, **names)
        self.openings.append(perf_counter() - begun)
        return connection

    def last(self, member: str) -> Answer:
        """Return the last answer to a request for `member`."""
        return next(answer for answer in reversed(self.answers) if answer.member == member)


@dataclass(frozen=True, slots=True)
class Calls:
    """How long small calls took, in seconds."""

    count: int
    median: float
    p99: float

    @classmethod
    def of(cls, times: Sequence[float]) -> Calls:
        """Return what `times`, at least one, have in common."""
        nearly_last = sorted(times)[math.ceil(0.99 * len(times)) - 1]
        return cls(len(times), median(times), nearly_last)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """How long frames took, in seconds, the median of `count`; and what they are."""

    count: int
    width: int
    height: int
    nbytes: int
    camera_type: str
    wire_type: str
    media_type: str
    exposure: float
    ready: float
    """From the end of the exposure until the image was known to be ready."""
    first_byte: float
    """From the request for the image until its first byte."""
    transfer: float
    """From there to the array."""
    calls_meanwhile: Calls | None
    """Small calls while an image was downloaded; None if there was no time for one."""

    @property
    def bytes_per_second(self) -> float:
        """Of the pixels, without the wait for the first byte."""
        return self.nbytes / self.transfer


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """All that was measured, in seconds."""

    http_version: str
    opening: float
    """To open a connection."""
    openings: int
    """How many connections the calls needed."""
    calls: Calls
    frames: Frames | None
    """None if the camera was busy, or no frame was asked for."""
    busy: bool


@asynccontextmanager
async def observed() -> AsyncGenerator[tuple[AlpacaClient, ObservedTransport]]:
    """Yield a client, and what sees all that it does."""
    transport = ObservedTransport()
    http = httpx.AsyncClient(transport=transport, trust_env=False)
    async with http, AlpacaClient(http=http) as client:
        yield client, transport


async def measure(
    camera: AsyncCamera, transport: ObservedTransport, *, calls: int, frames: int, exposure: float
) -> Measurements:
    """Measure small calls one after the other, then frames unless the camera is busy."""
    before = len(transport.openings)
    answers = [await _call(camera, transport)]
    begun = perf_counter()
    while len(answers) < calls and perf_counter() - begun < _PATIENCE:
        answers.append(await _call(camera, transport))
    openings = len(transport.openings) - before
    busy = await optional(camera.get_camera_state) in _BUSY
    taken = None
    if frames and not busy:
        taken = await _frames(camera, transport, frames, exposure)
    return Measurements(
        http_version=answers[0].version,
        opening=min(transport.openings),
        openings=max(openings, 1),
        calls=Calls.of([answer.came - answer.sent for answer in answers]),
        frames=taken,
        busy=busy,
    )


async def _call(camera: AsyncCamera, transport: ObservedTransport) -> Answer:
    await camera.get_interface_version()
    return transport.last("interfaceversion")


class _Frame(NamedTuple):
    """What one frame was, and what it took in seconds."""

    metadata: ImageMetadata
    ready: float
    first_byte: float
    transfer: float


async def _frames(
    camera: AsyncCamera, transport: ObservedTransport, count: int, exposure: float
) -> Frames:
    info = await camera.get_info()  # else the first exposure would ask for it
    exposure = min(max(exposure, info.exposure_min or 0.0), info.exposure_max or exposure)
    taken = [await _frame(camera, transport, exposure) for _ in range(count)]
    metadata = taken[-1].metadata
    return Frames(
        count=count,
        width=metadata.dimension1,
        height=metadata.dimension2,
        nbytes=metadata.nbytes,
        camera_type=metadata.image_element_type.name,
        wire_type=metadata.transmission_element_type.name,
        media_type=transport.last("imagearray").media_type,
        exposure=exposure,
        ready=median(frame.ready for frame in taken),
        first_byte=median(frame.first_byte for frame in taken),
        transfer=median(frame.transfer for frame in taken),
        calls_meanwhile=await _calls_meanwhile(camera, transport),
    )


async def _frame(camera: AsyncCamera, transport: ObservedTransport, exposure: float) -> _Frame:
    image = await camera.expose(exposure)
    ended = perf_counter()
    start, answer = transport.last("startexposure"), transport.last("imagearray")
    return _Frame(
        metadata=image.metadata,
        ready=max(answer.sent - start.sent - exposure, 0.0),
        first_byte=answer.came - answer.sent,
        transfer=ended - answer.came,
    )


async def _calls_meanwhile(camera: AsyncCamera, transport: ObservedTransport) -> Calls | None:
    """Make small calls for as long as the image is downloaded once more."""
    times: list[float] = []
    async with asyncio.TaskGroup() as group:
        download = group.create_task(camera.get_image_array())
        await asyncio.sleep(0)
        while not download.done():
            answer = await _call(camera, transport)
            times.append(answer.came - answer.sent)
    return Calls.of(times) if times else None
