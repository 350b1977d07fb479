"""A small observatory: cameras, exposures and pictures in the browser.

    python app.py 192.168.1.20:11111 192.168.1.20:11111/1

serves one page at http://127.0.0.1:8000; the frames are kept in the folder `frames`.
"""

import argparse
import asyncio
import mimetypes
import socket
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, cast
from urllib.parse import urlsplit

import anyio
import uvicorn
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from fastapi.sse import EventSourceResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, Field

from alpaca_async import (
    AlpacaClient,
    AlpacaError,
    AsyncCamera,
    CameraAddress,
    CameraInfo,
    CameraStatus,
    Exposure,
    Image,
    Progress,
    Timeouts,
    find_cameras,
    http_status,
)

PAGE = Path(__file__).parent / "page"

mimetypes.add_type("image/fits", ".fits")


class Order(BaseModel):
    """An exposure that somebody asks for; `duration` in seconds."""

    duration: Annotated[float, Field(ge=0, le=86400, allow_inf_nan=False)]
    light: bool = True
    binning: Annotated[int, Field(ge=1)] = 1


class Frame(BaseModel):
    """A frame that was kept, with the addresses of its files."""

    name: str
    fits: str
    preview: str
    width: int
    height: int
    duration: float
    light: bool
    started: datetime
    ccd_temperature: float | None


class Problem(BaseModel):
    """What went wrong; `number` is the device's, if it gave one."""

    status: int
    detail: str
    number: int | None


class View(BaseModel):
    """All that a browser needs to know of a camera."""

    number: int
    address: str
    info: CameraInfo | None
    status: CameraStatus | None
    silent_for: float
    """Seconds since the camera last told its status, or since the beginning."""
    late: bool
    """Whether that is longer than usual, or was the last time."""
    fault: Problem | None
    """Why the camera does not tell its status."""
    order: Order | None
    """The exposure that goes on."""
    progress: Progress | None
    failure: Problem | None
    """What became of the last exposure, unless it gave a frame or was aborted."""
    frames: list[Frame]
    """The most recent, latest first."""


def problem_of(error: AlpacaError) -> Problem:
    """Return what a browser is told of an error."""
    number: int | None = getattr(error, "number", None)
    return Problem(status=http_status(error), detail=str(error), number=number or None)


class News:
    """Wakes all who wait for a change."""

    def __init__(self) -> None:
        self.next = asyncio.Event()

    def tell(self) -> None:
        """Say that something has changed."""
        told, self.next = self.next, asyncio.Event()
        told.set()


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How often a camera is looked at, in seconds."""

    interval: float = 1.0
    retry: float = 2.0
    """After an error."""
    patience: float = 3.0
    """The silence that people are told of."""


class Station:
    """A camera, its present exposure, and its latest frames."""

    def __init__(
        self, number: int, camera: AsyncCamera, folder: Path, news: News, pace: Pace
    ) -> None:
        self._number = number
        self._camera = camera
        self._folder = folder
        self._news = news
        self._pace = pace
        self._info: CameraInfo | None = None
        self._status: CameraStatus | None = None
        self._heard = time.monotonic()
        self._last_silence = 0.0
        self._fault: Problem | None = None
        self._order: Order | None = None
        self._progress: Progress | None = None
        self._failure: Problem | None = None
        self._frames: deque[Frame] = deque(maxlen=12)
        self._turn = asyncio.Lock()
        self._scope = anyio.CancelScope()

    def view(self) -> View:
        """Return how things are now."""
        silent_for = time.monotonic() - self._heard
        return View(
            number=self._number,
            address=f"{urlsplit(self._camera.server).netloc} · {self._camera.device_number}",
            info=self._info,
            status=self._status,
            silent_for=silent_for,
            late=max(silent_for, self._last_silence) > self._pace.patience,
            fault=self._fault,
            order=self._order,
            progress=self._progress,
            failure=self._failure,
            frames=list(self._frames),
        )

    async def follow(self) -> None:
        """Keep the camera connected and its status up to date, whatever happens to it."""
        while True:
            try:
                await self._camera.connect()
                self._info = await self._camera.get_info()
                async with self._camera.watch(self._pace.interval) as statuses:
                    async for status in statuses:
                        self._hear(status)
                        if status.camera_state is None:
                            break  # it is no longer connected
            except AlpacaError as error:
                self._fault = problem_of(error)
                self._news.tell()
            await asyncio.sleep(self._pace.retry)

    def _hear(self, status: CameraStatus) -> None:
        now = time.monotonic()
        self._last_silence = 0.0 if self._fault else now - self._heard
        self._status, self._heard, self._fault = status, now, None
        self._news.tell()

    async def expose(self, order: Order) -> Frame:
        """Take a picture and keep it, unless `abort` is called before."""
        if self._turn.locked():
            raise HTTPException(409, "This camera is exposing already.")
        async with self._turn:
            self._order, self._failure = order, None
            try:
                with anyio.CancelScope() as self._scope:
                    return await self._take(order)
                raise HTTPException(409, "The exposure was aborted.")
            except AlpacaError as error:
                self._failure = problem_of(error)
                raise
            finally:
                self._order = self._progress = None
                self._news.tell()

    async def abort(self) -> None:
        """End the exposure, even one that was started elsewhere."""
        if self._turn.locked():
            self._scope.cancel()  # which makes `AsyncCamera.expose` abort the exposure
        else:
            await self._camera.abort_exposure()

    async def finish(self) -> None:
        """End the exposure, and wait for that."""
        self._scope.cancel()
        async with self._turn:
            pass

    async def _take(self, order: Order) -> Frame:
        try:
            await self._camera.reset_frame(order.binning, order.binning)
        except ValueError as error:
            raise HTTPException(http_status(error), str(error)) from error
        image = await self._camera.expose(order.duration, light=order.light, progress=self._report)
        frame = await self._keep(image)
        self._frames.appendleft(frame)
        return frame

    def _report(self, progress: Progress) -> None:
        self._progress = progress
        self._news.tell()

    async def _keep(self, image: Image) -> Frame:
        """Write the files of a frame."""
        exposure = cast("Exposure", image.exposure)  # `expose` never leaves it out
        name = f"camera{self._number}_{exposure.started:%Y%m%d_%H%M%S_%f}"
        fits = await image.save_fits(self._folder / f"{name}.fits")
        preview = await image.save_preview(fits.with_suffix(".png"), max_size=1600)
        return Frame(
            name=name,
            fits=f"frames/{fits.name}",
            preview=f"frames/{preview.name}",
            width=image.data.shape[1],
            height=image.data.shape[0],
            duration=exposure.duration,
            light=exposure.light,
            started=exposure.started,
            ccd_temperature=exposure.ccd_temperature,
        )


class Observatory:
    """All cameras, and what is new of them."""

    def __init__(
        self, client: AlpacaClient, cameras: Iterable[CameraAddress], folder: Path, pace: Pace
    ) -> None:
        self.open = True
        self.news = News()
        self.stations = [
            Station(number, client.camera(at.address, at.device_number), folder, self.news, pace)
            for number, at in enumerate(cameras)
        ]

    async def close(self) -> None:
        """End all exposures, and the streams of events."""
        self.open = False
        for station in self.stations:
            await station.finish()
        self.news.tell()


def observatory_of(request: Request) -> Observatory:
    """Return what the lifespan made."""
    observatory: Observatory = request.state.observatory
    return observatory


def station_of(
    number: int, observatory: Annotated[Observatory, Depends(observatory_of)]
) -> Station:
    """Return the station whose number is in the path."""
    if not 0 <= number < len(observatory.stations):
        raise HTTPException(404, f"There is no camera {number}.")
    return observatory.stations[number]


router = APIRouter(prefix="/api")


@router.get("/cameras")
async def cameras(observatory: Annotated[Observatory, Depends(observatory_of)]) -> list[View]:
    """Return how all cameras are."""
    return [station.view() for station in observatory.stations]


@router.get("/events", response_class=EventSourceResponse)
async def events(
    observatory: Annotated[Observatory, Depends(observatory_of)],
) -> AsyncIterable[list[View]]:
    """Tell how all cameras are: now, when that changes, and once a second anyway."""
    while observatory.open:
        change = observatory.news.next
        yield [station.view() for station in observatory.stations]
        with suppress(TimeoutError):
            await asyncio.wait_for(change.wait(), 1)
        await asyncio.sleep(0.1)


@router.post("/cameras/{number}/exposures", status_code=201)
async def expose(
    order: Order, station: Annotated[Station, Depends(station_of)], request: Request
) -> Frame:
    """Expose, and answer when the frame is kept; a browser that leaves aborts its exposure."""
    async with on_leaving(request, station.abort):
        return await station.expose(order)


@router.delete("/cameras/{number}/exposures", status_code=204)
async def abort(station: Annotated[Station, Depends(station_of)]) -> None:
    """Abort the exposure that goes on, whoever started it."""
    await station.abort()


@asynccontextmanager
async def on_leaving(request: Request, act: Callable[[], Awaitable[None]]) -> AsyncGenerator[None]:
    """Call `act` if the other side closes the connection while the block runs."""

    async def wait() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        await act()

    waiting = asyncio.create_task(wait())
    try:
        yield
    finally:
        waiting.cancel()
        await asyncio.wait([waiting])


async def answer_error(_request: Request, error: AlpacaError) -> JSONResponse:
    """Pass on what the library says of a camera."""
    problem = problem_of(error)
    return JSONResponse(problem.model_dump(), problem.status)


def create_app(
    cameras: Iterable[CameraAddress],
    folder: Path,
    *,
    pace: Pace | None = None,
    timeouts: Timeouts | None = None,
) -> FastAPI:
    """Return the application; frames are kept in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    addresses = tuple(cameras)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[dict[str, Any]]:
        async with (
            AlpacaClient(timeouts=timeouts or Timeouts()) as client,
            anyio.create_task_group() as followers,
        ):
            observatory = Observatory(client, addresses, folder, pace or Pace())
            for station in observatory.stations:
                followers.start_soon(station.follow)
            yield {"observatory": observatory}
            await observatory.close()
            followers.cancel_scope.cancel()

    app = FastAPI(
        title="Observatory", lifespan=lifespan, exception_handlers={AlpacaError: answer_error}
    )
    app.include_router(router)
    app.mount("/frames", StaticFiles(directory=folder))
    app.mount("/", StaticFiles(directory=PAGE, html=True))
    return app


class Server(uvicorn.Server):
    """Ends what browsers wait for before it waits for them to go."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the observatory, then the server."""
        await self.lifespan.state["observatory"].close()
        await super().shutdown(sockets)


def address_of(text: str) -> CameraAddress:
    """Return the camera that `host:port` or `host:port/number` means."""
    address, _, number = text.partition("/")
    return CameraAddress(address, int(number or 0))


async def all_of_the_network() -> list[CameraAddress]:
    """Return the cameras that answer within two seconds."""
    async with find_cameras() as found:
        return [CameraAddress(each.address, each.device_number) async for each in found]


def main() -> None:
    """Serve the cameras that the command line names, or all of the network."""
    parser = argparse.ArgumentParser(description="Show cameras in the browser, and expose.")
    parser.add_argument("cameras", nargs="*", type=address_of, metavar="HOST:PORT[/NUMBER]")
    parser.add_argument("--folder", type=Path, default=Path("frames"), help="for the frames")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    parser.add_argument("--port", type=int, default=8000)
    chosen = parser.parse_args()
    cameras = chosen.cameras or asyncio.run(all_of_the_network())
    if not cameras:
        parser.error("no camera answers; name one")
    app = create_app(cameras, chosen.folder)
    with suppress(KeyboardInterrupt):
        Server(uvicorn.Config(app, host=chosen.host, port=chosen.port)).run()


if __name__ == "__main__":
    main()
