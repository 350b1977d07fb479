"""Frames of earlier runs, found in the folder."""

from __future__ import annotations

import asyncio
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alpaca_async import CameraInfo, Exposure, fits
from alpaca_async._fits.pixels import pixel_type
from alpaca_async.web.earlier_frames import earlier_frames
from alpaca_async.web.frames import MAX_FRAMES

from .conftest import open_site, small_camera

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

STARTED = datetime(2026, 1, 2, 3, 4, 5, 678900, UTC)
NAME = "camera0_20260102_030405_678900"


class Picture:
    """What `fits.save` needs of an image."""

    def __init__(self, data: NDArray[Any]) -> None:
        self.data = data
        self.exposure = Exposure(
            duration=2.0,
            light=True,
            started=STARTED,
            started_uncertainty=0.01,
            ccd_temperature=-10.0,
            info=CameraInfo(name="Imager", max_adu=65535),
            header={"FILTER": "O'III", "SITE": "x" * 200},
        )


def save(folder: Path, picture: Picture, name: str = NAME) -> Path:
    """Save a frame as the observatory does."""
    path = asyncio.run(fits.save(picture, folder / f"{name}.fits"))
    path.with_suffix(".png").touch()
    return path


def found(folder: Path, maximum: int = MAX_FRAMES) -> list[str]:
    return [each.frame.name for each in earlier_frames(folder, "camera0", "Imager", maximum)]


async def test_frames_are_shown_after_a_restart(tmp_path: Path) -> None:
    async with open_site(small_camera(), tmp_path) as site:
        await site.take({"duration": 0.05, "filter": 1}, {"duration": 0.1, "light": False})
        before = (await site.view())["frames"]
    async with open_site(small_camera(), tmp_path) as site:
        view = await site.until(lambda view: view["frames"])
        assert view["frames"] == [{**each, "statistics": None} for each in before]
        for frame in view["frames"]:
            for path in (frame["fits"], frame["preview"], f"api/frames/{frame['name']}/pixels"):
                assert (await site.http.get(f"/{path}")).status_code == 200
            histogram = await site.http.get(f"/api/frames/{frame['name']}/histogram")
            assert histogram.status_code == 404

        view = await site.expose()
        assert view["frames"][1:] == [{**each, "statistics": None} for each in before]
        assert view["frames"][0]["statistics"] is not None


async def test_frames_of_another_camera_are_not_shown(tmp_path: Path) -> None:
    async with open_site(small_camera(), tmp_path) as site:
        await site.expose()
    async with open_site(small_camera("Another"), tmp_path) as site:
        assert len((await site.expose())["frames"]) == 1


@pytest.mark.parametrize(
    "data",
    [
        np.zeros((50, 70), np.uint16),
        np.zeros((50, 70), np.int16),
        np.full((50, 70), 2**31 - 1, np.int32),
        np.full((50, 70), 2**32 - 1, np.uint32),
        np.zeros((50, 70), np.uint8),
        np.zeros((50, 70), np.float64),
        np.zeros((50, 70, 3), np.uint16),
    ],
    ids=lambda data: f"{data.dtype}-{data.ndim}",
)
def test_shape_and_type_are_read(tmp_path: Path, data: NDArray[Any]) -> None:
    picture = Picture(data)
    path = save(tmp_path, picture)
    (saved,) = earlier_frames(tmp_path, "camera0", "Imager", 1)
    assert (saved.pixels.shape, saved.pixels.dtype) == (data.shape, pixel_type(picture))
    assert (saved.frame.width, saved.frame.height) == (70, 50)
    assert (saved.frame.filter, saved.frame.started) == ("O'III", STARTED)
    assert (saved.fits, saved.frame.ccd_temperature) == (path, -10)


def test_the_newest_come_first_and_are_limited(tmp_path: Path) -> None:
    names = [f"camera0_2026010{day}_030405_678900" for day in range(1, 6)]
    for name in names:
        save(tmp_path, Picture(np.zeros((2, 2), np.uint16)), name)
    assert found(tmp_path, 3) == names[:1:-1]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2880])


def replace(old: bytes, new: bytes) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        content = path.read_bytes()
        assert old in content
        path.write_bytes(content.replace(old.ljust(len(new)), new.ljust(len(old)), 1))

    return change


def make_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


FAULTS: dict[str, Callable[[Path], object]] = {
    "cut": cut,
    "empty": lambda path: path.write_bytes(b""),
    "no-end": lambda path: path.write_bytes(b" " * 2880 * 100),
    "binary": lambda path: path.write_bytes(bytes(range(256)) * 45),
    "no-preview": lambda path: path.with_suffix(".png").unlink(),
    "preview-is-a-folder": lambda path: make_folder(path.with_suffix(".png")),
    "folder": make_folder,
    "axes": replace(b"NAXIS   =                    2", b"NAXIS   =                  999"),
    "negative": replace(b"NAXIS1  =                   70", b"NAXIS1  =                  -70"),
    "too-large": replace(b"NAXIS1  =                   70", b"NAXIS1  = 99999999999999999999"),
    "type": replace(b"BITPIX  =                   16", b"BITPIX  =                   17"),
    "not-a-number": replace(b"EXPTIME =                  2.0", b"EXPTIME =                  NAN"),
    "no-duration": replace(b"EXPTIME =", b"EXPTIMX ="),
    "another-name": lambda path: shutil.move(path, path.with_name("camera0_notes.fits")),
}
if hasattr(os, "mkfifo"):
    FAULTS["pipe"] = make_pipe


@pytest.mark.parametrize("fault", FAULTS)
def test_other_files_are_skipped(tmp_path: Path, fault: str) -> None:
    newer = "camera0_20260203_030405_678900"
    data = np.zeros((50, 70), np.uint16)
    broken = save(tmp_path, Picture(data), newer)
    save(tmp_path, Picture(data))
    assert found(tmp_path) == [newer, NAME]
    FAULTS[fault](broken)
    assert found(tmp_path) == [NAME]


def test_a_folder_that_is_missing_has_no_frames(tmp_path: Path) -> None:
    assert found(tmp_path / "missing") == []


def test_a_folder_that_cannot_be_read_has_no_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> NoReturn:
        raise OSError("stale file handle")

    monkeypatch.setattr(Path, "glob", fail)
    assert found(tmp_path) == []


@given(header=st.binary(max_size=400), start=st.integers(0, 2800))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
def test_no_header_raises(tmp_path: Path, header: bytes, start: int) -> None:
    path = tmp_path / f"{NAME}.fits"
    path.with_suffix(".png").touch()
    cards = ["SIMPLE  = T", "BITPIX  = 16", "NAXIS   = 2", "NAXIS1  = 2", "NAXIS2  = 2"]
    cards += ["INSTRUME= 'Imager'", "EXPTIME = 2.0", "IMAGETYP= 'Light Frame'"]
    content = b"".join(card.ljust(80).encode() for card in [*cards, "END"]).ljust(2880)
    path.write_bytes((content[:start] + header + content[start + len(header) :]) + bytes(2880))
    for saved in earlier_frames(tmp_path, "camera0", "Imager", 1):
        assert saved.frame.model_dump_json()
