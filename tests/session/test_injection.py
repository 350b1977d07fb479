"""No argument of a caller can inject a header, another path, or another request."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alpaca_async import AlpacaClient, AsyncCamera, AsyncDevice
from alpaca_async._address import origin
from tests.http.support import Peer, serving
from tests.scripted import Request, ScriptedServer, value

if TYPE_CHECKING:
    from collections.abc import Callable

HOSTILE = [
    "\r\nX-Injected: 1\r\n",
    "a\r\n\r\nPUT /api/v1/camera/0/abortexposure HTTP/1.1\r\n",
    "\n",
    "\r",
    "\0",
    " ",
    "\t",
    "a b",
    "../../../setup",
    "..%2f..%2fsetup",
    "%0d%0aX: y",
    "camera/0/gain?x=",
    "gain#",
    "&ClientID=7",
    "=&;+%",
    "ünï",
    "\u2028",
    "\N{FULLWIDTH SOLIDUS}",
    "\N{ONE DOT LEADER}" * 2,
    "user:password@elsewhere",
    "\ud800",
    "",
]


async def bytes_sent_by(call: Callable[[AsyncDevice], Any], device_type: str = "camera") -> bytes:
    """Return the bytes that a call of a device sends to the server."""
    requests: list[bytes] = []

    async def script(peer: Peer) -> None:
        await peer.answer_all(b'HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{"Value": ""}')

    async with serving(script) as server, AlpacaClient(client_id=5) as client:
        await call(client.device(server.url, device_type))
        requests = server.requests
    (request,) = requests
    return request


@pytest.mark.parametrize("text", [text for text in HOSTILE if text != "\ud800"], ids=ascii)
async def test_a_text_stays_in_its_field(text: str) -> None:
    seen: list[Request] = []

    def answer(request: Request) -> bytes:
        seen.append(request)
        return value("")

    async with ScriptedServer({"action": answer, "commandblind": answer}) as server:
        async with AlpacaClient(client_id=5) as client:
            device = client.device(server.address, "camera")
            await device.action(text, text)
            await device.command_blind(text)
    action, command = seen
    assert action.parameters == {
        "Action": text,
        "Parameters": text,
        "ClientID": "5",
        "ClientTransactionID": "1",
    }
    assert command.parameters["Command"] == text
    assert set(action.headers) == set(command.headers) == EXPECTED_HEADERS


EXPECTED_HEADERS = {
    "host",
    "accept",
    "accept-encoding",
    "user-agent",
    "content-type",
    "content-length",
}


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
async def test_a_request_has_one_line_the_expected_headers_and_a_form(text: str) -> None:
    if text == "\ud800":
        with pytest.raises(ValueError, match="surrogates"):
            await AsyncDevice("pi", "camera").action(text)
        return
    sent = await bytes_sent_by(lambda device: device.action(text, text))
    head, _, body = sent.partition(b"\r\n\r\n")
    line, *headers = head.split(b"\r\n")
    assert line == b"PUT /api/v1/camera/0/action HTTP/1.1"
    assert {header.partition(b":")[0].lower().decode() for header in headers} == EXPECTED_HEADERS
    assert body.isascii()
    assert not set(body) & set(b" \r\n\0")


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_an_address_with_hostile_text_is_refused(text: str) -> None:
    forms = ["{}", "pi{}", "pi:1{}", "pi/{}", "[::1]{}", "[fe80::1%{}]", "fe80::1%{}", "http://{}"]
    forms += ["http://{}@pi", "{}//pi", "pi:{}"]
    for form in forms:
        address = form.format(text)
        with suppress(ValueError):
            assert origin(address) in GOOD_ORIGINS, address


GOOD_ORIGINS = {
    "http://pi:11111",
    "http://pi:1",
    "http://[::1]:11111",
    "http://[fe80::1]:11111",
}


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
@pytest.mark.parametrize("form", ["{}", "camera{}", "{}camera"])
def test_a_device_type_with_hostile_text_is_refused(text: str, form: str) -> None:
    if text:
        with pytest.raises(ValueError, match="device type"):
            AsyncDevice("pi", form.format(text))


@pytest.mark.parametrize(
    "number", ["0/gain?", "0\r\nX: y", "../1", 1.5, True, None, b"0", -1, 2**32, float("nan")]
)
def test_a_device_number_is_an_integer(number: Any) -> None:  # noqa: ANN401 - that is the point
    with pytest.raises((TypeError, ValueError), match="device_number"):
        AsyncCamera("pi", number)


class Disguised(int):
    """An integer whose text is not a number."""

    def __format__(self, _: str) -> str:
        return str(self)

    def __str__(self) -> str:
        return "0/abortexposure?"


def test_an_int_subclass_appears_in_a_url_as_its_number() -> None:
    camera = AsyncCamera("pi", Disguised(3))
    assert camera.setup_url == "http://pi:11111/setup/v1/camera/3/setup"


async def test_an_int_subclass_is_sent_as_its_number() -> None:
    sent = await bytes_sent_by(lambda device: AsyncCamera.set_gain(device, Disguised(3)))  # type: ignore[arg-type]
    assert sent.partition(b"\r\n\r\n")[2].startswith(b"Gain=3&")


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text() | st.text("pi.:/@[]%#?\r\n \\0123456789"))
def test_no_address_leads_to_another_host(text: str) -> None:
    """Checked with the URL parser of httpx, which decides where a request goes."""
    import httpx  # noqa: PLC0415 - only here

    with suppress(ValueError):
        url = httpx.URL(f"{origin(text)}/api/v1/camera/0/gain")
        assert url.raw_path == b"/api/v1/camera/0/gain"
        assert not url.userinfo
        assert not url.query
        assert url.host.lower().replace("[", "") in text.lower().replace("%25", "%")
