"""Credentials are sent only to their servers, and appear in no log, error or repr."""

from __future__ import annotations

import asyncio
import copy
import logging
import pickle
import traceback
from base64 import b64encode
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from alpaca_async import (
    AlpacaClient,
    AlpacaError,
    AscomError,
    AsyncCamera,
    RequestRejected,
    Timeouts,
)
from alpaca_async.testing import SimulatedCamera, SimulatorServer
from tests.scripted import Request, ScriptedServer, ascom_error, http, imagebytes, value
from tests.virtual_time import in_virtual_time

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from pathlib import Path

    from alpaca_async._session.credentials import Auth
    from tests.scripted import Reply

LOGIN = ("observer", "correct-horse")
TOKEN = b64encode(b"observer:correct-horse").decode()
SECRETS = (LOGIN[1], TOKEN, repr(TOKEN)[1:-1][:20])
QUICK = Timeouts(establish=0.5, reply=0.1, long=0.2, stall=0.1, first_byte=0.1)

PIXELS = imagebytes(bytes(12), 2, 3)


@asynccontextmanager
async def logged_in(wire: str) -> AsyncGenerator[AlpacaClient]:
    """Yield a client with a password that uses our own connections or those of httpx."""
    if wire == "ours":
        async with AlpacaClient(auth=LOGIN, timeouts=QUICK) as client:
            yield client
    else:
        async with httpx.AsyncClient(follow_redirects=True, verify=False) as lent:  # noqa: S501
            yield AlpacaClient(auth=LOGIN, timeouts=QUICK, http=lent)


def authorizations(server: ScriptedServer) -> set[str | None]:
    return {request.headers.get("authorization") for request in server.requests}


@pytest.mark.parametrize("wire", ["ours", "httpx"])
@in_virtual_time
async def test_credentials_are_sent_with_every_kind_of_request(wire: str) -> None:
    replies = {
        "gain": value(1),
        "imagearray": http(PIXELS, "application/imagebytes"),
        "apiversions": value([1]),
    }
    async with ScriptedServer({**replies}) as server, logged_in(wire) as client:
        camera = client.camera(server.address)
        await camera.get_gain()
        await camera.set_gain(1)
        await camera.get_image_array()
        await client.get_api_versions(server.address)
    assert len(server.requests) == 4
    assert authorizations(server) == {f"Basic {TOKEN}"}


@in_virtual_time
async def test_each_server_gets_its_own_credentials_and_no_other() -> None:
    servers = [ScriptedServer({"gain": value(1)}) for _ in range(3)]
    async with servers[0] as first, servers[1] as second, servers[2] as stranger:
        auth = {first.address: LOGIN, f"http://{second.address}/": ("b", "ünïcode")}
        async with AlpacaClient(auth=auth) as client:
            for server in servers:
                await client.camera(server.address).get_gain()
    assert authorizations(first) == {f"Basic {TOKEN}"}
    assert authorizations(second) == {f"Basic {b64encode('b:ünïcode'.encode()).decode()}"}
    assert authorizations(stranger) == {None}


@in_virtual_time
async def test_a_password_for_https_is_not_sent_over_http() -> None:
    async with ScriptedServer({"gain": value(1)}) as server:
        async with AlpacaClient(auth={f"https://{server.address}": LOGIN}) as client:
            await client.camera(f"http://{server.address}").get_gain()
    assert authorizations(server) == {None}


@pytest.mark.parametrize("wire", ["ours", "httpx"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@in_virtual_time
async def test_credentials_do_not_follow_a_redirect(wire: str, status: int) -> None:
    async with ScriptedServer({"gain": value(1), "imagearray": value(1)}) as thief:
        target = f"Location: http://{thief.address}/api/v1/camera/0/gain\r\n"
        reply = http(b"", status=f"{status} Elsewhere", extra=target)
        async with ScriptedServer({"gain": reply, "imagearray": reply}) as server:
            async with logged_in(wire) as client:
                camera = client.camera(server.address)
                calls = [camera.get_gain(), camera.set_gain(1), camera.get_image_array()]
                for call in calls:
                    with pytest.raises(RequestRejected, match=str(status)):
                        await call
    assert not thief.requests


@in_virtual_time
async def test_the_simulated_server_refuses_requests_without_the_password() -> None:
    async with SimulatorServer([SimulatedCamera()], auth=LOGIN) as server:
        for auth in (None, ("observer", "wrong")):
            async with AlpacaClient(auth=auth) as client:
                with pytest.raises(RequestRejected, match="401"):
                    await client.camera(server.address).connect()
        async with AlpacaClient(auth=LOGIN) as client:
            await client.camera(server.address).connect()


# Logs, errors and reprs


async def silence(_: Request) -> bytes:
    await asyncio.sleep(30)
    return b""


def debugging_page(request: Request) -> bytes:
    """Repeat the request headers, as web frameworks do in debug mode."""
    page = "".join(f"<p>{name}: {text}</p>" for name, text in sorted(request.headers.items()))
    return http(page.encode(), "text/html", status="500 Oops")


def debugging_login(request: Request) -> bytes:
    return http(str(request.headers).encode(), "text/html")


def debugging_driver(request: Request) -> bytes:
    return ascom_error(0x500, f"what shall I do with {request.headers['authorization']}?")


def debugging_text(request: Request) -> bytes:
    return str(request.headers).encode()


BAD_ANSWERS: dict[str, Reply] = {
    "silence": silence,
    "reset": b"HTTP/1.1 200",
    "no HTTP": b"220 smtp\r\n\r\n",
    "no head": debugging_text,
    "page": debugging_page,
    "login": debugging_login,
    "driver": debugging_driver,
    "rejected": http(b"who are you?", status="401 Unauthorized"),
    "not json": http(b"{"),
    "cut": b"HTTP/1.0 200 OK\r\nContent-Length: 99\r\n\r\n{",
}

CALLS: dict[str, Callable[[AsyncCamera], Awaitable[object]]] = {
    "get": AsyncCamera.get_gain,
    "put": lambda camera: camera.set_gain(5),
    "image": AsyncCamera.get_image_array,
}


@pytest.mark.parametrize("wire", ["ours", "httpx"])
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("answer", BAD_ANSWERS)
@in_virtual_time
async def test_no_failure_shows_the_credentials(
    answer: str, call: str, wire: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    asyncio.get_running_loop().set_debug(True)
    reply = BAD_ANSWERS[answer]
    async with ScriptedServer({"gain": reply, "imagearray": reply}) as server:
        async with logged_in(wire) as client:
            camera = client.camera(server.address)
            with pytest.raises(AlpacaError) as caught:
                await CALLS[call](camera)
    shown = everything(caught.value, ours_only=wire != "ours")
    assert all(shown[form] for form in ("str", "plain", "locals", "pickle"))
    if (answer, call) == ("driver", "image") or answer == "no head":
        del shown["locals"]  # the parsers' frames contain the server's text
    for secret in SECRETS:
        for form, text in shown.items():
            assert secret not in text, form
        assert secret not in caplog.text
        assert secret not in "".join(map(repr, (client, camera, vars(client), vars(camera))))


def everything(error: BaseException, *, ours_only: bool) -> dict[str, str]:
    """Return every text that logs, consoles and crash reporters derive from `error`.

    `ours_only` leaves out the variables in frames of httpx, which we cannot redact.
    """
    trace = traceback.TracebackException.from_exception(error, capture_locals=True)
    return {
        "str": str(error),
        "repr": repr(error),
        "plain": "".join(traceback.format_exception(error)),
        "locals": "".join(map(repr, local_variables(trace, ours_only=ours_only))),
        "pickle": pickle.dumps(error).decode("latin-1"),
        "vars": repr(vars(error)),
        "args": repr(error.args),
    }


def local_variables(
    trace: traceback.TracebackException | None, *, ours_only: bool
) -> list[dict[str, str] | None]:
    if trace is None:
        return []
    frames = [
        frame.locals
        for frame in trace.stack
        if "alpaca_async/" in frame.filename or not ours_only
        if __file__ not in frame.filename
    ]
    chained = (trace.__cause__, trace.__context__)
    return frames + [
        variables for other in chained for variables in local_variables(other, ours_only=ours_only)
    ]


def test_a_client_with_a_password_is_neither_pickled_nor_copied() -> None:
    client = AlpacaClient(auth=LOGIN)
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="pickled or copied"):
            attempt(client)
    with pytest.raises(TypeError, match="pickled or copied"):
        pickle.dumps(client.camera("pi"))


@in_virtual_time
async def test_an_image_error_from_a_debugging_driver_is_redacted() -> None:
    def answer(request: Request) -> bytes:
        text = f"why {request.headers['authorization']}?".encode()
        return http(imagebytes(text, error=0x500, kind=0, rank=0), "application/imagebytes")

    async with ScriptedServer({"imagearray": answer}) as server:
        async with AlpacaClient(auth=LOGIN) as client:
            with pytest.raises(AscomError, match="why") as caught:
                await client.camera(server.address).get_image_array()
    assert TOKEN not in str(caught.value)
    assert TOKEN not in repr(caught.value.args)


@in_virtual_time
async def test_values_are_not_redacted() -> None:
    async with ScriptedServer({"name": value("correct-horse"), "gain": value(7)}) as server:
        async with AlpacaClient(auth=LOGIN) as client:
            assert await client.camera(server.address).get_name() == "correct-horse"


def test_a_user_name_with_a_colon_is_refused() -> None:
    with pytest.raises(ValueError, match="colon") as caught:
        AlpacaClient(auth=("a:b", "correct-horse"))
    assert "horse" not in str(caught.value)


def test_a_text_is_no_login() -> None:
    login: Any = "observer:correct-horse"
    with pytest.raises(TypeError, match="a pair") as caught:
        AlpacaClient(auth=login)
    assert "horse" not in str(caught.value)


@pytest.mark.parametrize(
    ("auth", "hint"),
    [
        (LOGIN, "in auth were refused"),
        ({"192.168.1.20": LOGIN}, "auth has no user name and password for this server"),
        (None, "this server wants a user name and password: pass auth"),
    ],
    ids=["wrong", "of another server", "none"],
)
@pytest.mark.parametrize("call", [AsyncCamera.get_gain, AsyncCamera.get_image])
@in_virtual_time
async def test_a_refused_login_is_explained(
    call: Callable[[AsyncCamera], Awaitable[object]], auth: Auth | None, hint: str
) -> None:
    refusal = http(b"who are you?", status="401 Unauthorized")
    async with ScriptedServer({"gain": refusal, "imagearray": refusal}) as server:
        async with AlpacaClient(auth=auth) as client:
            with pytest.raises(RequestRejected, match=f"HTTP status 401: who are you.; .*{hint}"):
                await call(client.camera(server.address))


def test_a_password_that_cannot_be_encoded_is_not_quoted() -> None:
    with pytest.raises(ValueError, match="UTF-8") as caught:
        AlpacaClient(auth=("a", "horse\ud800"))
    assert "horse" not in "".join(traceback.format_exception(caught.value, chain=True))[-200:]
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("address", ["pi@x", "http://u:p@pi", "ftp://pi"])
def test_the_addresses_of_credentials_are_checked(address: str) -> None:
    with pytest.raises(ValueError, match=r"address|http"):
        AlpacaClient(auth={address: LOGIN})


# No influence of the environment


@pytest.fixture
def hostile_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login observer password correct-horse\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "missing"))
    monkeypatch.delenv("NO_PROXY", raising=False)
    return tmp_path


@in_virtual_time
async def test_the_environment_changes_nothing(
    hostile_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ScriptedServer({"gain": value(1)}) as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            for variable in (name, name.lower()):
                monkeypatch.setenv(variable, f"http://{proxy.address}")
        async with ScriptedServer({"gain": value(7)}) as server, AlpacaClient() as client:
            assert await client.camera(server.address).get_gain() == 7
            with suppress(AlpacaError):
                await client.camera("https://127.0.0.1:9").get_gain()
    assert not proxy.requests
    assert authorizations(server) == {None}


@in_virtual_time
async def test_the_proxy_of_the_test_above_is_used_by_a_lent_client(
    hostile_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ScriptedServer({"gain": value(1)}) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"http://{proxy.address}")
        monkeypatch.delenv("SSL_CERT_FILE")
        async with ScriptedServer({"gain": value(7)}) as server:
            async with httpx.AsyncClient() as lent:
                camera = AlpacaClient(http=lent).camera(server.address)
                assert await camera.get_gain() == 1
    assert proxy.requests
