"""Requests from a template are what httpx would send, and take the same extensions."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal

import httpx
import pytest

from alpaca_async._http.call import Call, Origin, RequestTemplate
from alpaca_async._http.http1 import serialise
from alpaca_async._http.transport import DirectTransport

from .support import OK, MemorySink, Peer, serving

if TYPE_CHECKING:
    from collections.abc import Mapping

HEADERS = httpx.Headers({"Accept": "application/json", "Authorization": "Basic eDp5"})
URLS = [
    "http://pi:11111/api/v1/camera/0/gain",
    "https://127.0.0.1/api/v1/camera/0/gain",
    "http://[::1]:80/management/apiversions",
    "http://[fe80::1%25eth0]:11111/api/v1/camera/0/gain",
]


def template(url: str, method: Literal["GET", "PUT"] = "GET") -> RequestTemplate:
    return RequestTemplate(method, url, HEADERS)


def fields(head: bytes) -> tuple[bytes, set[bytes]]:
    """Return the first line and the headers."""
    line, *headers = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    return line, {header.lower() for header in headers}


@pytest.mark.parametrize("url", URLS)
async def test_a_query_is_sent_as_httpx_would_send_it(url: str) -> None:
    expected = httpx.Request("GET", f"{url}?ClientID=5&a=b%20c", headers=HEADERS)
    call = template(url).with_query("ClientID=5&a=b%20c", {})
    assert call.data == serialise(expected, b"")
    assert call.origin == (await Call.of(expected)).origin


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("form", ["ClientID=5", "Name=%C3%BC&ClientID=5"])
async def test_a_form_is_sent_as_httpx_would_send_it(url: str, form: str) -> None:
    request = httpx.Request("PUT", url, headers=HEADERS, content=form.encode())
    expected = await Call.of(request)
    call = template(url, "PUT").with_form(form, {})
    head, _, body = call.data.partition(b"\r\n\r\n")
    expected_head, _, expected_body = expected.data.partition(b"\r\n\r\n")
    assert fields(head) == fields(expected_head)
    assert body == expected_body
    assert call.origin == expected.origin


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://pi/api", Origin(tls=False, host="pi", port=80, sni=None)),
        ("https://pi/api", Origin(tls=True, host="pi", port=443, sni=None)),
        ("https://pi:80/api", Origin(tls=True, host="pi", port=80, sni=None)),
        ("http://[fe80::1%25eth0]/", Origin(tls=False, host="fe80::1%eth0", port=80, sni=None)),
    ],
)
def test_a_request_without_a_port_goes_to_that_of_its_scheme(url: str, origin: Origin) -> None:
    assert Origin.of(httpx.Request("GET", url)) == origin


def test_a_certificate_must_have_the_name_of_the_host_unless_another_one_is_given() -> None:
    assert Origin(tls=True, host="fe80::1%eth0", port=443, sni=None).server_hostname == "fe80::1"
    assert Origin(tls=True, host="127.0.0.1", port=443, sni="pi").server_hostname == "pi"


@pytest.mark.parametrize("url", ["ftp://pi/api", "http:///api", "/api"])
def test_a_template_without_a_scheme_of_ours_or_a_host_is_refused(url: str) -> None:
    with pytest.raises(httpx.UnsupportedProtocol):
        template(url)


def test_a_read_may_be_repeated_and_a_command_may_not() -> None:
    assert template(URLS[0]).with_query("", {}).repeatable
    assert not template(URLS[0], "PUT").with_form("", {}).repeatable


async def test_the_end_of_the_connection_can_be_asked_for() -> None:
    for value, final in (("close", True), ("Keep-Alive, Close", True), ("keep-alive", False)):
        request = httpx.Request("GET", URLS[0], headers={"Connection": value})
        assert (await Call.of(request)).final is final
    assert not template(URLS[0]).with_query("", {}).final


async def test_a_body_that_must_be_read_synchronously_is_refused() -> None:
    with pytest.raises(TypeError, match="not an asynchronous stream"):
        await Call.of(httpx.Request("PUT", URLS[0], content=iter([b"a"])))


def test_the_text_of_a_call_names_method_target_and_server() -> None:
    call = template(URLS[0]).with_query("a=1", {})
    assert str(call) == "GET /api/v1/camera/0/gain?a=1 to pi:11111"


def test_credentials_do_not_appear_in_the_text_of_a_call() -> None:
    assert "eDp5" not in repr(template(URLS[0], "PUT").with_form("Password=eDp5", {}))


async def test_the_extensions_are_those_of_a_request_of_httpx() -> None:
    events: list[str] = []
    sink = MemorySink()

    async def trace(event: str, info: Mapping[str, Any]) -> None:
        events.append(event)

    extensions = {"sink": sink, "trace": trace, "timeout": {"pool": 0.0, "read": 5.0}}
    async with serving(lambda peer: peer.answer_all()) as server, DirectTransport() as transport:
        call = template(f"{server.url}/image").with_query("a=1", extensions)
        response = await transport.send(call)
        assert [part async for part in response] == []
    assert sink.content == b"ok"
    assert events == ["http11.send_request_headers.started"]


async def test_a_silent_server_raises_the_timeout_of_the_call() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await asyncio.sleep(30)

    async with serving(script) as server, DirectTransport() as transport:
        call = template(f"{server.url}/gain").with_query("a=1", {"timeout": {"read": 0.01}})
        with pytest.raises(httpx.ReadTimeout):
            await transport.send(call)


async def test_names_of_headers_are_in_lower_case_and_repeated_ones_joined() -> None:
    lines = "Content-Length: 2\r\nX-A: 1\r\nx-a: 2\r\nLocation: /\u00fc\r\nX-B: \udcff\r\n"
    head = b"HTTP/1.1 203 Fine\r\n" + lines.encode("utf-8", "surrogateescape")
    reply = head + b"\r\nok"
    async with serving(lambda peer: peer.answer_all(reply)) as server:
        async with DirectTransport() as transport:
            response = await transport.send(template(server.url).with_query("a=1", {}))
            assert response.status_code == 203
            assert response.headers == {
                "content-length": "2",
                "x-a": "1, 2",
                "location": "/\u00fc",
                "x-b": "\ufffd",
            }
            assert [part async for part in response.stream] == [b"ok"]


async def test_a_response_that_is_closed_early_closes_its_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(OK[:-1])
        await peer.wait_closed()

    async with serving(script) as server, DirectTransport() as transport:
        response = await transport.send(template(server.url).with_query("a=1", {}))
        await response.aclose()
        await server.wait_closed()
