"""A small observatory: control cameras and see their pictures in the browser.

    python app.py 192.168.1.20:11111 192.168.1.20:11111/1

serves one page at http://127.0.0.1:8000, and saves the frames in the folder `frames`.
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
    """An exposure that a browser asks for; `duration` in seconds."""

    duration: Annotated[float, Field(ge=0, le=86400, allow_inf_nan=False)]
    light: bool = True
    binning: Annotated[int, Field(ge=1)] = 1


class Frame(BaseModel):
    """A saved frame, with the URLs of its files."""

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
    """An error; `number` is the error number of the device, None if it gave none."""

    status: int
    detail: str
    number: int | None


class View(BaseModel):
    """The complete state of a camera, as the browser gets it."""

    number: int
    address: str
    info: CameraInfo | None
    status: CameraStatus | None
    silent_for: float
    """Seconds since the last status of the camera, or since the start."""
    late: bool
    """Whether `silent_for`, or the gap before the last status, exceeds `Pace.late_after`."""
    status_error: Problem | None
    """Why the status cannot be read."""
    order: Order | None
    """The exposure in progress."""
    progress: Progress | None
    exposure_error: Problem | None
    """Why the last exposure failed; None if it succeeded or was aborted."""
    frames: list[Frame]
    """The latest frames, newest first."""


def problem_of(error: AlpacaError) -> Problem:
    """Return an error in the form that the browser gets."""
    number: int | None = getattr(error, "number", None)
    return Problem(status=http_status(error), detail=str(error), number=number or None)


class ChangeNotifier:
    """Wakes all tasks that wait for a change."""

    def __init__(self) -> None:
        self.next_change = asyncio.Event()

    def notify(self) -> None:
        """Wake the tasks that wait for `next_change`, and replace it by a new event."""
        event, self.next_change = self.next_change, asyncio.Event()
        event.set()


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How often the status of a camera is read, in seconds."""

    interval: float = 1.0
    retry: float = 2.0
    """After an error."""
    late_after: float = 3.0
    """Without a status for this long, the page warns."""


class Station:
    """A camera, its current exposure, and its latest frames."""

    def __init__(
        self, number: int, camera: AsyncCamera, folder: Path, changes: ChangeNotifier, pace: Pace
    ) -> None:
        self._number = number
        self._camera = camera
        self._folder = folder
        self._changes = changes
        self._pace = pace
        self._info: CameraInfo | None = None
        self._status: CameraStatus | None = None
        self._status_time = time.monotonic()
        self._status_gap = 0.0
        self._status_error: Problem | None = None
        self._order: Order | None = None
        self._progress: Progress | None = None
        self._exposure_error: Problem | None = None
        self._frames: deque[Frame] = deque(maxlen=12)
        self._lock = asyncio.Lock()
        self._scope = anyio.CancelScope()

    def view(self) -> View:
        """Return the current state."""
        silent_for = time.monotonic() - self._status_time
        return View(
            number=self._number,
            address=f"{urlsplit(self._camera.server).netloc} · {self._camera.device_number}",
            info=self._info,
            status=self._status,
            silent_for=silent_for,
            late=max(silent_for, self._status_gap) > self._pace.late_after,
            status_error=self._status_error,
            order=self._order,
            progress=self._progress,
            exposure_error=self._exposure_error,
            frames=list(self._frames),
        )

    async def follow(self) -> None:
        """Keep the camera connected and its status up to date; retry after every error."""
        while True:
            try:
                await self._camera.connect()
                self._info = await self._camera.get_info()
                async with self._camera.watch(self._pace.interval) as statuses:
                    async for status in statuses:
                        self._update_status(status)
                        if status.camera_state is None:
                            break  # not connected any more: connect again
            except AlpacaError as error:
                self._status_error = problem_of(error)
                self._changes.notify()
            await asyncio.sleep(self._pace.retry)

    def _update_status(self, status: CameraStatus) -> None:
        now = time.monotonic()
        self._status_gap = 0.0 if self._status_error else now - self._status_time
        self._status, self._status_time, self._status_error = status, now, None
        self._changes.notify()

    async def expose(self, order: Order) -> Frame:
        """Take a picture and save it, unless `abort` is called."""
        if self._lock.locked():
            raise HTTPException(409, "This camera is already exposing.")
        async with self._lock:
            self._order, self._exposure_error = order, None
            try:
                with anyio.CancelScope() as self._scope:
                    return await self._expose_and_save(order)
                raise HTTPException(409, "The exposure was aborted.")
            except AlpacaError as error:
                self._exposure_error = problem_of(error)
                raise
            finally:
                self._order = self._progress = None
                self._changes.notify()

    async def abort(self) -> None:
        """Abort the exposure, even one that another program started."""
        if self._lock.locked():
            self._scope.cancel()  # then `AsyncCamera.expose` aborts the exposure
        else:
            await self._camera.abort_exposure()

    async def close(self) -> None:
        """Abort the exposure, and wait until it has ended."""
        self._scope.cancel()
        async with self._lock:
            pass

    async def _expose_and_save(self, order: Order) -> Frame:
        try:
            await self._camera.reset_frame(order.binning, order.binning)
        except ValueError as error:
            raise HTTPException(http_status(error), str(error)) from error
        image = await self._camera.expose(
            order.duration, light=order.light, progress=self._on_progress
        )
        frame = await self._save(image)
        self._frames.appendleft(frame)
        return frame

    def _on_progress(self, progress: Progress) -> None:
        self._progress = progress
        self._changes.notify()

    async def _save(self, image: Image) -> Frame:
        """Write the FITS file and the preview of a frame."""
        exposure = cast("Exposure", image.exposure)  # `expose` always sets it
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
    """All cameras, and the notifier of their changes."""

    def __init__(
        self, client: AlpacaClient, cameras: Iterable[CameraAddress], folder: Path, pace: Pace
    ) -> None:
        self.open = True
        self.changes = ChangeNotifier()
        self.stations = [
            Station(number, client.camera(at.address, at.device_number), folder, self.changes, pace)
            for number, at in enumerate(cameras)
        ]

    async def close(self) -> None:
        """Abort all exposures, and end the event streams."""
        self.open = False
        for station in self.stations:
            await station.close()
        self.changes.notify()


def get_observatory(request: Request) -> Observatory:
    """Return the observatory that the lifespan created."""
    observatory: Observatory = request.state.observatory
    return observatory


def get_station(
    number: int, observatory: Annotated[Observatory, Depends(get_observatory)]
) -> Station:
    """Return the station with the number in the path."""
    if not 0 <= number < len(observatory.stations):
        raise HTTPException(404, f"There is no camera {number}.")
    return observatory.stations[number]


router = APIRouter(prefix="/api")


@router.get("/cameras")
async def cameras(observatory: Annotated[Observatory, Depends(get_observatory)]) -> list[View]:
    """Return the state of all cameras."""
    return [station.view() for station in observatory.stations]


@router.get("/events", response_class=EventSourceResponse)
async def events(
    observatory: Annotated[Observatory, Depends(get_observatory)],
) -> AsyncIterable[list[View]]:
    """Send the state of all cameras: now, after every change, and at least once a second."""
    while observatory.open:
        change = observatory.changes.next_change  # before the views, to miss no change
        yield [station.view() for station in observatory.stations]
        with suppress(TimeoutError):
            await asyncio.wait_for(change.wait(), 1)
        await asyncio.sleep(0.1)  # at most ten events a second


@router.post("/cameras/{number}/exposures", status_code=201)
async def expose(
    order: Order, station: Annotated[Station, Depends(get_station)], request: Request
) -> Frame:
    """Expose, and answer when the frame is saved; abort if the browser disconnects."""
    async with on_disconnect(request, station.abort):
        return await station.expose(order)


@router.delete("/cameras/{number}/exposures", status_code=204)
async def abort(station: Annotated[Station, Depends(get_station)]) -> None:
    """Abort the exposure in progress, whoever started it."""
    await station.abort()


@asynccontextmanager
async def on_disconnect(
    request: Request, callback: Callable[[], Awaitable[None]]
) -> AsyncGenerator[None]:
    """Call `callback` if the client disconnects while the block runs."""

    async def wait() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        await callback()

    waiting = asyncio.create_task(wait())
    try:
        yield
    finally:
        waiting.cancel()
        await asyncio.wait([waiting])


async def answer_error(_request: Request, error: AlpacaError) -> JSONResponse:
    """Answer with an error of the library."""
    problem = problem_of(error)
    return JSONResponse(problem.model_dump(), problem.status)


def create_app(
    cameras: Iterable[CameraAddress],
    folder: Path,
    *,
    pace: Pace | None = None,
    timeouts: Timeouts | None = None,
) -> FastAPI:
    """Return the application; frames are saved in `folder`."""
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
    """A server that ends its event streams before it waits for open connections."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the observatory, then the server."""
        await self.lifespan.state["observatory"].close()
        await super().shutdown(sockets)


def parse_camera(text: str) -> CameraAddress:
    """Return the address of a camera from `host:port` or `host:port/number`."""
    address, _, number = text.partition("/")
    return CameraAddress(address, int(number or 0))


async def discover_cameras() -> list[CameraAddress]:
    """Return the cameras that answer within two seconds."""
    async with find_cameras() as found:
        return [CameraAddress(each.address, each.device_number) async for each in found]


def main() -> None:
    """Serve the cameras of the command line, or all cameras in the network."""
    parser = argparse.ArgumentParser(description="Control cameras in the browser.")
    parser.add_argument("cameras", nargs="*", type=parse_camera, metavar="HOST:PORT[/NUMBER]")
    parser.add_argument(
        "--folder", type=Path, default=Path("frames"), help="where frames are saved"
    )
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    cameras = options.cameras or asyncio.run(discover_cameras())
    if not cameras:
        parser.error("no camera found in the network; pass an address")
    app = create_app(cameras, options.folder)
    with suppress(KeyboardInterrupt):
        Server(uvicorn.Config(app, host=options.host, port=options.port)).run()


if __name__ == "__main__":
    main()
