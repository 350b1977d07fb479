"""The files of the page, as routes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from fastapi.responses import FileResponse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fastapi import APIRouter

_FILES: Final = sorted((Path(__file__).parent / "page").iterdir())
_INDEX: Final = "index.html"
_MEDIA_TYPES: Final = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
"""Not from `mimetypes`, which another program may have changed in the registry of Windows."""
_HEADERS: Final = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def add_page(router: APIRouter) -> None:
    """Add a route for each file of the page; the index is at `/`."""
    for path in _FILES:
        where = "/" if path.name == _INDEX else f"/{path.name}"
        router.add_api_route(where, _sender(path), include_in_schema=False)


def _sender(path: Path) -> Callable[[], Awaitable[FileResponse]]:
    async def send() -> FileResponse:
        return FileResponse(path, media_type=_MEDIA_TYPES[path.suffix], headers=_HEADERS)

    return send
