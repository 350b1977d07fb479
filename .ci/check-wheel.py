"""Check an installed wheel without extras: `python check-wheel.py WHEEL`, outside of the tree."""

# ruff: noqa: INP001, PLC0415, S101 - a script that asserts, and imports in steps

from __future__ import annotations

import asyncio
import importlib.metadata
import importlib.util
import struct
import sys
import zipfile
from pathlib import Path

EXTRAS = ("astropy", "PIL", "fastapi", "ifaddr", "typer", "rich", "starlette", "uvicorn")
HEADER = struct.pack("<11i", 1, 0, 0, 0, 44, 2, 8, 2, 2, 3, 0)


def check_contents(wheel: str) -> None:
    """Nothing but package, command and metadata, the marker for type checkers included."""
    names = set(zipfile.ZipFile(wheel).namelist())
    tops = {name.partition("/")[0].partition("-")[0] for name in names}
    assert tops == {"alpaca_async", "alpaca_async_command.py"}, tops
    assert {"alpaca_async/py.typed", "alpaca_async/testing/__init__.py"} <= names
    assert {f"alpaca_async/web/page/{name}" for name in ("index.html", "page.js")} <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not any(name.endswith((".c", ".o")) for name in names)
    assert has_extension(wheel) == any("_download/_transpose." in name for name in names)


def has_extension(wheel: str) -> bool:
    """Return whether the wheel is for one platform, and not for all."""
    return not wheel.endswith("-py3-none-any.whl")


def check_imports() -> None:
    """The package works, and says what is missing, without any extra."""
    present = [name for name in EXTRAS if importlib.util.find_spec(name)]
    assert not present, f"this environment has {present}"
    import alpaca_async
    import alpaca_async.fits
    import alpaca_async.preview

    assert "site-packages" in Path(alpaca_async.__file__).parts, alpaca_async.__file__
    assert alpaca_async.__version__ == importlib.metadata.version("alpaca_async")


async def check_image(transposed_by: str) -> None:
    """An image comes over a socket, and into rows by the extension if the wheel has it."""
    from alpaca_async import AsyncCamera
    from alpaca_async._download import transposition

    assert transposition.transposed_by() == transposed_by

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = HEADER + struct.pack("<6H", *range(6))
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n"
        writer.write(f"{head}Content-Type: application/imagebytes\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with AsyncCamera(f"127.0.0.1:{port}") as camera:
            image = await camera.get_image()
    assert image.data.tolist() == [[0, 3], [1, 4], [2, 5]]


check_contents(sys.argv[1])
check_imports()
asyncio.run(check_image("extension" if has_extension(sys.argv[1]) else "numpy"))
sys.stdout.write(f"{sys.argv[1]} holds what it should, and works without extras\n")
