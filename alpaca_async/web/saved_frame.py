"""A saved frame, and where its files are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from .crops import PixelFile
    from .models import Frame, FrameHistogram


@dataclass(frozen=True, slots=True)
class SavedFrame:
    """A frame that browsers can see; `histogram` is None for frames of earlier runs."""

    frame: Frame
    fits: Path
    preview: Path
    histogram: FrameHistogram | None
    pixels: PixelFile


def url_of(path: Path) -> str:
    """Return the relative URL of a file of a frame."""
    return f"frames/{path.name}"
