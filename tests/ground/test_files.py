"""Files are complete, on the disk, and known to the caller, or not there."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import threading
from contextlib import asynccontextmanager, contextmanager
from errno import EACCES, EFBIG, ENOSPC, EOPNOTSUPP
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio import to_thread

from alpaca_async import _files

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def write(
    path: Path,
    content: bytes = b"new",
    *,
    overwrite: bool = False,
    meanwhile: Callable[[], object] = lambda: None,
) -> Path:
    """Write a file as the library does; call `meanwhile` in the thread while it is incomplete."""

    def work() -> Path:
        with _files.new_file(path, overwrite=overwrite) as file:
            file.write(content)
            meanwhile()
        return path

    return await _files.write_in_thread(work)


class Gate:
    """A function at which a thread waits until the test lets it continue."""

    def __init__(self) -> None:
        self.reached, self.open = threading.Event(), threading.Event()

    def __call__(self, *_: object) -> None:
        self.reached.set()
        assert self.open.wait(10)

    async def wait_reached(self) -> None:
        assert await asyncio.get_running_loop().run_in_executor(None, self.reached.wait, 10)

    @asynccontextmanager
    async def expiring(
        self, expire: Callable[[], object], late: float = 0.01
    ) -> AsyncGenerator[None]:
        """Let a limit of the block expire when the thread is here; go on `late` seconds later."""

        async def let_pass() -> None:
            await self.wait_reached()
            expire()
            await asyncio.sleep(late)
            self.open.set()

        passing = asyncio.create_task(let_pass())
        yield
        await passing


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> Gate:
    """A gate at which the thread waits after the file got its name."""
    gate = Gate()
    monkeypatch.setattr(_files, "_sync_folder", gate)
    return gate


# names


@pytest.mark.parametrize("length", [1, 31, 241, 242, 250, 255])
@pytest.mark.parametrize("letter", ["a", "é", "\N{DUCK}"])
@pytest.mark.parametrize("overwrite", [False, True])
async def test_every_name_that_the_system_allows_can_be_written(
    tmp_path: Path, length: int, letter: str, overwrite: bool
) -> None:
    name = letter * (length // len(letter.encode())) or "a"
    path = await write(tmp_path / name, overwrite=overwrite)
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == [name]


async def test_a_name_that_is_too_long_is_reported(tmp_path: Path) -> None:
    path = tmp_path / ("a" * 256)
    with pytest.raises(OSError, match="too long") as caught:
        await write(path)
    assert caught.value.filename == str(path)
    assert names(tmp_path) == []


# order


@pytest.mark.parametrize("overwrite", [False, True])
async def test_the_content_is_on_the_disk_before_the_name_and_the_name_before_the_return(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overwrite: bool
) -> None:
    path = tmp_path / "a.fits"
    events: list[str] = []
    fsync = os.fsync

    def record(descriptor: int) -> None:
        synced = os.fstat(descriptor)
        folder = os.path.samestat(synced, tmp_path.stat())
        what = "folder" if folder else f"{synced.st_size} bytes"
        events.append(f"{what}, {'named' if path.exists() else 'unnamed'}")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    await write(path, b"12345", overwrite=overwrite)
    assert events == ["5 bytes, unnamed", "folder, named"]


async def test_a_folder_that_cannot_be_synced_does_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def refuse(descriptor: int) -> None:
        if os.path.samestat(os.fstat(descriptor), tmp_path.stat()):
            raise OSError(EOPNOTSUPP, "not supported")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", refuse)
    path = await write(tmp_path / "a.fits")
    assert path.read_bytes() == b"new"


# errors


@contextmanager
def size_limit(limit: int) -> Generator[None]:
    """Let no file of this process grow beyond `limit` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


async def test_a_file_beyond_the_systems_limit_is_reported_with_its_path(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    with size_limit(100_000), pytest.raises(OSError, match="too large") as caught:
        await write(path, bytes(1_000_000))
    assert (caught.value.errno, caught.value.filename) == (EFBIG, str(path))
    assert names(tmp_path) == []


@pytest.mark.parametrize("step", ["fsync", "link", "replace"])
@pytest.mark.parametrize("number", [ENOSPC, EACCES])
async def test_a_failure_of_each_step_is_reported_with_the_path_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, number: int
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number), "x.part")

    monkeypatch.setattr(os, step, fail)
    monkeypatch.setattr(Path, "replace", fail)
    path = tmp_path / "a.fits"
    with pytest.raises(OSError, match=r"a\.fits") as caught:
        await write(path, overwrite=step == "replace")
    assert (caught.value.errno, caught.value.filename) == (number, str(path))
    assert type(caught.value) is type(OSError(number, ""))
    assert names(tmp_path) == []


async def test_a_folder_that_is_missing_or_a_file_is_reported_with_the_path(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in ("none", "file"):
        path = tmp_path / folder / "a.fits"
        with pytest.raises(FileNotFoundError, match="does not exist") as caught:
            await write(path)
        assert caught.value.filename == str(path)


async def test_a_folder_in_the_place_of_the_file_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    path.mkdir()
    for overwrite, expected in ((True, IsADirectoryError), (False, FileExistsError)):
        with pytest.raises(expected, match=r"a\.fits"):
            await write(path, overwrite=overwrite)
    assert names(tmp_path) == ["a.fits"]


async def test_a_temporary_file_that_cannot_be_deleted_does_not_hide_the_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: object, **__: object) -> None:
        raise PermissionError(EACCES, "used by another program")

    monkeypatch.setattr(Path, "unlink", busy)
    path = tmp_path / "a.fits"
    assert (await write(path)).read_bytes() == b"new"
    with pytest.raises(FileExistsError, match="overwrite=True"):
        await write(path)


async def test_a_file_created_meanwhile_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    with pytest.raises(FileExistsError, match="overwrite=True"):
        await write(path, meanwhile=lambda: path.write_bytes(b"theirs"))
    assert path.read_bytes() == b"theirs"
    assert names(tmp_path) == ["a.fits"]


@pytest.mark.parametrize("taken", [False, True])
async def test_without_hard_links_an_existing_file_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: bool
) -> None:
    def no_links(*_: object) -> None:
        raise OSError(EOPNOTSUPP, "not supported")

    monkeypatch.setattr(os, "link", no_links)
    path = tmp_path / "a.fits"
    try:
        await write(path, meanwhile=lambda: taken and path.write_bytes(b"theirs"))
    except FileExistsError:
        assert taken
    assert path.read_bytes() == (b"theirs" if taken else b"new")
    assert names(tmp_path) == ["a.fits"]


# cancellation


async def test_a_cancellation_during_the_last_sync_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    monkeypatch.setattr(os, "fsync", gate)
    path = tmp_path / "a.fits"
    path.write_bytes(b"old")
    task = asyncio.create_task(write(path, overwrite=True))
    await gate.wait_reached()
    task.cancel()
    await asyncio.sleep(0.01)
    assert not task.done()
    gate.open.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.fits"]


@pytest.mark.parametrize("cancellations", [1, 2])
async def test_a_cancellation_after_the_rename_returns_the_path(
    tmp_path: Path, named: Gate, cancellations: int
) -> None:
    task = asyncio.create_task(write(tmp_path / "a.fits"))
    await named.wait_reached()
    for _ in range(cancellations):
        task.cancel()
        await asyncio.sleep(0.01)
    assert not task.done()
    named.open.set()
    assert await task == tmp_path / "a.fits"
    assert names(tmp_path) == ["a.fits"]


async def test_a_cancellation_after_the_rename_arrives_at_the_next_await(
    tmp_path: Path, named: Gate
) -> None:
    found: list[Path] = []

    async def save_all() -> None:
        while True:
            found.append(await write(tmp_path / f"{len(found)}.fits"))

    task = asyncio.create_task(save_all())
    await named.wait_reached()
    task.cancel("the night is over")
    await asyncio.sleep(0.01)
    named.open.set()
    with pytest.raises(asyncio.CancelledError, match="the night is over"):
        await task
    assert task.cancelling() == 1
    assert names(tmp_path) == ["0.fits"] == [path.name for path in found]


async def test_a_failure_after_a_cancellation_is_a_cancellation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()

    def link(*_: object) -> None:
        gate()
        raise FileExistsError(17, "exists")

    monkeypatch.setattr(os, "link", link)
    task = asyncio.create_task(write(tmp_path / "a.fits"))
    await gate.wait_reached()
    task.cancel()
    await asyncio.sleep(0.01)
    gate.open.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert names(tmp_path) == []


def expire_now(limit: asyncio.Timeout) -> None:
    limit.reschedule(asyncio.get_running_loop().time())


async def pass_asyncio_timeout(save: Callable[[], Awaitable[Path]], gate: Gate) -> Path:
    async with asyncio.timeout(None) as limit, gate.expiring(lambda: expire_now(limit)):
        return await save()


async def pass_asyncio_wait_for(save: Callable[[], Awaitable[Path]], gate: Gate) -> Path:
    async with gate.expiring(lambda: None, late=0.5):
        return await asyncio.wait_for(save(), 0.5)


async def pass_anyio_scope(save: Callable[[], Awaitable[Path]], gate: Gate) -> Path:
    with anyio.CancelScope() as scope:
        async with gate.expiring(scope.cancel):
            return await save()
    raise AssertionError


@pytest.mark.parametrize("limited", [pass_asyncio_timeout, pass_asyncio_wait_for, pass_anyio_scope])
async def test_a_timeout_after_the_rename_returns_the_path_and_cancels_nothing_else(
    tmp_path: Path,
    named: Gate,
    limited: Callable[[Callable[[], Awaitable[Path]], Gate], Awaitable[Path]],
) -> None:
    assert await limited(lambda: write(tmp_path / "a.fits"), named) == tmp_path / "a.fits"
    await asyncio.sleep(0.01)
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()


async def test_a_timeout_that_has_more_to_do_ends_at_the_next_await(
    tmp_path: Path, named: Gate
) -> None:
    found: list[Path] = []

    async def save_and_wait() -> None:
        async with asyncio.timeout(None) as limit, named.expiring(lambda: expire_now(limit)):
            found.append(await write(tmp_path / "a.fits"))
            await asyncio.sleep(10)

    with pytest.raises(TimeoutError):
        await save_and_wait()
    assert found == [tmp_path / "a.fits"]


async def test_an_anyio_scope_that_has_more_to_do_ends_at_the_next_await(
    tmp_path: Path, named: Gate
) -> None:
    found: list[Path] = []
    with anyio.CancelScope() as scope:
        async with named.expiring(scope.cancel):
            found.append(await write(tmp_path / "a.fits"))
            await asyncio.sleep(10)
    assert scope.cancelled_caught
    assert found == [tmp_path / "a.fits"]
    await asyncio.sleep(0.01)


async def test_a_task_group_ends_although_a_child_was_cancelled_after_the_rename(
    tmp_path: Path, named: Gate
) -> None:
    async def save_for_ever() -> None:
        number = 0
        while True:
            await write(tmp_path / f"{number}.fits")
            number += 1

    async def fail() -> None:
        await named.wait_reached()
        threading.Timer(0.05, named.open.set).start()
        raise ValueError("another child failed")

    async def save_until_a_failure() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(save_for_ever())
            group.create_task(fail())

    with pytest.raises(ExceptionGroup):
        await save_until_a_failure()
    assert names(tmp_path) == ["0.fits"]


async def test_a_timeout_while_a_cancellation_is_handled_cancels_nothing_else(
    tmp_path: Path, named: Gate
) -> None:
    async def work() -> Path:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            path = await pass_asyncio_timeout(lambda: write(tmp_path / "last.fits"), named)
            await asyncio.sleep(0.01)
            return path
        raise AssertionError

    task = asyncio.create_task(work())
    await asyncio.sleep(0.01)
    task.cancel()
    assert await task == tmp_path / "last.fits"


async def test_whenever_a_save_is_cancelled_the_caller_knows_whether_there_is_a_file(
    tmp_path: Path,
) -> None:
    outcomes: set[bool] = set()
    path = tmp_path / "a.fits"
    content = os.urandom(1 << 16)
    for turns in range(200):
        task = asyncio.create_task(write(path, content))
        for _ in range(turns % 40):
            await to_thread.run_sync(int)
        task.cancel()
        await asyncio.wait([task])
        outcomes.add(task.cancelled())
        assert names(tmp_path) == ([] if task.cancelled() else ["a.fits"])
        if not task.cancelled():
            assert task.result().read_bytes() == content
            path.unlink()
    assert outcomes == {False, True}
