"""What comes from a host: an image in its store, a result, a status, or an error."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alpaca_async._address import origin
from alpaca_async._errors import HostLost
from alpaca_async._group.outcome import StatusOutcome

from . import _cluster

if TYPE_CHECKING:
    from alpaca_async._errors import AlpacaError
    from alpaca_async._facts import Exposure
    from alpaca_async._group.member import CameraAddress
    from alpaca_async._image import Image
    from alpaca_async._progress import Progress
    from alpaca_async._protocol.imagebytes import ImageMetadata

    from ._cluster import ObjectRef


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class StoredImage:
    """An image in the object store of the node that took it, until this object is deleted."""

    ref: ObjectRef
    """Ray's reference, to pass to tasks of your own: they run where the image is, or copy it."""
    metadata: ImageMetadata
    exposure: Exposure
    server: str
    device_number: int

    async def get(self) -> Image[Exposure]:
        """Return the image: on the same node a read-only view of the store, elsewhere a copy.

        Raises:
            HostLost: the node that had the image is gone.
        """
        try:
            return await _cluster.future_of(self.ref)  # type: ignore[no-any-return]
        except Exception as error:
            if not _cluster.is_ray_error(error):
                raise
            lost = HostLost(f"the image is lost: {_cluster.first_line(error)}")
            raise lost.at(self.server, f"camera/{self.device_number}") from error


@dataclass(frozen=True, slots=True)
class HostOutcome:
    """The result of an exposure on one camera of `CameraHosts`: an image, a result, or an error."""

    address: str
    """As in the `CameraAddress`."""
    device_number: int
    image: StoredImage | None = None
    error: AlpacaError | None = None
    result: object = None
    """What the caller's `then` returned."""


@dataclass(frozen=True, slots=True)
class HostStatus(StatusOutcome):
    """The status of one camera of `CameraHosts`, or the error with which it could not be read."""

    progress: Progress | None = None
    """The latest of the exposure that the program is taking; None if there is none."""


def error_at(camera: CameraAddress, error: AlpacaError) -> AlpacaError:
    """Return an error of the same kind for one camera."""
    return copy(error).at(origin(camera.address), f"camera/{camera.device_number}")


def failed_status(camera: CameraAddress, error: AlpacaError) -> HostStatus:
    """Return an error of the same kind as the status of one camera."""
    return HostStatus(camera.address, camera.device_number, error=error_at(camera, error))
