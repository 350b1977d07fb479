"""What browsers send and get, as pydantic models; and the pace of an observatory.

No `from __future__ import annotations`, in this and in the other modules with FastAPI: it
evaluates the annotations.
"""

import math
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import BaseModel, Field

from alpaca_async._errors import AlpacaError
from alpaca_async._facts import CameraInfo, CameraStatus
from alpaca_async._http_status import http_status
from alpaca_async._pixels.statistics import ImageStatistics
from alpaca_async._progress import Progress
from alpaca_async._workflows.cooling import CoolingPace, CoolingProgress
from alpaca_async._workflows.gain_offset import ValueOptions

_INSUFFICIENT_STORAGE: Final = 507

FailureKind: TypeAlias = Literal["failed", "aborted", "busy", "lost"]
Finite = Annotated[float, Field(allow_inf_nan=False)]


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How often the status of a camera is read, in seconds."""

    interval: float = 1.0
    retry: float = 2.0
    """After an error."""
    late_after: float = 3.0
    """Without a status for this long, the page warns."""
    cooler_interval: float = 5.0
    """Between two reads of the cooler's set point."""
    cooling: CoolingPace = field(default_factory=CoolingPace)
    """When a temperature counts as reached."""


class Step(BaseModel):
    """Equal exposures, one after another; `duration` in seconds."""

    duration: Annotated[float, Field(ge=0, le=86400, allow_inf_nan=False)]
    light: bool = True
    binning: Annotated[int, Field(ge=1, le=64)] = 1
    count: Annotated[int, Field(ge=1, le=1000)] = 1
    filter: Annotated[int, Field(ge=0, le=255)] | None = None
    """The position in the camera's filter wheel; None leaves the wheel where it is."""
    gain: Annotated[int, Field(ge=-(2**31), le=2**31 - 1)] | None = None
    """As `set_gain` takes it; None leaves it as it is."""


class Order(BaseModel):
    """Exposures that a browser asks for: one step, or a sequence of them."""

    steps: Annotated[list[Step], Field(min_length=1, max_length=100)]


class FrameNumber(BaseModel):
    """Which frame of an order; both numbers count from 0."""

    step: int
    frame: int
    """Which frame of the step."""


class Statistics(BaseModel):
    """The statistics of a frame in ADU; None for what cannot be measured."""

    minimum: float | None
    maximum: float | None
    mean: float | None
    median: float | None
    saturated: int
    stars: int
    hfd: float | None
    """Pixels."""


class Frame(BaseModel):
    """A saved frame, with the relative URLs of its files."""

    name: str
    fits: str
    preview: str
    width: int
    height: int
    duration: Finite
    light: bool
    filter: str | None
    """The filter in place, if it was known."""
    started: datetime
    ccd_temperature: Finite | None
    statistics: Statistics | None
    """None for frames of earlier runs."""


class FrameHistogram(BaseModel):
    """The number of pixels in bins of equal width, from the value `low` to `high`."""

    counts: list[int]
    low: float
    high: float


class Sample(BaseModel):
    """What the sensor of temperature and the cooler reported at one time."""

    time: datetime
    ccd_temperature: float | None
    cooler_power: float | None
    set_point: float | None
    """°C; None while the cooler is off."""


class Problem(BaseModel):
    """An error; `number` is the error number of the device, None if it gave none."""

    status: int
    detail: str
    number: int | None = None


class Failure(Problem):
    """Why a frame failed, or how an order ended.

    `busy` if another program exposes with the camera, `lost` if the camera was disconnected or
    restarted during the exposure.
    """

    kind: FailureKind
    frame: FrameNumber | None
    """None before the first frame."""


class CoolingOrder(BaseModel):
    """What the cooler of a camera should do."""

    set_point: Annotated[float, Field(ge=-273.15, le=100, allow_inf_nan=False)] | None
    """°C; None warms up to the temperature of the surroundings, and turns the cooler off."""
    rate: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)] | None = None
    """Degrees per minute; None changes the set point at once."""


class CoolingView(BaseModel):
    """The state of the cooler of a camera."""

    order: CoolingOrder | None
    """What it does, whoever asked for it."""
    progress: CoolingProgress | None
    set_point: float | None
    """The last known one, in °C; None while the cooler is off."""
    wanted: float | None
    """That of the last order, in °C; None if that was to warm up, or if there was none."""
    error: Problem | None
    """Why the last order failed."""


class Command(BaseModel):
    """What a device beside the cameras should do; `position` is for `move`."""

    action: Literal["move", "open", "close", "halt"]
    position: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0


class DeviceView(BaseModel):
    """The state of a device beside the cameras; None for what it does not have."""

    number: int
    server: str
    kind: str
    """ASCOM's device type in lower case, such as `filterwheel`."""
    name: str
    busy: bool
    """Whether it does what a browser asked for."""
    status_error: Problem | None
    """Why its state cannot be read."""
    error: Problem | None
    """Why the last command failed."""
    filters: list[str] = []
    position: int | None = None
    """Of the filter, -1 while the wheel moves; or of the focuser."""
    maximum: int | None = None
    """The last position of the focuser."""
    cover: str | None = None
    """The name of a `CoverStatus`."""
    safe: bool | None = None


class View(BaseModel):
    """The complete state of a camera, as the browser gets it."""

    number: int
    server: str
    device_number: int
    info: CameraInfo | None
    status: CameraStatus | None
    silent_for: float
    """Seconds since the last status of the camera, or since the start."""
    late: bool
    """Whether `silent_for`, or the gap before the last status, exceeds `Pace.late_after`."""
    status_error: Problem | None
    """Why the status cannot be read."""
    gains: ValueOptions | None
    """The possible gains; None if the camera has no gain, or it is not known yet."""
    wheel: int | None
    """The number of the filter wheel that steps move; None if the camera has none."""
    order: Order | None
    """The exposures in progress, whoever asked for them."""
    current: FrameNumber | None
    """The frame of `order` that is exposed; None before the first."""
    saved: int
    """How many frames of `order` are saved."""
    progress: Progress | None
    """Of the current frame."""
    exposure_error: Failure | None
    """Why a frame of this or the last order failed, or how that order ended; None if it has all."""
    storage_error: Problem | None
    """Why a frame cannot be saved now; it stays in memory."""
    saved_elsewhere: str | None
    """The file of the last frame, if it had to be saved in another folder."""
    cooling: CoolingView
    frames: list[Frame]
    """The latest frames, newest first."""


class State(BaseModel):
    """All that an event tells."""

    cameras: list[View]
    devices: list[DeviceView]
    folder: str
    """Where the frames are saved."""


def problem_of(error: Exception) -> Problem:
    """Return an error in the form that the browser gets."""
    if isinstance(error, OSError) and not isinstance(error, AlpacaError):
        return Problem(status=_INSUFFICIENT_STORAGE, detail=_describe(error))
    number: int | None = getattr(error, "number", None)
    return Problem(status=http_status(error), detail=str(error), number=number or None)


def statistics_of(measured: ImageStatistics) -> Statistics:
    """Return statistics without NaN, which JSON does not have."""
    return Statistics(
        minimum=_finite(measured.minimum),
        maximum=_finite(measured.maximum),
        mean=_finite(measured.mean),
        median=_finite(measured.median),
        saturated=measured.saturated,
        stars=measured.stars,
        hfd=measured.hfd,
    )


def _describe(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.strerror else str(error)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
