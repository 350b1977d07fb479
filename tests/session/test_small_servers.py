"""Servers with few threads, or with HTTP/1.0: idle connections block no request."""

from __future__ import annotations

import asyncio
import json
import socketserver
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from alpaca_async import AlpacaClient

if TYPE_CHECKING:
    from collections.abc import Generator

IDLE_TIMEOUT = 5.0
"""How long such a server keeps a thread for an idle connection, in seconds."""

STALL = 2.5
"""Seconds: less than that timeout, and more than a loaded machine needs for these tests."""


class Handler(BaseHTTPRequestHandler):
    """Answers every request with 7, in HTTP/1.1 with keep-alive."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE_TIMEOUT

    def setup(self) -> None:
        super().setup()
        server: Server = self.server  # type: ignore[assignment]
        server.connected()

    def do_GET(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer()

    def _answer(self) -> None:
        time.sleep(0.005)
        body = json.dumps({"Value": 7, "ErrorNumber": 0, "ErrorMessage": ""}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 - as there
        """Log nothing."""


class OldHandler(Handler):
    """Closes the connection after each reply."""

    protocol_version = "HTTP/1.0"


class Server(socketserver.TCPServer):
    """Each connection occupies one of `threads` threads until it is closed."""

    allow_reuse_address = True
    request_queue_size = 64
    lock: ClassVar = threading.Lock()

    def __init__(self, threads: int, handler: type[Handler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.connections = 0
        self._pool = ThreadPoolExecutor(threads)

    def connected(self) -> None:
        with self.lock:
            self.connections += 1

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as there
        self._pool.submit(self._serve, request, client_address)

    def _serve(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as there
        with suppress(OSError):  # the client closed the connection
            self.finish_request(request, client_address)
        self.shutdown_request(request)

    def server_close(self) -> None:
        super().server_close()
        self._pool.shutdown()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


@contextmanager
def serving(threads: int, handler: type[Handler] = Handler) -> Generator[Server]:
    with Server(threads, handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(5)


async def nine_callers(*clients: AlpacaClient, address: str, rounds: int = 3) -> float:
    """Make calls from nine tasks per client; return the seconds of the slowest call."""
    slowest = 0.0

    async def call(client: AlpacaClient, number: int) -> None:
        nonlocal slowest
        camera = client.camera(address, number)
        for turn in range(rounds):
            begun = time.perf_counter()
            await (camera.get_gain() if (number + turn) % 3 else camera.set_gain(7))
            slowest = max(slowest, time.perf_counter() - begun)

    await asyncio.gather(*(call(client, number) for client in clients for number in range(9)))
    return slowest


@pytest.mark.parametrize("programs", [1, 2])
async def test_nine_callers_of_a_server_with_eight_threads(programs: int) -> None:
    with serving(threads=8) as server:
        clients = [AlpacaClient() for _ in range(programs)]
        assert await nine_callers(*clients, address=server.address) < STALL
        await asyncio.sleep(0.2)
        assert await nine_callers(*clients, address=server.address) < STALL
        assert server.connections <= 4 * programs
        for client in clients:
            await client.aclose()


@pytest.mark.parametrize("threads", [1, 8])
async def test_nine_callers_of_a_server_with_http_1_0(threads: int) -> None:
    with serving(threads, OldHandler) as server:
        async with AlpacaClient() as client:
            assert await nine_callers(client, address=server.address) < STALL
        assert server.connections == 27


async def test_nine_callers_of_a_server_with_one_thread() -> None:
    """Such a server serves no other connection while one is idle."""
    with serving(threads=1) as server:
        async with AlpacaClient() as client:
            assert await nine_callers(client, address=server.address) < STALL


async def test_an_idle_connection_is_closed_for_one_that_is_not_served() -> None:
    with serving(threads=1) as server:
        async with AlpacaClient() as client:
            camera = client.camera(server.address)
            await asyncio.gather(camera.get_gain(), camera.get_gain())
            assert await nine_callers(client, address=server.address, rounds=1) < STALL


async def test_connections_are_kept_alive_if_all_are_served() -> None:
    with serving(threads=8) as server:
        async with AlpacaClient() as client:
            for _ in range(3):
                await nine_callers(client, address=server.address)
        assert server.connections <= 4
