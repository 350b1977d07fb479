"""The observatory as an application of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI

from alpaca_async._camera import AlpacaClient

from .routes import create_router
from .security import AccessControl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from alpaca_async._group.member import CameraAddress

    from .models import Pace


def create_app(
    cameras: Iterable[CameraAddress],
    folder: Path,
    *,
    hosts: Iterable[str] = (),
    token: str | None = None,
    pace: Pace | None = None,
    new_client: Callable[[], AlpacaClient] = AlpacaClient,
) -> FastAPI:
    """Return the application. `hosts` and `token` are as for `AccessControl`.

    `new_client` makes the client, with passwords, certificates and timeouts, for the cameras.

    Frames are saved in `folder`, which must exist: one that vanishes is not created again, since
    it may be a disk that is not mounted at the moment.
    """
    # The documentation of the interface would load scripts from elsewhere.
    app = FastAPI(title="Observatory", docs_url=None, redoc_url=None)
    app.add_middleware(AccessControl, hosts=tuple(hosts), token=token)
    app.include_router(create_router(cameras, folder, pace=pace, new_client=new_client))
    return app
