"""Atomic file writes, and worker threads that finish before a cancellation continues."""

from __future__ import annotations

import asyncio
import os
import secrets
from contextlib import contextmanager, suppress
from errno import ENOENT
from typing import TYPE_CHECKING, BinaryIO, Final, TypeVar, cast

from anyio import create_task_group, to_thread
from anyio.from_thread import check_cancelled

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

T = TypeVar("T")

_MAX_STEM: Final = 32
"""Characters of a file's name that its temporary name begins with: it is never too long."""


async def in_thread(work: Callable[[], T]) -> T:
    """Run `work` in a worker thread and return its result.

    On cancellation, wait for the thread first, so that `work` has cleaned up before the caller
    continues. `work` can end early by calling `anyio.from_thread.check_cancelled`.
    """
    results: list[T] = []
    await _run_in_thread(work, results)
    return results[0]


async def write_in_thread(write: Callable[[], T]) -> T:
    """Run `write`, which creates a file with `new_file`, in a worker thread; return its result.

    A cancellation before the file has its name leaves no file. One that comes later would leave a
    file that the caller does not know of: it is postponed to the caller's next await.
    """
    results: list[T] = []
    try:
        await _run_in_thread(write, results)
    except asyncio.CancelledError as error:
        if not results:
            raise
        _postpone(error)
    return results[0]


async def _run_in_thread(work: Callable[[], T], results: list[T]) -> None:
    """Run `work` and append its result, also if the caller is cancelled meanwhile."""
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


def _postpone(cancellation: asyncio.CancelledError) -> None:
    """Cancel the current task again when it next waits."""
    task = cast("asyncio.Task[object]", asyncio.current_task())
    loop = asyncio.get_running_loop()
    loop.call_soon(_cancel_again, task, task.cancelling(), cancellation.args)


def _cancel_again(task: asyncio.Task[object], requests: int, args: tuple[object, ...]) -> None:
    """Cancel `task`, unless the timeout that cancelled it has ended and withdrawn its request.

    anyio recognizes its own cancellations by the arguments.
    """
    if task.cancelling() >= requests:
        task.uncancel()
        task.cancel(*args)


def refuse_existing(path: Path) -> None:
    """Raise `FileExistsError` if a file, a folder or a link of that name exists."""
    if os.path.lexists(path):
        raise FileExistsError(f"{path} exists; pass overwrite=True to replace it")


@contextmanager
def new_file(path: Path, *, overwrite: bool) -> Generator[BinaryIO]:
    """Open a temporary file that is on the disk, then renamed to `path`, at the end of the block.

    It is in the same folder, with a name that ends in `.part`, and is deleted if the block
    raises, or if the worker thread was cancelled. Unless `overwrite`, raises `FileExistsError` if
    `path` was created meanwhile. Other errors name `path`, not the temporary file.
    """
    part = path.with_name(f"{path.name[:_MAX_STEM]}.{secrets.token_hex(4)}.part")
    if not path.parent.is_dir():
        raise FileNotFoundError(ENOENT, f"the folder {path.parent} does not exist", str(path))
    with _errors_that_name(path), _deleted_at_end(part):
        with part.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # else a power failure can leave an empty file of that name
        check_cancelled()
        (_replace if overwrite else _rename_to_new)(part, path)
        _sync_folder(path.parent)


@contextmanager
def _errors_that_name(path: Path) -> Generator[None]:
    """Raise the system's errors with `path`: a full disk is reported without a name."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename == str(path):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


@contextmanager
def _deleted_at_end(part: Path) -> Generator[None]:
    try:
        yield
    finally:
        with suppress(OSError):  # neither hide the first error nor deny that the file is complete
            part.unlink(missing_ok=True)


def _replace(part: Path, path: Path) -> None:
    part.replace(path)


def _rename_to_new(part: Path, path: Path) -> None:
    """Rename without overwriting; the caller deletes `part`."""
    try:
        os.link(part, path)
    except FileExistsError:
        refuse_existing(path)
        raise
    except OSError:  # a file system without hard links
        refuse_existing(path)
        part.replace(path)


def _sync_folder(folder: Path) -> None:
    """Make the names in `folder` survive a power failure, where the system can do that."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
