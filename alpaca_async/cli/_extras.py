"""Which packages each extra brings, asked before they are needed and without loading them."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

_PACKAGES: Final = {
    "cli": ("typer", "rich"),
    "testing": ("starlette", "uvicorn"),
}


class MissingExtra(Exception):
    """Something is not installed; the message says how to get it."""

    def __init__(self, extras: list[str]) -> None:
        super().__init__(f'this needs: pip install "alpaca_async[{",".join(extras)}]"')


def require(*extras: str) -> None:
    """Raise `MissingExtra` unless the packages of all `extras` are installed."""
    missing = [extra for extra in extras if not all(map(find_spec, _PACKAGES[extra]))]
    if missing:
        raise MissingExtra(missing)
