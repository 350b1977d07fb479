"""A fault: its cause, what the caller gets, what the camera is left in; each part is checked."""

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
World: TypeAlias = "Callable[[Fault], AbstractAsyncContextManager[Bench]]"

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
    """A camera on a server, and what the server was asked."""

    address: str
    requests: list[Request] = field(default_factory=list[Request])
    camera: AsyncCamera = field(init=False)
    error: AlpacaError | None = None

    def sent(self, verb: str) -> list[str]:
        """Return the members that requests of `verb` were for."""
        return [request.member for request in self.requests if request.verb == verb]


class Outcome(Protocol):
    """What the caller gets."""

    async def check(
        self, call: Awaitable[Any], bench: Bench, log: pytest.LogCaptureFixture
    ) -> None:
        """Await `call` and see that this comes of it."""
        ...


@dataclass(frozen=True)
class Raises:
    """An error of exactly this class, which names server and member, and says this."""

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
class Gives:
    """A value, and in the log a warning that says `warns`, if anything."""

    value: Any
    name: str = ""
    warns: str = ""

    def __str__(self) -> str:
        warning = f"; a warning in the log: {self.warns}" if self.warns else ""
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


THE_IMAGE: Final = Gives(PIXELS, "the image")
NOTHING: Final = Gives(None, "success")


@dataclass(frozen=True)
class After:
    """What the camera is left in, in words; `check` sees that it is so."""

    text: str
    check: Callable[[Bench], Awaitable[None]]


async def _is_untouched(bench: Bench) -> None:
    assert not bench.sent("PUT")
    assert await bench.camera.get_gain() == 5


async def _keeps_the_image(bench: Bench) -> None:
    assert not bench.sent("PUT")
    np.testing.assert_array_equal(await bench.camera.get_image_array(), PIXELS)


async def _may_have_obeyed(bench: Bench) -> None:
    assert len(bench.sent("PUT")) == 1
    assert isinstance(bench.error, AlpacaError)
    assert bench.error.outcome_unknown


async def _was_commanded_once(bench: Bench) -> None:
    assert len(bench.sent("PUT")) == 1
    assert not getattr(bench.error, "outcome_unknown", False)


async def _was_not_reached(bench: Bench) -> None:
    assert not bench.requests
    assert not getattr(bench.error, "outcome_unknown", False)


async def _was_aborted(bench: Bench) -> None:
    assert bench.sent("PUT") == ["startexposure", "abortexposure"]


async def _has_exposed(bench: Bench) -> None:
    assert bench.sent("PUT") == ["startexposure"]


UNTOUCHED: Final = After("as it was; the next read is answered", _is_untouched)
HAS_IMAGE: Final = After(
    "as it was, with its image: the next `get_image` gets it", _keeps_the_image
)
UNKNOWN: Final = After("unknown: sent once, `outcome_unknown` is true", _may_have_obeyed)
COMMANDED: Final = After("as it answered: the command was sent once", _was_commanded_once)
NOT_REACHED: Final = After("as it was: nothing was sent", _was_not_reached)
ABORTED: Final = After("idle: AbortExposure was sent, once", _was_aborted)
EXPOSED: Final = After("exposed once, not aborted", _has_exposed)


class Script(dict[str, "Reply"]):
    """Answers each member of `first` so once, each of `always` so always; else as `GOOD` does."""

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
    """Serve the replies of a fault."""
    async with ScriptedServer(Script(fault.first, fault.always)) as server:
        yield Bench(server.address, server.requests)


@dataclass(frozen=True)
class Fault:
    """One row. `seen` names servers that are known for it."""

    kind: Kind
    cause: str
    gets: Outcome
    after: After
    call: Call = read
    first: Mapping[str, Reply] = field(default_factory=dict[str, "Reply"])
    always: Mapping[str, Reply] = field(default_factory=dict[str, "Reply"])
    seen: str = ""
    before: Call | None = None
    world: World = scripted
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    patches: Mapping[str, object] = field(default_factory=dict[str, object])

    def __str__(self) -> str:
        return self.cause

    async def check(self, log: pytest.LogCaptureFixture, patch: pytest.MonkeyPatch) -> None:
        """See that all of it is so."""
        for name, replacement in self.patches.items():
            patch.setattr(f"alpaca_async.{name}", replacement)
        async with self.world(self) as bench, AlpacaClient(**self.options) as client:
            bench.camera = client.camera(bench.address)
            if self.before is not None:
                await self.before(bench.camera)
                bench.requests.clear()
            async with asyncio.timeout(5):
                await self.gets.check(self.call(bench.camera), bench, log)
            client.timeouts = Timeouts()  # what comes next is not to be hurried
            await self.after.check(bench)


def text(raw: bytes, content_type: str = "application/json", **options: str) -> bytes:
    """Return a reply of `raw` text."""
    return http(raw, content_type, **options)


def pixels(payload: bytes, **options: str) -> bytes:
    """Return a reply of an ImageBytes payload."""
    return http(payload, "application/imagebytes", **options)


def broken(data: bytes, error: type[ConnectionError] = ConnectionError) -> Reply:
    """Return a reply after whose first bytes the server closes the connection, or resets it."""

    async def pieces(_: Request) -> AsyncIterator[bytes]:
        yield data
        await asyncio.sleep(0)
        raise error

    return pieces


def once(first: Reply, then: Reply) -> Callable[[Request], Answer]:
    """Return a reply that is `first` at its first use."""
    replies = iter([first])

    def answer(request: Request) -> Answer:
        reply = next(replies, then)
        return reply(request) if callable(reply) else reply

    return answer
