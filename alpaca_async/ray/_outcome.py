"""What comes from a host: a stored image, an error, or the result of the caller's function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from alpaca_async._errors import HostLost

from . import _cluster

if TYPE_CHECKING:
    from alpaca_async._errors import AlpacaError
    from alpaca_async._facts import Exposure
    from alpaca_async._image import Image
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
