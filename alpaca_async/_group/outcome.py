"""The results of one camera of a group: an image or an error, a status or an error."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alpaca_async._camera import AsyncCamera
    from alpaca_async._errors import AlpacaError
    from alpaca_async._facts import CameraStatus, Exposure
    from alpaca_async._image import Image


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of an exposure on one camera of a group: an image or an error.

    An exception that is not an `AlpacaError`, for example one that the caller's `prepare` raised,
    is the `__cause__` of an `UnexpectedError`.

    An outcome can be pickled, with its image. The copy has neither the camera nor the `__cause__`
    of the error: they belong to the process of the group.
    """

    address: str
    """As in the `CameraAddress`; the `server` of a camera that the caller passed to the group."""
    device_number: int
    image: Image[Exposure] | None = None
    error: AlpacaError | None = None
    result: object = None
    """What the caller's `then` returned."""
    _camera: AsyncCamera | None = field(default=None, repr=False, compare=False)

    @property
    def camera(self) -> AsyncCamera:
        """The camera; `RuntimeError` for an outcome that was pickled or copied."""
        if self._camera is None:
            raise RuntimeError(
                "a pickled or copied outcome has no camera: use its address and device_number"
            )
        return self._camera

    def __reduce__(self) -> tuple[type[Outcome], tuple[object, ...]]:
        """Pickle everything except the camera, which has open connections."""
        return Outcome, (self.address, self.device_number, self.image, self.error, self.result)


@dataclass(frozen=True, slots=True)
class StatusOutcome:
    """The status of one camera of a group, or the error with which it could not be read."""

    address: str
    device_number: int
    status: CameraStatus | None = None
    error: AlpacaError | None = None
