"""Atomic file writes, and worker threads that finish before a cancellation continues."""

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
    """Run `work` in a worker thread and return its result.

    On cancellation, wait for the thread first, so that `work` has cleaned up before the caller
    continues. `work` can end early by calling `anyio.from_thread.check_cancelled`.
    """
    results: list[T] = []
    errors: list[Exception] = []

    async def run() -> None:
        try:
            results.append(await to_thread.run_sync(work))
        except Exception as error:  # noqa: BLE001 - raised below, outside the group
            errors.append(error)

    # The task group waits for the thread even if asyncio, not anyio, cancels the task.
    async with create_task_group() as tasks:
        tasks.start_soon(run)
    for error in errors:
        raise error
    return results[0]


def refuse_existing(path: Path) -> None:
    """Raise `FileExistsError` if a file, a folder or a link of that name exists."""
    if os.path.lexists(path):
        raise FileExistsError(f"{path} exists; pass overwrite=True to replace it")


@contextmanager
def new_file(path: Path, *, overwrite: bool) -> Generator[BinaryIO]:
    """Open a temporary file that is renamed to `path` at the end of the block.

    It is in the same folder, with a name that ends in `.part`, and is deleted if the block
    raises. Unless `overwrite`, raises `FileExistsError` if `path` was created meanwhile.
    """
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    if not path.parent.is_dir():  # else the error would name the temporary file
        raise FileNotFoundError(ENOENT, f"the folder {path.parent} does not exist", str(path))
    try:
        with part.open("xb") as file:
            yield file
        (_replace if overwrite else _rename_to_new)(part, path)
    finally:
        part.unlink(missing_ok=True)


def _replace(part: Path, path: Path) -> None:
    part.replace(path)


def _rename_to_new(part: Path, path: Path) -> None:
    """Rename without overwriting; the caller deletes `part`."""
    try:
        os.link(part, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        refuse_existing(path)
        part.replace(path)
