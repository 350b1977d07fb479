"""The driver's side of one worker: calls it, notices when it is lost, and brings it back."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from anyio import to_thread

from alpaca_async._errors import AlpacaError, HostLost, UnexpectedError
from alpaca_async._tasks import cancel, finish

from . import _cluster
from ._outcome import error_at, failed_status

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from alpaca_async._group.member import CameraAddress

    from ._cluster import Actor, ObjectRef
    from ._outcome import HostStatus
    from ._placement import CameraHost
    from ._worker import Errors

_PING_INTERVAL: Final = 1.0
_PING_LIMIT: Final = 10.0
"""Seconds until the reply to a ping counts as missing."""
_MISSING_PINGS: Final = 3
"""So many in a row mean that the process hangs: one may be missing because this program slept."""
_RETRY_PAUSE: Final = 0.1
_TAKE_OVER_TIMEOUT: Final = 30.0
_END_LIMIT: Final = 25.0
"""Seconds that a worker has to abort its exposures."""

logger = logging.getLogger("alpaca_async")


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """How far the clock of a host is ahead of this computer's."""

    cameras: tuple[CameraAddress, ...]
    """The cameras of the host."""
    offset: float
    """Seconds; negative if the host's clock is behind."""
    uncertainty: float
    """Seconds: half the time of the request that asked for the time."""


class RemoteWorker:
    """One worker and its cameras.

    After its death Ray starts it again, here or on another node. It then takes over its cameras,
    and calls work again. Meanwhile they raise `HostLost`. No call is ever repeated.
    """

    def __init__(self, actor: Actor, host: CameraHost) -> None:
        self.cameras = tuple(host.cameras)
        self.clock: ClockOffset | None = None
        self._actor = actor
        self._where = f"with the resource {host.resource!r}" if host.resource else "for it"
        self._keys = map(str, itertools.count())
        self._loss: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._lost_at = _now()
        self._there = asyncio.Event()
        self._started = False
        self._process: str | None = None
        self._supervisor = asyncio.create_task(self._supervise())

    async def errors(self, method: str, *arguments: object, start_timeout: float) -> Errors:
        """Call a method that returns one error or None for each camera."""
        key = self.new_key()
        found: Errors
        try:
            await self.ready(start_timeout)
            found = await self.call(method, key, *arguments)
        except AlpacaError as error:
            return self.errors_for_all(error)
        except asyncio.CancelledError:
            await finish(self.end(key))
            raise
        return found

    def new_key(self) -> str:
        """Return a new key for a call that can be ended."""
        return next(self._keys)

    def errors_for_all(self, error: AlpacaError) -> Errors:
        """Return an error of the same kind for each camera."""
        return [self.error_of(number, error) for number in range(len(self.cameras))]

    def error_of(self, number: int, error: AlpacaError) -> AlpacaError:
        """Return an error of the same kind for one camera."""
        return error_at(self.cameras[number], error)

    def statuses(self, error: AlpacaError) -> list[HostStatus]:
        """Return an error of the same kind as the status of each camera."""
        return [failed_status(camera, error) for camera in self.cameras]

    async def call(self, method: str, *arguments: object) -> Any:  # noqa: ANN401 - the method's
        """Call a method once; raise `HostLost` when the worker is lost, before or meanwhile."""
        reference = self.send(method, *arguments)
        return await self.value_of(reference)

    def send(self, method: str, *arguments: object, results: int = 1) -> ObjectRef:
        """Call a method and return its references; raise `HostLost` if the worker is lost."""
        if self._loss.done():
            raise HostLost(self._loss.result())
        return _cluster.method(self._actor, method, results)(*arguments)

    async def value_of(self, reference: ObjectRef) -> Any:  # noqa: ANN401 - the method's
        """Return the result of a call; raise `HostLost` if the worker is lost meanwhile."""
        value, loss = _cluster.future_of(reference), self._loss
        try:
            await asyncio.wait([value, loss], return_when=asyncio.FIRST_COMPLETED)
            if not value.done():
                raise HostLost(loss.result())
        finally:
            value.cancel()  # nobody else looks at it
        if (error := value.exception()) is not None:
            raise self._converted(error) from error
        return value.result()

    def _converted(self, error: BaseException) -> AlpacaError:
        """Return an error of a call as one of ours."""
        if _cluster.is_ray_error(error):
            self._lose(_cluster.first_line(error))
            return HostLost(self._loss.result())
        cause = _cluster.cause_of(error)
        if isinstance(cause, AlpacaError):
            return cause
        return UnexpectedError(f"the host raised {_cluster.first_line(cause)}")

    async def iterate(self, method: str, *arguments: object) -> AsyncGenerator[Any]:
        """Yield what a method yields, until it ends or the worker is lost."""
        call = self.send(method, *arguments)
        try:
            async for reference in call:
                yield await self.value_of(reference)
        finally:
            _cluster.cancel(call)

    async def ready(self, timeout: float) -> None:
        """Wait until the worker is there, for at most `timeout` seconds after it was lost.

        Raises:
            HostLost: it is not.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout_at(max(self._lost_at + timeout, _now())):
                await self._there.wait()
        if not self._started:
            raise HostLost(f"no worker was started: is there a Ray node {self._where}?")
        self._recognise(await self.call("open"))
        if self._loss.done():
            raise HostLost(self._loss.result())

    def lose_new_process(self) -> None:
        """Take over the cameras: the worker was restarted, which nobody has noticed."""
        self._lose("its process was restarted")

    async def measure_clock(self) -> ClockOffset:
        """Compare the clock of the host with this computer's."""
        sent = time.time()
        process, theirs = await self.call("ping")
        received = time.time()
        self._recognise(process)
        half = (received - sent) / 2
        return ClockOffset(self.cameras, theirs - (sent + half), half)

    async def end(self, key: str) -> None:
        """End a call, and wait until its exposures are aborted; a lost worker has ended it."""
        if not self._started:
            return
        try:
            async with asyncio.timeout(_END_LIMIT):
                await self.call("end", key)
        except AlpacaError as error:
            logger.info("a lost host has exposures to abort: %s", error)
        except TimeoutError:
            logger.warning("a host did not abort its exposures within %g s", _END_LIMIT)

    def end_soon(self, key: str) -> None:
        """Let the worker forget a call that has ended."""
        with suppress(HostLost):
            self.send("end", key)

    async def aclose(self) -> None:
        """Abort all exposures, close the connections, and end the process."""
        try:
            if self._started:
                async with asyncio.timeout(_END_LIMIT):
                    await self.call("close")
        except (AlpacaError, TimeoutError) as error:
            logger.warning("a host could not be closed: %r", error)
        finally:
            await cancel(self._supervisor)
            await self._kill(restart=False)

    def _lose(self, reason: str) -> None:
        """Let all calls fail, and begin to bring the worker back."""
        if self._loss.done():
            return
        logger.warning("the host of %d cameras is lost: %s", len(self.cameras), reason)
        self._loss.set_result(f"the host is lost: {reason}")
        self._lost_at = _now()
        self._process = None
        self._there.clear()

    def _recognise(self, process: str) -> None:
        """Notice a restart during which no call was on its way: nothing has failed."""
        if self._process not in {None, process}:
            self._lose("its process was restarted")
        if not self._loss.done():  # else it may be a late reply of the lost process
            self._process = process

    async def _supervise(self) -> None:
        """Ping the worker; whenever it is lost, bring it back."""
        await self._wait_for_start()
        while True:
            if self._loss.done():
                await self._bring_back()
            await self._check()
            await asyncio.wait([self._loss], timeout=_PING_INTERVAL)

    async def _wait_for_start(self) -> None:
        """Wait for the first process: its node may have to be started first."""
        with suppress(AlpacaError):
            self.clock = await self.measure_clock()
            self._started = True
            self._there.set()

    async def _check(self) -> None:
        for _ in range(_MISSING_PINGS):
            with suppress(TimeoutError):
                async with asyncio.timeout(_PING_LIMIT):
                    with suppress(AlpacaError):
                        self.clock = await self.measure_clock()
                return
        self._lose("its process does not answer")
        await self._kill(restart=True)

    async def _kill(self, *, restart: bool) -> None:
        try:
            await to_thread.run_sync(partial(_cluster.kill, self._actor, restart=restart))
        except Exception as error:
            if not _cluster.is_ray_error(error):
                raise
            logger.info("the process of a host is gone already: %s", _cluster.first_line(error))

    async def _take_over(self) -> Errors:
        """Let the new process connect the cameras and abort their exposures, once it is there."""
        connect = _cluster.method(self._actor, "connect")
        while True:
            try:
                return await _cluster.future_of(connect("take over", _TAKE_OVER_TIMEOUT, True))  # type: ignore[no-any-return]
            except Exception as error:  # noqa: BLE001 - whatever it is, the next try may succeed
                logger.info("the host is not back yet: %s", _cluster.first_line(error))
            await asyncio.sleep(_RETRY_PAUSE)

    async def _bring_back(self) -> None:
        errors = await self._take_over()
        self._started = True
        self._loss = asyncio.get_running_loop().create_future()
        self._there.set()
        failed = [error for error in errors if error is not None]
        logger.warning(
            "a host is back after %.1f s with %d of %d cameras%s",
            _now() - self._lost_at,
            len(errors) - len(failed),
            len(errors),
            "".join(f"; {error}" for error in failed),
        )


def _now() -> float:
    return asyncio.get_running_loop().time()
