"""Servers that answer a setter with success, and have another value afterwards."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from alpaca_async import CoolingPace, InvalidValueException, OperationFailed
from tests.scripted import ScriptedServer, ascom_error, http, value

if TYPE_CHECKING:
    from collections.abc import Callable

    from alpaca_async import AlpacaClient
    from tests.scripted import Reply, Request

FULL = {"binx": 1, "biny": 1, "startx": 0, "starty": 0, "numx": 640, "numy": 480}
CAPABILITIES = {"cameraxsize": 640, "cameraysize": 480, "maxbinx": 4, "maxbiny": 4}


class Members(dict[str, "Reply"]):
    def __missing__(self, member: str) -> Reply:
        return ascom_error(0x400, f"no {member}")


class FrameServer:
    """A camera's frame; `take` decides what becomes of it when a member is set."""

    def __init__(self, take: Callable[[FrameServer, str, int], None]) -> None:
        self.reported = dict(FULL)
        self.actual = dict(FULL)
        self._take = take
        self.replies = Members({name: value(number) for name, number in CAPABILITIES.items()})
        self.replies["interfaceversion"] = value(3)
        for member in FULL:
            self.replies[member] = self._answer
        self.tasks: set[asyncio.Task[None]] = set()

    def _answer(self, request: Request) -> bytes:
        if request.verb == "GET":
            return value(self.reported[request.member])
        text = next(text for name, text in request.parameters.items() if name[0] != "C")
        self._take(self, request.member, int(text))
        return value(None)

    def report_later(self, seconds: float) -> None:
        async def report() -> None:
            actual = dict(self.actual)
            await asyncio.sleep(seconds)
            self.reported = actual

        self.tasks.add(asyncio.create_task(report()))


def resend_old_copies(server: FrameServer, member: str, number: int) -> None:
    """Send the whole frame from a copy that is updated 50 ms late."""
    server.actual = {**server.reported, member: number}
    server.report_later(0.05)


def divide_by_binning(server: FrameServer, member: str, number: int) -> None:
    if member.startswith("bin"):
        server.actual["numx"] //= number
    server.actual[member] = number // server.actual["binx"] if member == "numx" else number
    server.reported = server.actual


def ignore_binning(server: FrameServer, member: str, number: int) -> None:
    if not member.startswith("bin"):
        server.actual[member] = number
    server.reported = server.actual


async def test_what_lagging_copies_undid_is_sent_again(client: AlpacaClient) -> None:
    frame = FrameServer(resend_old_copies)
    async with ScriptedServer(frame.replies) as server:
        camera = client.camera(server.address)
        await camera.set_frame(start_x=100, start_y=80, num_x=200, num_y=160)
        assert frame.actual == FULL | {"startx": 100, "starty": 80, "numx": 200, "numy": 160}
        await asyncio.gather(*frame.tasks)


@pytest.mark.parametrize(
    ("take", "message"),
    [
        (divide_by_binning, r"did not take NumX 320 \(it is 160\)"),
        (ignore_binning, r"did not take BinX 2 \(it is 1\)"),
    ],
)
async def test_what_the_camera_never_takes_is_an_error_and_the_frame_is_restored(
    take: Callable[[FrameServer, str, int], None], message: str, client: AlpacaClient
) -> None:
    frame = FrameServer(take)
    async with ScriptedServer(frame.replies) as server:
        with pytest.raises(OperationFailed, match=message):
            await client.camera(server.address).set_frame(bin_x=2, bin_y=2)
    assert frame.actual["binx"] == 1
    assert frame.actual["numx"] == 640


async def test_a_frame_that_is_not_restored_is_reported(
    client: AlpacaClient, caplog: pytest.LogCaptureFixture
) -> None:
    """The server divides NumX by the binning, also when the former NumX is restored."""

    def take(server: FrameServer, member: str, number: int) -> None:
        if member != "starty":
            divide_by_binning(server, member, number)

    frame = FrameServer(take)
    frame.actual.update(binx=2, biny=2, numx=320, numy=240)
    frame.reported = frame.actual
    async with ScriptedServer(frame.replies) as server:
        with pytest.raises(OperationFailed, match="did not take NumX 200") as caught:
            await client.camera(server.address).set_frame(num_x=200, num_y=100, start_y=10)
    problem = (
        "set_frame asked for BinX 2, StartX 0, NumX 200, BinY 2, StartY 10, NumY 100;"
        " the former frame could not be restored: NumX 320 (it is 160)"
    )
    assert caught.value.__notes__ == [problem]
    assert problem in caplog.text


async def test_a_frame_that_is_restored_is_no_reason_to_warn(
    client: AlpacaClient, caplog: pytest.LogCaptureFixture
) -> None:
    frame = FrameServer(ignore_binning)
    async with ScriptedServer(frame.replies) as server:
        with pytest.raises(OperationFailed) as caught:
            await client.camera(server.address).set_frame(bin_x=2, bin_y=2)
    assert not hasattr(caught.value, "__notes__")
    assert "restored" not in caplog.text


async def test_a_camera_that_takes_all_is_asked_once(client: AlpacaClient) -> None:
    def take(server: FrameServer, member: str, number: int) -> None:
        server.reported[member] = number

    frame = FrameServer(take)
    async with ScriptedServer(frame.replies) as server:
        await client.camera(server.address).set_frame(num_x=320)
    asked = [(request.verb, request.member) for request in server.requests]
    assert asked[-2:] == [("PUT", "numx"), ("GET", "numx")]


class BooleanServer:
    """Compares the text of a boolean with one form of true; anything else is false."""

    def __init__(self, true: str) -> None:
        self.on = False
        self.texts: list[str] = []
        self._true = true

    def __call__(self, request: Request) -> bytes:
        if request.verb == "GET":
            return value(self.on)
        text = next(text for name, text in request.parameters.items() if name[:6] != "Client")
        self.texts.append(text)
        self.on = text == self._true
        return value(None)


@pytest.mark.parametrize("true", ["true", "True"])
async def test_booleans_work_with_servers_that_compare_either_form(
    true: str, client: AlpacaClient
) -> None:
    cooler, readout = BooleanServer(true), BooleanServer(true)
    replies = Members({"cooleron": cooler, "fastreadout": readout})
    async with ScriptedServer(replies) as server:
        camera = client.camera(server.address)
        await camera.set_cooler_on(True)
        assert cooler.on
        other = client.camera(server.address)
        await other.set_fast_readout(True)
        assert readout.on
    assert readout.texts == [true]  # what was learned is remembered, for all objects


async def test_the_form_that_was_learned_is_used_for_the_shutter(client: AlpacaClient) -> None:
    replies = Members({"cooleron": BooleanServer("true"), "startexposure": value(None)})
    async with ScriptedServer(replies) as server:
        camera = client.camera(server.address)
        await camera.set_cooler_on(True)
        await camera.start_exposure(1.0, light=True)
    assert server.requests[-1].parameters["Light"] == "true"


async def test_a_device_that_takes_neither_form_is_no_lesson(client: AlpacaClient) -> None:
    cooler = BooleanServer("1")
    async with ScriptedServer(Members({"cooleron": cooler})) as server:
        camera = client.camera(server.address)
        await camera.set_cooler_on(True)
    assert cooler.texts == ["True", "true"]
    assert camera._record.spelling.lowercase is None


@pytest.mark.parametrize(
    "reply", [ascom_error(0x500, "no"), http(b"", status="500 Oops"), http(b"<html>"), None]
)
async def test_a_device_that_cannot_tell_is_no_lesson(
    reply: bytes | None, client: AlpacaClient
) -> None:
    """None closes the connection: the command has succeeded all the same."""
    sent: list[str] = []

    def cooler(request: Request) -> bytes:
        if request.verb == "GET":
            if reply is None:
                raise ConnectionError
            return reply
        sent.append(request.parameters["CoolerOn"])
        return value(None)

    async with ScriptedServer(Members({"cooleron": cooler})) as server:
        camera = client.camera(server.address)
        await camera.set_cooler_on(True)
        assert camera._record.spelling.lowercase is None
    assert sent == ["True"]


@pytest.mark.parametrize("cancel", [False, True])
async def test_an_attempt_that_ends_early_is_no_lesson(cancel: bool, client: AlpacaClient) -> None:
    """The server takes only `1`; its reply to the second form is an error, or does not come."""
    cooler, waiting = BooleanServer("1"), asyncio.Event()

    async def refuse(request: Request) -> bytes:
        reply = cooler(request)
        if cooler.texts[-1:] == ["true"]:
            waiting.set()
            await asyncio.sleep(60 if cancel else 0)
            return ascom_error(0x401, "no")
        return reply

    async with ScriptedServer(Members({"cooleron": refuse})) as server:
        camera = client.camera(server.address)
        setting = asyncio.create_task(camera.set_cooler_on(True))
        await waiting.wait()
        if cancel:
            setting.cancel()
        await asyncio.wait([setting])
        assert setting.cancelled() or isinstance(setting.exception(), InvalidValueException)
        assert camera._record.spelling.lowercase is None


async def test_a_cooler_of_such_a_server_cools(client: AlpacaClient) -> None:
    cooler = BooleanServer("true")
    replies = Members(
        {
            "cooleron": cooler,
            "setccdtemperature": value(-10.0),
            "ccdtemperature": lambda _: value(-10.0 if cooler.on else 18.0),
        }
    )
    async with ScriptedServer(replies) as server:
        pace = CoolingPace(interval=0.02, settled=0.05)
        await client.camera(server.address).cool_to(-10.0, pace=pace)
    assert cooler.on
