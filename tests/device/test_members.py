"""Members by their ASCOM names: `get`, `put` and `wait_until` of any device."""

from __future__ import annotations

import asyncio
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import pytest

from alpaca_async import (
    AlpacaClient,
    CoverStatus,
    MalformedResponse,
    NotImplementedException,
    OperationTimeout,
    RequestRejected,
    TransportError,
    TransportTimeout,
)
from tests.scripted import Request, ScriptedServer, ascom_error, http, value
from tests.virtual_time import in_virtual_time, now

if TYPE_CHECKING:
    from collections.abc import Callable

    from alpaca_async import AsyncDevice


class Compass(IntEnum):
    NORTH = 0
    EAST = 1


def dome(client: AlpacaClient, server: ScriptedServer) -> AsyncDevice:
    return client.device(server.address, "dome", 2)


@pytest.mark.parametrize(
    ("kind", "sent", "expected"),
    [
        (bool, True, True),
        (int, 7, 7),
        (float, 7, 7.0),
        (str, "ü", "ü"),
        (CoverStatus, 3, CoverStatus.OPEN),
        (CoverStatus, 9, CoverStatus(9)),
        (Compass, 1, Compass.EAST),
        (list[str], ["a", "b"], ["a", "b"]),
        (list[int], [1, 2], [1, 2]),
        (list[dict[str, Any]], [{"Minimum": 1.0}], [{"Minimum": 1.0}]),
    ],
)
async def test_a_value_is_of_the_wanted_type(
    client: AlpacaClient, kind: type[object], sent: object, expected: object
) -> None:
    async with ScriptedServer({"azimuth": value(sent)}) as server:
        read = await dome(client, server).get("Azimuth", kind)
    assert read == expected
    assert type(read) is type(expected)


@pytest.mark.parametrize(
    ("kind", "sent"), [(int, "x"), (bool, 7), (Compass, 4), (list[int], [1, "x"]), (list[str], 3)]
)
async def test_a_value_of_another_type_is_malformed(
    client: AlpacaClient, kind: type[object], sent: object
) -> None:
    async with ScriptedServer({"azimuth": value(sent)}) as server:
        with pytest.raises(MalformedResponse, match="dome/2/azimuth"):
            await dome(client, server).get("Azimuth", kind)


@pytest.mark.parametrize("kind", [list, dict, None, list[float], "int", bytes])
async def test_an_unknown_type_is_refused_before_any_request(
    client: AlpacaClient,
    kind: Any,  # noqa: ANN401 - what no caller should pass
) -> None:
    with pytest.raises(TypeError, match="a value is of type bool, int"):
        await client.device("127.0.0.1:1", "dome").get("Azimuth", kind)


WRONG_NAMES = [
    "",
    "position",
    "Position/../Name",
    "Filter Wheel",
    "A" * 65,
    "Größe",
    "ClientID",
    "_X",
]


@pytest.mark.parametrize("name", WRONG_NAMES)
async def test_a_name_must_have_the_form_of_ascom(client: AlpacaClient, name: str) -> None:
    device = client.device("127.0.0.1:1", "dome")
    calls: list[Callable[[], Any]] = [
        lambda: device.get(name, int),
        lambda: device.put(name),
        lambda: device.wait_until(name, 3),
        lambda: device.put("Slew", **{name: 1}),
        lambda: device.get("Slew", int, **{name: 1}),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="is not a name of ASCOM, such as 'Position'"):
            await call()


async def test_a_name_must_be_a_string(client: AlpacaClient) -> None:
    with pytest.raises(TypeError):
        await client.device("127.0.0.1:1", "dome").get(7, int)  # type: ignore[arg-type]


async def test_parameters_of_a_get_are_in_its_query(client: AlpacaClient) -> None:
    async with ScriptedServer({"getswitchvalue": value(0.5)}) as server:
        switch = client.device(server.address, "switch")
        assert await switch.get("GetSwitchValue", float, Id=3) == 0.5
    (request,) = server.requests
    assert (request.verb, request.parameters["Id"]) == ("GET", "3")


@pytest.mark.parametrize(
    ("given", "sent"),
    [(2, "2"), (0.00001, "0.00001"), ("a=&ü", "a=&ü"), (CoverStatus.OPEN, "3")],
)
async def test_a_property_is_set_once(
    client: AlpacaClient,
    given: Any,  # noqa: ANN401 - as put takes it
    sent: str,
) -> None:
    async with ScriptedServer({"position": value(None)}) as server:
        await dome(client, server).put("Position", Position=given)
    (request,) = server.requests
    assert (request.verb, request.parameters["Position"]) == ("PUT", sent)


async def test_a_method_has_any_parameters(client: AlpacaClient) -> None:
    async with ScriptedServer({"setswitch": value(None), "park": value(None)}) as server:
        switch = client.device(server.address, "switch")
        await switch.put("SetSwitch", Id=3, State=True)
        await switch.put("Park")
    first, second = server.requests
    assert (first.parameters["Id"], first.parameters["State"]) == ("3", "True")
    assert set(second.parameters) == {"ClientID", "ClientTransactionID"}


@pytest.mark.parametrize("wrong", [None, [1], float("nan"), float("inf"), 2**31])
async def test_a_value_that_cannot_be_sent_is_refused(
    client: AlpacaClient,
    wrong: Any,  # noqa: ANN401 - what no caller should pass
) -> None:
    with pytest.raises((TypeError, ValueError), match="Position"):
        await client.device("127.0.0.1:1", "dome").put("Position", Position=wrong)


async def test_a_server_that_knows_only_lower_case_is_understood(client: AlpacaClient) -> None:
    slaved = False

    def answer(request: Request) -> bytes:
        nonlocal slaved
        if request.verb == "PUT":
            slaved = request.parameters["Slaved"] == "true"
            return value(None)
        return value(slaved)

    async with ScriptedServer({"slaved": answer}) as server:
        await dome(client, server).put("Slaved", Slaved=True)
    assert slaved


async def test_errors_are_typed(client: AlpacaClient) -> None:
    replies = {
        "park": ascom_error(0x400, "no park"),
        "unpark": http(b"unknown", "text/plain", status="400 Bad Request"),
    }
    async with ScriptedServer({**replies}) as server:
        with pytest.raises(NotImplementedException, match=r"dome/2/park: no park"):
            await dome(client, server).put("Park")
        with pytest.raises(RequestRejected, match="dome/2/unpark"):
            await dome(client, server).put("Unpark")
        with pytest.raises(TransportError) as lost:
            await dome(client, server).put("AbortSlew")
    assert lost.value.outcome_unknown
    assert server.count("abortslew") == 1


async def quiet(_: Request) -> bytes:
    await asyncio.sleep(3600)
    return value(None)


@pytest.mark.parametrize(("timeout", "seconds"), [(None, 100), (3, 3)])
@in_virtual_time
async def test_a_reply_is_waited_for(timeout: float | None, seconds: float) -> None:
    async with ScriptedServer({"park": quiet}) as server, AlpacaClient() as client:
        with pytest.raises(TransportTimeout):
            await dome(client, server).put("Park", timeout=timeout)
        assert now() == pytest.approx(seconds, abs=0.1)


@pytest.mark.parametrize(
    ("other", "goal"), [(-1, 2), (False, True), ("one", "two"), (1, CoverStatus.OPEN)]
)
@in_virtual_time
async def test_a_value_is_waited_for(other: object, goal: Any) -> None:  # noqa: ANN401 - as put
    def answer(_: Request) -> bytes:
        return value(other if now() < 30 else goal)

    async with ScriptedServer({"slewing": answer}) as server, AlpacaClient() as client:
        await dome(client, server).wait_until("Slewing", goal)
        assert 30 <= now() < 30.6


@in_virtual_time
async def test_a_value_that_does_not_come_is_an_error_that_says_what_is() -> None:
    async with ScriptedServer({"position": value(-1)}) as server, AlpacaClient() as client:
        with pytest.raises(
            OperationTimeout, match=r"dome/2/position: the value is -1, not 2, after 5 s"
        ):
            await dome(client, server).wait_until("Position", 2, timeout=5)
        assert now() == pytest.approx(5, abs=0.01)


@in_virtual_time
async def test_a_limit_holds_while_the_server_is_silent() -> None:
    async with ScriptedServer({"position": quiet}) as server, AlpacaClient() as client:
        with pytest.raises(OperationTimeout, match="no reply after 5 s"):
            await dome(client, server).wait_until("Position", 2, timeout=5)
        assert now() == pytest.approx(5, abs=0.01)


@in_virtual_time
async def test_failed_polls_are_tolerated() -> None:
    def answer(_: Request) -> bytes:
        if now() < 8:
            raise ConnectionError
        return value(2)

    async with ScriptedServer({"position": answer}) as server, AlpacaClient() as client:
        await dome(client, server).wait_until("Position", 2, timeout=None)
        assert 8 <= now() < 9


async def test_what_the_device_reports_ends_the_wait(client: AlpacaClient) -> None:
    async with ScriptedServer({"position": ascom_error(0x500, "motor")}) as server:
        with pytest.raises(Exception, match="motor"):
            await dome(client, server).wait_until("Position", 2)
    assert server.count("position") == 1


@in_virtual_time
async def test_closing_the_client_ends_the_wait() -> None:
    async with ScriptedServer({"position": value(-1)}) as server, AlpacaClient() as client:
        waiting = asyncio.create_task(dome(client, server).wait_until("Position", 2))
        await asyncio.sleep(1)
        await client.aclose()
        with pytest.raises(TransportError, match="the client was closed"):
            await waiting


async def test_a_measurement_is_not_waited_for(client: AlpacaClient) -> None:
    with pytest.raises(TypeError, match="float"):
        await client.device("127.0.0.1:1", "dome").wait_until("Azimuth", 1.5)
