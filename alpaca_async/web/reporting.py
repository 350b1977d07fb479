"""A route that limits the body of requests, and answers with errors that browsers can show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from alpaca_async._errors import AlpacaError

from .changes import LimitReachedError
from .devices import UnsupportedCommandError
from .exposing import BusyError
from .models import problem_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from fastapi import Request, Response

    Handler = Callable[[Request], Coroutine[Any, Any, Response]]

MAX_BODY_BYTES: Final = 1 << 16
_UNPROCESSABLE: Final = 422
_STATUSES: Final[dict[type[Exception], int]] = {
    BusyError: 409,
    UnsupportedCommandError: 501,
    LimitReachedError: 503,
}
_EXPECTED: Final[tuple[type[Exception], ...]] = (AlpacaError, RequestValidationError, *_STATUSES)


class ReportingRoute(APIRoute):
    """A route that works in any application, whatever its error handlers are."""

    def get_route_handler(self) -> Handler:
        """Return the handler of requests."""
        handle = super().get_route_handler()

        async def handle_or_report(request: Request) -> Response:
            if refusal := _refuse_body(request):
                return refusal
            try:
                return await handle(request)
            except _EXPECTED as error:
                return _report(error)

        return handle_or_report


def _report(error: Exception) -> JSONResponse:
    if isinstance(error, AlpacaError):
        problem = problem_of(error)
        return JSONResponse(problem.model_dump(), problem.status)
    if isinstance(error, RequestValidationError):
        return JSONResponse({"detail": _describe(error)}, _UNPROCESSABLE)
    return _plain(_STATUSES[type(error)], str(error))


def _refuse_body(request: Request) -> Response | None:
    """Refuse a body that is too long, or of unknown length, before it is read."""
    if "transfer-encoding" in request.headers:
        return _plain(411, "The length of the body is missing.")
    if int(request.headers.get("content-length", 0)) > MAX_BODY_BYTES:
        return _plain(413, "The body is too long.")
    return None


def _plain(status: int, detail: str) -> JSONResponse:
    return JSONResponse({"detail": detail}, status)


def _describe(error: RequestValidationError) -> list[dict[str, Any]]:
    """Return where and why, but not the values: JSON cannot hold all of them, such as NaN."""
    return [{"loc": list(each["loc"]), "msg": each["msg"]} for each in error.errors()]
