"""The transport against nginx, where it is installed."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import trustme

from alpaca_async._http.transport import DirectTransport

from .support import MemorySink, fetch

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
BODY = bytes(range(256)) * 12_000

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")

CONFIGURATION = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{}}
http {{
    access_log off; default_type application/octet-stream; {temporary}
    keepalive_requests 5; gzip on; gzip_types *;
    server {{
        listen 127.0.0.1:{plain};
        listen 127.0.0.1:{tls} ssl;
        ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.pem;
        root {folder};
        location /value {{ return 200 '{{"Value": true}}'; }}
        location /proxied/ {{ proxy_pass http://127.0.0.1:{plain}/; proxy_buffering off; }}
        location /gone {{ return 444; }}
    }}
}}
"""
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def free_ports() -> tuple[int, int]:
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as two,
    ):
        return one.getsockname()[1], two.getsockname()[1]


@asynccontextmanager
async def nginx(folder: Path, authority: trustme.CA) -> AsyncGenerator[tuple[str, str]]:
    """Serve BODY at /body; yield the origins without and with TLS."""
    plain, tls = free_ports()
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
        folder / "server.pem"
    )
    (folder / "body").write_bytes(BODY)
    temporary = " ".join(f"{name}_temp_path {folder}/{name};" for name in TEMPORARY)
    text = CONFIGURATION.format(folder=folder, plain=plain, tls=tls, temporary=temporary)
    (folder / "nginx.conf").write_text(text)
    process = await asyncio.create_subprocess_exec(
        str(NGINX), "-e", f"{folder}/error.log", "-p", str(folder), "-c", f"{folder}/nginx.conf"
    )
    try:
        await listening(plain)
        yield f"http://127.0.0.1:{plain}", f"https://127.0.0.1:{tls}"
    finally:
        process.terminate()
        await process.wait()


async def listening(port: int) -> None:
    for _ in range(100):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
    raise TimeoutError("nginx did not start")


async def test_values_files_and_proxied_files_over_reused_connections(tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
    async with nginx(tmp_path, authority) as origins, DirectTransport(verify=context) as transport:
        for origin in origins:
            for _ in range(7):  # nginx ends a connection after five requests
                assert await fetch(transport, f"{origin}/value") == b'{"Value": true}'
                for path in ("/body", "/proxied/body"):
                    sink = MemorySink(100_000)
                    await fetch(transport, f"{origin}{path}", sink=sink)
                    assert sink.content == BODY
                    assert await fetch(transport, f"{origin}{path}") == BODY


async def test_a_connection_that_nginx_drops_is_an_error(tmp_path: Path) -> None:
    async with nginx(tmp_path, trustme.CA()) as (origin, _), DirectTransport() as transport:
        with pytest.raises(Exception, match=r"disconnected|closed|reset"):
            await fetch(transport, f"{origin}/gone")
        assert await fetch(transport, f"{origin}/value") == b'{"Value": true}'
