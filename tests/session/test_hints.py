"""Errors of a device that is not there say what is there instead."""

from __future__ import annotations

import asyncio
import pickle
from typing import TYPE_CHECKING, Any

import pytest

from alpaca_async import (
    AlpacaClient,
    AlpacaError,
    AsyncCamera,
    MalformedResponse,
    NotImplementedException,
    RequestRejected,
)
from alpaca_async._session import hints as hints_module
from tests.scripted import Request, ScriptedServer, ascom_error, http, value

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from tests.scripted import Reply

NOT_FOUND = http(b"<h1>Not found</h1>", "text/html", status="404 Not Found")
NO_DEVICE = http(b"No such device", "text/plain", status="400 Bad Request")
LOGIN = http(b"<form>Log in</form>", "text/html")
WEB: dict[str, Reply] = {"gain": NOT_FOUND, "imagearray": NOT_FOUND, "configureddevices": NOT_FOUND}
NO_ALPACA = "does not look like an Alpaca server: discover(), or the command"

CALLS: dict[str, Callable[[AsyncCamera], Awaitable[object]]] = {
    "get": AsyncCamera.get_gain,
    "put": lambda camera: camera.set_gain(5),
    "image": AsyncCamera.get_image_array,
}


def device(number: int, name: str = "Cam", kind: str = "Camera") -> dict[str, Any]:
    return {"DeviceName": name, "DeviceType": kind, "DeviceNumber": number, "UniqueID": "u"}


async def failure(
    replies: Mapping[str, Reply], call: Callable[[AsyncCamera], Awaitable[object]] = CALLS["get"]
) -> AlpacaError:
    async with ScriptedServer(dict(replies)) as server, AlpacaClient() as client:
        with pytest.raises(AlpacaError) as caught:
            await call(client.camera(server.address, 7))
    return caught.value


def refusing(*devices: dict[str, Any]) -> dict[str, Reply]:
    reply = value(list(devices))
    return {"gain": NO_DEVICE, "imagearray": NO_DEVICE, "configureddevices": reply}


@pytest.mark.parametrize("call", CALLS)
async def test_a_wrong_number_names_the_cameras_that_are_there(call: str) -> None:
    replies = refusing(device(0, "Main"), device(1, "Guide"), device(0, "EQ6", "Telescope"))
    error = await failure(replies, CALLS[call])
    assert type(error) is RequestRejected
    assert "HTTP status 400: No such device; this server has no camera 7" in str(error)
    assert str(error).endswith("but camera/0 'Main', camera/1 'Guide'")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301 - our own


@pytest.mark.parametrize(
    ("devices", "says"),
    [
        ([device(2, "EQ6", "Telescope")], "no camera 7, but telescope/2 'EQ6'"),
        ([], "no camera 7, but no devices at all"),
        ([device(n) for n in range(6)], "camera/4 'Cam', others"),
        ([device(0, "\x1b[2J" + "x" * 999)], "camera/0 '\\x1b[2Jxxx"),
    ],
)
async def test_what_is_there_is_listed(devices: list[dict[str, Any]], says: str) -> None:
    error = str(await failure(refusing(*devices)))
    assert says in error
    assert error.isprintable()
    assert len(error) < 500


@pytest.mark.parametrize(
    ("call", "answer"),
    [*((call, NOT_FOUND) for call in CALLS), ("get", LOGIN), ("put", LOGIN)],
)
async def test_a_web_server_is_recognised(call: str, answer: bytes) -> None:
    error = await failure({**WEB, "gain": answer, "imagearray": answer}, CALLS[call])
    assert NO_ALPACA in str(error)


@pytest.mark.parametrize(
    "replies",
    [
        refusing(device(7)),
        {**WEB, "configureddevices": LOGIN, "gain": http(b"", status="500 Oops")},
        {**WEB, "gain": http(b'{"ErrorNumber": 1024}', status="400 Bad")},
        {**WEB, "configureddevices": http(b"", status="500 Oops")},
        {**WEB, "configureddevices": http(b"", status="401 Who")},
        {**WEB, "configureddevices": http(b"")[:20].replace(b"1.1", b"1.0")},
        {**WEB, "gain": ascom_error(0x400, "no gain")},
    ],
    ids=[*"abcdefg"],
)
async def test_other_errors_stay_as_they_are(replies: Mapping[str, Reply]) -> None:
    error = str(await failure(replies))
    assert "this server" not in error
    assert NO_ALPACA not in error


async def test_a_device_that_has_answered_costs_no_further_request() -> None:
    replies: dict[str, Reply] = {
        **refusing(),
        "name": value("Cam"),
        "offset": ascom_error(0x400, "no"),
    }
    async with ScriptedServer(replies) as server, AlpacaClient() as client:
        camera = client.camera(server.address, 7)
        await camera.get_name()
        for call in (camera.get_gain, camera.get_offset):
            with pytest.raises((RequestRejected, NotImplementedException)):
                await call()
    assert not server.count("configureddevices")


async def test_a_listed_device_is_asked_for_once() -> None:
    async with ScriptedServer(refusing(device(7))) as server, AlpacaClient() as client:
        for _ in range(3):
            with pytest.raises(RequestRejected):
                await client.camera(server.address, 7).get_gain()
    assert server.count("configureddevices") == 1


async def test_many_errors_at_once_cost_one_request() -> None:
    async with ScriptedServer(refusing()) as server, AlpacaClient() as client:
        camera = client.camera(server.address, 7)
        errors = await asyncio.gather(
            *(camera.get_gain() for _ in range(4)), return_exceptions=True
        )
    assert all(type(error) is RequestRejected for error in errors)
    assert server.count("configureddevices") < 4


async def test_a_server_that_does_not_explain_delays_the_error_only_shortly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hints_module, "_LIMIT", 0.05)

    async def silence(_: Request) -> bytes:
        await asyncio.sleep(30)
        return b""

    error = await asyncio.wait_for(failure({**WEB, "configureddevices": silence}), 5)
    assert NO_ALPACA not in str(error)


async def test_a_management_error_explains_nothing() -> None:
    async with ScriptedServer(WEB) as server, AlpacaClient() as client:
        with pytest.raises(RequestRejected):
            await client.get_configured_devices(server.address)
    assert server.count("configureddevices") == 1


async def test_a_cancelled_explanation_leaves_nothing() -> None:
    asked = asyncio.Event()

    async def silence(_: Request) -> bytes:
        asked.set()
        await asyncio.sleep(30)
        return b""

    async with ScriptedServer({**WEB, "configureddevices": silence}) as server:
        async with AlpacaClient() as client:
            task = asyncio.create_task(client.camera(server.address).get_gain())
            await asked.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not client._hints._asking


async def test_an_odd_list_of_devices_explains_nothing() -> None:
    error = await failure({**refusing(), "configureddevices": value([{"DeviceNumber": 1}])})
    assert type(error) is RequestRejected
    assert not isinstance(error, MalformedResponse)
