"""The HTTP interface of the observatory: state and events, exposures, frames, the page."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import anyio
from anyio import to_thread
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import FileResponse
from fastapi.sse import EventSourceResponse

from alpaca_async import preview
from alpaca_async._camera import AlpacaClient
from alpaca_async._group.member import CameraAddress

from .devices import Companion
from .models import Command, CoolingOrder, FrameHistogram, Order, Pace, Sample, State
from .observatory import Observatory, running
from .page_files import add_page
from .reporting import ReportingRoute
from .saved_frame import SavedFrame
from .station import Station

STATE: Final = "alpaca_observatory"
"""The name of the observatory in the state of the lifespan."""
_MAX_CROP: Final = 1024
"""Pixels of each side of a crop."""


async def get_observatory(request: Request) -> Observatory:
    """Return the observatory that the lifespan created."""
    observatory: Observatory = getattr(request.state, STATE)
    return observatory


TheObservatory = Annotated[Observatory, Depends(get_observatory)]


async def get_station(number: int, observatory: TheObservatory) -> Station:
    """Return the station with the number in the path."""
    if not 0 <= number < len(observatory.stations):
        raise HTTPException(404, f"There is no camera {number}.")
    return observatory.stations[number]


async def get_device(number: int, observatory: TheObservatory) -> Companion[Any]:
    """Return the device beside the cameras with the number in the path."""
    if not 0 <= number < len(observatory.rig.devices):
        raise HTTPException(404, f"There is no device {number}.")
    return observatory.rig.devices[number]


async def get_frame(name: str, observatory: TheObservatory) -> SavedFrame:
    """Return the frame with the name in the path."""
    if (saved := observatory.find_frame(name)) is None:
        raise HTTPException(404, f"There is no frame {name} among the latest.")
    return saved


async def listener(observatory: TheObservatory) -> AsyncIterator[None]:
    """Count a listener until its response ends."""
    with observatory.listeners.held():
        yield


async def transfer(observatory: TheObservatory) -> AsyncIterator[None]:
    """Count a transfer until its response ends."""
    with observatory.transfers.held():
        yield


TheStation = Annotated[Station, Depends(get_station)]
TheDevice = Annotated[Companion[Any], Depends(get_device)]
TheFrame = Annotated[SavedFrame, Depends(get_frame)]
Fraction = Annotated[float, Query(ge=0, le=1, allow_inf_nan=False)]
Pixels = Annotated[int, Query(ge=1, le=_MAX_CROP)]

api = APIRouter(prefix="/api", route_class=ReportingRoute)
files = APIRouter(prefix="/frames", route_class=ReportingRoute, dependencies=[Depends(transfer)])


@api.get("/state")
async def state(observatory: TheObservatory) -> State:
    """Return the state of all cameras and devices."""
    return observatory.state()


@api.get("/events", response_class=EventSourceResponse, dependencies=[Depends(listener)])
async def events(observatory: TheObservatory, request: Request) -> AsyncIterable[State]:
    """Send the state: now, after every change, and at least once a second."""
    # Not all versions of FastAPI end the generator when the browser leaves.
    while observatory.open and not await request.is_disconnected():
        change = observatory.changes.next_change  # before the views, to miss no change
        yield observatory.state()
        with suppress(TimeoutError):
            await asyncio.wait_for(change.wait(), 1)
        await asyncio.sleep(0.1)  # at most ten events a second


@api.post("/cameras/{number}/exposures", status_code=202)
async def expose(order: Order, station: TheStation) -> Order:
    """Begin to expose; the events tell how it goes on, whether or not the browser stays."""
    station.exposer.start(order)
    return order


@api.delete("/cameras/{number}/exposures", status_code=204)
async def abort(station: TheStation) -> None:
    """Abort the exposure in progress, whoever started it, and answer when that is done."""
    await station.exposer.abort()


@api.post("/cameras/{number}/cooling", status_code=202)
async def cool(order: CoolingOrder, station: TheStation) -> CoolingOrder:
    """Begin to cool down or to warm up; the events tell how it goes on. Ends a ramp that runs."""
    await station.cooler.start(order)
    return order


@api.delete("/cameras/{number}/cooling", status_code=204)
async def hold(station: TheStation) -> None:
    """End the ramp in progress, whoever started it; the cooler then holds the temperature."""
    await station.cooler.close()


@api.get("/cameras/{number}/history")
async def history(station: TheStation) -> list[Sample]:
    """Return temperature, cooler power and set point since the start, in equal steps."""
    return station.follower.history.samples


@api.post("/devices/{number}/commands", status_code=202)
async def command(command: Command, device: TheDevice) -> Command:
    """Begin what a device should do; the events tell how it goes on. Halts what it does now."""
    await device.start(command)
    return command


@api.get("/frames/{name}/histogram")
async def histogram(frame: TheFrame) -> FrameHistogram:
    """Return the histogram of a frame."""
    if frame.histogram is None:
        raise HTTPException(404, "Frames of earlier runs have no histogram.")
    return frame.histogram


@api.get("/frames/{name}/pixels", response_class=Response, dependencies=[Depends(transfer)])
async def pixels(
    frame: TheFrame,
    x: Fraction = 0.5,
    y: Fraction = 0.5,
    width: Pixels = _MAX_CROP,
    height: Pixels = _MAX_CROP,
) -> Response:
    """Return a part of a frame in full resolution, as PNG; its middle `x`, `y` from 0 to 1."""
    try:
        crop = await to_thread.run_sync(frame.pixels.crop, (x, y), (width, height))
    except (OSError, ValueError) as error:
        raise HTTPException(404, f"The file of this frame cannot be read: {error}") from error
    return Response(await preview.encode(crop, max_size=None), media_type="image/png")


@files.get("/{name}.fits", response_class=FileResponse)
async def fits(frame: TheFrame) -> FileResponse:
    """Return a frame as a FITS file."""
    return await _send(frame.fits, "image/fits")


@files.get("/{name}.png", response_class=FileResponse)
async def picture(frame: TheFrame) -> FileResponse:
    """Return the preview of a frame."""
    return await _send(frame.preview, "image/png")


async def _send(path: Path, media_type: str) -> FileResponse:
    if not await anyio.Path(path).is_file():
        raise HTTPException(404, f"The file {path.name} is gone.")
    return FileResponse(path, media_type=media_type, filename=path.name)


def create_router(
    cameras: Iterable[CameraAddress],
    folder: Path,
    *,
    pace: Pace | None = None,
    new_client: Callable[[], AlpacaClient] = AlpacaClient,
) -> APIRouter:
    """Return a router with the page, at `/`, and all that it needs; frames are saved in `folder`.

    Its lifespan connects the cameras, and aborts running exposures at the end. `new_client` makes
    the client that it uses. One application can include one of these routers. Who may open the
    page is not checked: see `AccessControl`.
    """
    site = partial(running, tuple(cameras), folder, pace or Pace(), new_client)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[dict[str, Any]]:
        async with site() as observatory:
            yield {STATE: observatory}

    router = APIRouter(lifespan=lifespan)
    router.include_router(api)
    router.include_router(files)
    add_page(router)
    return router
