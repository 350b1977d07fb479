"""Who may use the page, and who may not."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import FastAPI

from alpaca_async.web import AccessControl, create_app
from alpaca_async.web.serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping

    Message = MutableMapping[str, Any]

HOST = "observatory.example:8000"


async def greet(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[..., Awaitable[None]]
) -> None:
    """Answer every request with a greeting."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


def client(token: str | None = None) -> httpx.AsyncClient:
    """Return a client of a guarded application; it comes from 127.0.0.1."""
    guarded: Any = AccessControl(greet, hosts=["Observatory.example."], token=token)
    return httpx.AsyncClient(transport=httpx.ASGITransport(guarded), base_url=f"http://{HOST}")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        (HOST, 200),
        ("OBSERVATORY.example.", 200),
        ("localhost:8000", 200),
        ("127.0.0.1:8000", 200),
        ("[::1]:8000", 200),
        ("evil.example", 421),
        ("evil.example:8000", 421),
        ("localhost.evil.example", 421),
        ("observatory.example@evil.example", 421),
        ("127.0.0.2", 421),
        ("[::", 421),
        ("", 421),
    ],
)
async def test_only_known_hosts_are_served(host: str, status: int) -> None:
    async with client() as http:
        assert (await http.get("/", headers={"Host": host})).status_code == status


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (f"http://{HOST}", 200),
        (f"https://{HOST}", 200),
        ("http://evil.example", 403),
        ("http://observatory.example:9000", 403),
        ("null", 403),
        ("http://[", 403),
        ("", 403),
    ],
)
async def test_pages_of_other_origins_are_refused(origin: str, status: int) -> None:
    async with client() as http:
        for method in ("GET", "POST", "DELETE"):
            answer = await http.request(method, "/", headers={"Origin": origin})
            assert answer.status_code == status


async def test_two_host_headers_are_refused() -> None:
    async with client() as http:
        answer = await http.get("/", headers=[("Host", HOST), ("Host", HOST)])
        assert answer.status_code == 421


async def test_a_token_is_needed_once() -> None:
    async with client("se-cr_et") as http:
        assert (await http.get("/")).status_code == 401
        assert (await http.get("/", params={"token": "wrong"})).status_code == 401
        opened = await http.get(
            f"http://{HOST}//evil.example/page", params={"token": "se-cr_et", "x": "1"}
        )
        assert opened.status_code == 303
        assert opened.headers["Location"] == "/evil.example/page?x=1"
        assert "HttpOnly; SameSite=Strict" in opened.headers["Set-Cookie"]
        assert (await http.get("/")).text == "hello"
    async with client("se-cr_et") as http:
        for value, status in (("Bearer se-cr_et", 200), ("Bearer x", 401), ("Basic se-cr_et", 401)):
            answer = await http.get("/", headers={"Authorization": value})
            assert answer.status_code == status


async def test_a_browser_without_the_token_gets_a_page_and_a_program_text() -> None:
    advice = "Open the address that alpaca-async web printed"
    async with client("secret") as http:
        page = await http.get("/", headers={"Accept": "text/html,*/*;q=0.8"})
        assert page.headers["Content-Type"] == "text/html; charset=utf-8"
        assert page.text.startswith("<!doctype html>")
        assert advice in page.text
        text = await http.get("/")
        assert text.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert text.text.startswith(advice)


async def test_a_foreign_page_is_refused_although_the_browser_has_the_token() -> None:
    async with client("secret") as http:
        await http.get("/", params={"token": "secret"})
        assert (await http.post("/", headers={"Origin": "http://evil.example"})).status_code == 403


async def test_a_websocket_is_closed() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    scope = {"type": "websocket", "headers": [(b"host", b"evil.example")], "query_string": b""}
    await AccessControl(greet)(scope, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_a_token_that_no_cookie_can_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="letters, digits"):
        AccessControl(greet, token="a;b")  # noqa: S106 - a test


async def test_the_address_of_the_connection_is_a_known_host() -> None:
    async with serving(create_app([], Path()), "127.0.0.2") as port, httpx.AsyncClient() as http:
        assert (await http.get(f"http://127.0.0.2:{port}/api/state")).status_code == 200
        other = {"Host": f"127.0.0.3:{port}"}
        answer = await http.get(f"http://127.0.0.2:{port}/api/state", headers=other)
        assert answer.status_code == 421


async def test_an_application_that_does_not_start_is_told() -> None:
    async def prepare() -> None:
        raise OSError("no disk")

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        await prepare()
        yield

    with pytest.raises(RuntimeError, match="the application does not start"):
        async with serving(FastAPI(lifespan=lifespan)):
            pass


async def test_the_token_counts_as_the_token_only() -> None:
    async with client("secret") as http:
        assert (await http.get("/", params={"name": "secret"})).status_code == 401
        answer = await http.get("/a", params={"token": "secret", "name": "", "b": "1"})
        assert answer.headers["Location"] == "/a?name=&b=1"
    async with client() as http:
        assert (await http.get("/", params={"token": "secret"})).status_code == 200


async def test_cookies_that_are_not_valid_are_ignored() -> None:
    async with client("secret") as http:
        assert (await http.get("/", headers={"Cookie": "a,b=1"})).status_code == 401
