"""Checks that the packages of an extra are installed, without importing them."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Container

SIMULATOR: Final = "sim"
"""The address of a simulated rig that exists while the command runs."""

_PACKAGES: Final = {
    "cli": ("typer", "rich"),
    "ray": ("ray",),
    "testing": ("starlette", "uvicorn"),
    "web": ("fastapi", "uvicorn"),
}


class MissingExtra(Exception):
    """An extra is not installed; the message says how to install it."""

    def __init__(self, extras: list[str]) -> None:
        super().__init__(
            f'a package is missing; install it with: pip install "alpaca_async[{",".join(extras)}]"'
        )


def extras_for(addresses: Container[str]) -> tuple[str, ...]:
    """Return the extras that `addresses` need."""
    return ("testing",) if SIMULATOR in addresses else ()


def require(*extras: str) -> None:
    """Raise `MissingExtra` unless the packages of all `extras` are installed."""
    missing = [extra for extra in extras if not all(map(find_spec, _PACKAGES[extra]))]
    if missing:
        raise MissingExtra(missing)
