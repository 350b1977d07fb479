"""A fault: its cause, its outcome for the caller, and the state of the camera afterwards."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias, get_args

import numpy as np
import pytest

from alpaca_async import AlpacaClient, AlpacaError, Timeouts
from tests.scripted import Request, ScriptedServer, ascom_error, http, imagebytes, value

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from alpaca_async import AsyncCamera
    from tests.scripted import Answer, Reply

Kind: TypeAlias = Literal["bytes", "HTTP", "network", "device", "time"]
Call: TypeAlias = "Callable[[AsyncCamera], Awaitable[Any]]"
ServerFactory: TypeAlias = "Callable[[Fault], AbstractAsyncContextManager[Bench]]"

KINDS: Final[tuple[str, ...]] = get_args(Kind)

PIXELS: Final = np.arange(21, dtype="<u2").reshape(3, 7)
PAYLOAD: Final = imagebytes(PIXELS.tobytes(), 3, 7)
IMAGE: Final = http(PAYLOAD, "application/imagebytes")
GAIN: Final = value(5)

GOOD: Final[Mapping[str, Reply]] = {
    "gain": GAIN,
    "imagearray": IMAGE,
    "imagearrayvariant": IMAGE,
    "interfaceversion": value(3),
    "connected": value(True),
    "startexposure": value(None),
    "abortexposure": value(None),
    "imageready": value(True),
    "camerastate": value(0),
    "numx": value(3),
    "numy": value(7),
}


async def read(camera: AsyncCamera) -> int:
    return await camera.get_gain()


async def command(camera: AsyncCamera) -> None:
    await camera.set_gain(5)


async def image(camera: AsyncCamera) -> Any:  # noqa: ANN401 - pixels of any type
    return await camera.get_image_array()


async def expose(camera: AsyncCamera) -> Any:  # noqa: ANN401 - as above
    found = await camera.expose(0.01, ready_timeout=3)
    return found.array


@dataclass
class Bench:
    """A camera on a server, and the requests that the server received."""

    address: str
    requests: list[Request] = field(default_factory=list[Request])
    camera: AsyncCamera = field(init=False)
    error: AlpacaError | None = None

    def sent(self, verb: str) -> list[str]:
        """Return the members of the requests with `verb`, in order."""
        return [request.member for request in self.requests if request.verb == verb]


class Outcome(Protocol):
    """The outcome for the caller."""

    async def check(
        self, call: Awaitable[Any], bench: Bench, log: pytest.LogCaptureFixture
    ) -> None:
        """Await `call` and assert this outcome."""
        ...


@dataclass(frozen=True)
class Raises:
    """An error of exactly this class that names server and member; its text contains `says`."""

    kind: type[AlpacaError | ValueError]
    says: str

    def __str__(self) -> str:
        return f"`{self.kind.__name__}`" + (f" “{self.says}”" if self.says else "")

    async def check(
        self, call: Awaitable[Any], bench: Bench, log: pytest.LogCaptureFixture
    ) -> None:
        with pytest.raises(self.kind) as caught:
            await call
        error = caught.value
        assert type(error) is self.kind, repr(error)
        assert self.says in str(error)
        if isinstance(error, AlpacaError):
            assert error.server.endswith(bench.address)
            assert "/" in error.member
            assert error.reason
            bench.error = error


@dataclass(frozen=True)
class Returns:
    """A value; if `warns` is given, also a warning in the log that contains it."""

    value: Any
    name: str = ""
    warns: str = ""

    def __str__(self) -> str:
        warning = f"; logs a warning: {self.warns}" if self.warns else ""
        return (self.name or f"`{self.value!r}`") + warning

    async def check(
        self, call: Awaitable[Any], bench: Bench, log: pytest.LogCaptureFixture
    ) -> None:
        found = await call
        if hasattr(self.value, "dtype"):
            np.testing.assert_array_equal(found, self.value, strict=True)
        else:
            assert (type(found), found) == (type(self.value), self.value)
        warnings = [each.getMessage() for each in log.records if each.levelname == "WARNING"]
        assert any(self.warns in each for each in warnings) if self.warns else not warnings


THE_IMAGE: Final = Returns(PIXELS, "the image")
SUCCESS: Final = Returns(None, "success")


@dataclass(frozen=True)
class After:
    """The state of the camera afterwards, in words; `check` asserts it."""

    text: str
    check: Callable[[Bench], Awaitable[None]]


async def _is_untouched(bench: Bench) -> None:
    assert not bench.sent("PUT")
    assert await bench.camera.get_gain() == 5


async def _keeps_the_image(bench: Bench) -> None:
    assert not bench.sent("PUT")
    np.testing.assert_array_equal(await bench.camera.get_image_array(), PIXELS)


async def _may_have_executed(bench: Bench) -> None:
    assert len(bench.sent("PUT")) == 1
    assert isinstance(bench.error, AlpacaError)
    assert bench.error.outcome_unknown


async def _was_sent_once(bench: Bench) -> None:
    assert len(bench.sent("PUT")) == 1
    assert not getattr(bench.error, "outcome_unknown", False)


async def _was_not_reached(bench: Bench) -> None:
    assert not bench.requests
    assert not getattr(bench.error, "outcome_unknown", False)


async def _was_aborted(bench: Bench) -> None:
    assert bench.sent("PUT") == ["startexposure", "abortexposure"]


async def _has_exposed(bench: Bench) -> None:
    assert bench.sent("PUT") == ["startexposure"]


UNTOUCHED: Final = After("unchanged; the next read succeeds", _is_untouched)
HAS_IMAGE: Final = After("unchanged; the next `get_image` returns the image", _keeps_the_image)
UNKNOWN: Final = After(
    "unknown: the command was sent once, `outcome_unknown` is true", _may_have_executed
)
COMMANDED: Final = After("as its reply says; the command was sent once", _was_sent_once)
NOT_REACHED: Final = After("unchanged: nothing was sent", _was_not_reached)
ABORTED: Final = After("idle: AbortExposure was sent once", _was_aborted)
EXPOSED: Final = After("not aborted: only StartExposure was sent, once", _has_exposed)


class Script(dict[str, "Reply"]):
    """Replies by member: from `first` once, then from `always`, otherwise from `GOOD`."""

    def __init__(self, first: Mapping[str, Reply], always: Mapping[str, Reply]) -> None:
        super().__init__()
        self._first = dict(first)
        self._always = {**GOOD, **always}

    def __missing__(self, member: str) -> Reply:
        if member in self._first:
            return self._first.pop(member)
        return self._always.get(member, ascom_error(0x400, f"{member} is not implemented"))


@asynccontextmanager
async def scripted(fault: Fault) -> AsyncGenerator[Bench]:
    """Run a server with the replies of a fault."""
    async with ScriptedServer(Script(fault.first, fault.always)) as server:
        yield Bench(server.address, server.requests)


@dataclass(frozen=True)
class Fault:
    """One row of the page.

    `first` are replies for the first request of a member, `always` for every request. `seen`
    names servers in which the fault was seen. `before` runs before `call`.
    """

    kind: Kind
    cause: str
    outcome: Outcome
    after: After
    call: Call = read
    first: Mapping[str, Reply] = field(default_factory=dict[str, "Reply"])
    always: Mapping[str, Reply] = field(default_factory=dict[str, "Reply"])
    seen: str = ""
    before: Call | None = None
    serve: ServerFactory = scripted
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    patches: Mapping[str, object] = field(default_factory=dict[str, object])

    def __str__(self) -> str:
        return self.cause

    async def check(self, log: pytest.LogCaptureFixture, patch: pytest.MonkeyPatch) -> None:
        """Cause the fault, and assert the outcome and the state afterwards."""
        for name, replacement in self.patches.items():
            patch.setattr(f"alpaca_async.{name}", replacement)
        async with self.serve(self) as bench, AlpacaClient(**self.options) as client:
            bench.camera = client.camera(bench.address)
            if self.before is not None:
                await self.before(bench.camera)
                bench.requests.clear()
            async with asyncio.timeout(5):
                await self.outcome.check(self.call(bench.camera), bench, log)
            client.timeouts = Timeouts()  # the following requests need no short timeouts
            await self.after.check(bench)


def text(raw: bytes, content_type: str = "application/json", **options: str) -> bytes:
    """Return an HTTP reply with the body `raw`."""
    return http(raw, content_type, **options)


def pixels(payload: bytes, **options: str) -> bytes:
    """Return an HTTP reply with an ImageBytes payload."""
    return http(payload, "application/imagebytes", **options)


def broken(data: bytes, error: type[ConnectionError] = ConnectionError) -> Reply:
    """Return a reply that sends `data`, then closes the connection (or resets it, by `error`)."""

    async def pieces(_: Request) -> AsyncIterator[bytes]:
        yield data
        await asyncio.sleep(0)
        raise error

    return pieces


def once(first: Reply, then: Reply) -> Callable[[Request], Answer]:
    """Return a reply that is `first` at its first use, and `then` afterwards."""
    replies = iter([first])

    def answer(request: Request) -> Answer:
        reply = next(replies, then)
        return reply(request) if callable(reply) else reply

    return answer
