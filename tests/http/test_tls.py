from __future__ import annotations

import asyncio
import hashlib
import socket
import ssl
import threading
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

import httpx
import pytest
import trustme

from alpaca_async import AlpacaClient, TransportError, pinned
from alpaca_async._http.tls import tls_failure
from alpaca_async.testing import SimulatedCamera, SimulatorServer

from .support import Peer, serving

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

LOGIN = ("observer", "correct horse")


class Identity(NamedTuple):
    """A server's certificate, and what a client needs to trust it."""

    server: ssl.SSLContext
    authority: trustme.CA
    fingerprint: str


def new_identity(name: str = "127.0.0.1") -> Identity:
    authority = trustme.CA()
    certificate = authority.issue_cert(name)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)  # pyright: ignore[reportUnknownMemberType]
    der = ssl.PEM_cert_to_DER_cert(certificate.cert_chain_pems[0].bytes().decode())
    return Identity(context, authority, hashlib.sha256(der).hexdigest())


@pytest.fixture(scope="module")
def identity() -> Identity:
    return new_identity()


@asynccontextmanager
async def observed(
    identity: Identity, script: Callable[[Peer], Awaitable[None]] | None = None
) -> AsyncGenerator[tuple[str, bytearray]]:
    """Serve TLS and collect the decrypted bytes."""
    received = bytearray()

    async def listen(peer: Peer) -> None:
        while part := await peer.reader.read(65536):
            received.extend(part)

    async with serving(script or listen, ssl=identity.server) as server:
        yield server.url, received


async def test_images_over_https_with_a_password(identity: Identity) -> None:
    trusting = ssl.create_default_context()
    identity.authority.configure_trust(trusting)  # pyright: ignore[reportUnknownMemberType]
    simulated = SimulatedCamera(width=64, height=48, readout_time=0, connect_time=0)
    async with SimulatorServer([simulated], ssl_context=identity.server, auth=LOGIN) as server:
        for context in (trusting, pinned(identity.fingerprint)):
            async with AlpacaClient(auth=LOGIN, verify=context) as client:
                camera = client.camera(f"https://{server.address}")
                await camera.connect()
                assert (await camera.expose(0.01)).data.shape == (48, 64)


@pytest.mark.parametrize("form", ["{}", " {}\n"])
@pytest.mark.parametrize("upper", [True, False])
async def test_a_pinned_certificate_is_trusted_whatever_its_issuer(
    identity: Identity, form: str, upper: bool
) -> None:
    digits = identity.fingerprint
    with_colons = ":".join(digits[at : at + 2] for at in range(0, 64, 2))
    text = form.format(with_colons.upper() if upper else digits)
    other = new_identity("elsewhere.example")
    context = pinned(text, other.fingerprint)
    for server in (identity, other):
        async with observed(server, answer) as (url, _), AlpacaClient(verify=context) as client:
            assert await client.camera(url).get_gain() == 7


async def answer(peer: Peer) -> None:
    body = b'{"Value": 7}'
    await peer.answer_all(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


async def test_nothing_is_sent_to_a_server_with_another_certificate(identity: Identity) -> None:
    wrong = pinned("00" * 32)
    async with observed(identity) as (url, received):
        async with AlpacaClient(auth=LOGIN, verify=wrong) as client:
            with pytest.raises(TransportError, match="not pinned") as caught:
                await client.camera(url).set_gain(5)
        await asyncio.sleep(0.05)
    assert not received
    assert not caught.value.outcome_unknown
    seen = identity.fingerprint.upper()
    assert ":".join(seen[at : at + 2] for at in range(0, 64, 2)) in str(caught.value)


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
async def test_nothing_is_sent_in_any_version_of_tls(identity: Identity, version: str) -> None:
    wrong = pinned("00" * 32)
    wrong.maximum_version = wrong.minimum_version = ssl.TLSVersion[version]
    async with observed(identity) as (url, received), AlpacaClient(verify=wrong) as client:
        with pytest.raises(TransportError, match="not pinned"):
            await client.camera(url).get_gain()
        await asyncio.sleep(0.05)
    assert not received


async def test_an_httpx_client_can_pin_certificates(identity: Identity) -> None:
    async with observed(identity, answer) as (url, _):
        async with httpx.AsyncClient(verify=pinned(identity.fingerprint)) as http:
            assert await AlpacaClient(http=http).camera(url).get_gain() == 7
        async with httpx.AsyncClient(verify=pinned("11" * 32)) as http:
            with pytest.raises(TransportError, match="not pinned"):
                await AlpacaClient(http=http).camera(url).get_gain()


def test_a_blocking_socket_is_checked_too(identity: Identity) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for _ in range(2):
                with (
                    suppress(OSError),
                    listener.accept()[0] as peer,
                ):  # the first client may close early
                    with identity.server.wrap_socket(peer, server_side=True) as connection:
                        connection.recv(10)

        thread = threading.Thread(target=serve)
        thread.start()
        with socket.create_connection(listener.getsockname(), 10) as plain:
            with pytest.raises(ssl.SSLCertVerificationError, match="not pinned"):
                pinned("00" * 32).wrap_socket(plain)
        with socket.create_connection(listener.getsockname(), 10) as plain:
            pinned(identity.fingerprint).wrap_socket(plain).close()
        thread.join(5)


@pytest.mark.parametrize("text", ["", "ab", "g" * 64, "ab" * 20, "ab" * 33, "sha256/" + "a" * 43])
def test_an_invalid_fingerprint_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="SHA-256"):
        pinned(text)


def test_at_least_one_fingerprint_is_needed() -> None:
    with pytest.raises(ValueError, match="at least one"):
        pinned()


async def test_an_untrusted_certificate_is_named_as_the_reason(identity: Identity) -> None:
    async with observed(identity) as (url, received), AlpacaClient(auth=LOGIN) as client:
        with pytest.raises(TransportError, match="certificate is not trusted") as caught:
            await client.camera(url).get_gain()
    assert not received
    assert "permitted" not in str(caught.value)


async def test_https_to_a_server_without_tls_is_explained() -> None:
    async with serving(answer_without_tls) as server, AlpacaClient() as client:
        address = server.url.replace("http:", "https:")
        with pytest.raises(TransportError, match=r"TLS failed|closed the connection"):
            await client.camera(address).get_gain()


async def answer_without_tls(peer: Peer) -> None:
    await peer.reader.read(100)
    peer.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


def test_a_tls_failure_without_a_reason_keeps_its_text() -> None:
    assert tls_failure(ssl.SSLError(1, "[SSL] odd")) == "TLS failed: [ssl] odd"
