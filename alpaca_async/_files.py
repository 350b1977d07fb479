"""Files that appear whole or not at all, written in a thread that nobody leaves behind."""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager
from errno import ENOENT
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from anyio import create_task_group, to_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

T = TypeVar("T")


async def in_thread(work: Callable[[], T]) -> T:
    """Return what `work` returns in a worker thread.

    Cancelled, wait for the thread before the cancellation goes on: `work` ends early where it
    calls `anyio.from_thread.check_cancelled`, and has cleaned up when the caller goes on.
    """
    results: list[T] = []
    errors: list[Exception] = []

    async def run() -> None:
        try:
            results.append(await to_thread.run_sync(work))
        except Exception as error:  # noqa: BLE001 - raised below, outside the group
            errors.append(error)

    # Even a task cancelled by asyncio itself waits at the end of its task group.
    async with create_task_group() as tasks:
        tasks.start_soon(run)
    for error in errors:
        raise error
    return results[0]


def refuse_existing(path: Path) -> None:
    """Raise `FileExistsError` if there is anything under that name."""
    if os.path.lexists(path):
        raise FileExistsError(f"{path} exists; overwrite=True replaces it")


@contextmanager
def new_file(path: Path, *, overwrite: bool) -> Generator[BinaryIO]:
    """Open a file that gets its name when the block has ended, and vanishes if that raises.

    Until then it has a name of its own in the same folder, ending in `.part`. Unless
    `overwrite`, `FileExistsError` if somebody else took the name meanwhile.
    """
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    if not path.parent.is_dir():  # else the error would name a file that nobody knows
        raise FileNotFoundError(ENOENT, f"there is no folder {path.parent}", str(path))
    try:
        with part.open("xb") as file:
            yield file
        (_replace if overwrite else _claim)(part, path)
    finally:
        part.unlink(missing_ok=True)


def _replace(part: Path, path: Path) -> None:
    part.replace(path)


def _claim(part: Path, path: Path) -> None:
    try:
        os.link(part, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        refuse_existing(path)
        part.replace(path)
