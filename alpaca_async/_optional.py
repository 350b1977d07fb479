"""Packages that only some uses need: loaded when they do, and named by their extra if missing."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def load(module: str, *, extra: str) -> Any:  # noqa: ANN401 - modules without complete types
    """Return `module`; `ModuleNotFoundError` says how to get it where it is not installed."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f'this needs: pip install "alpaca_async[{extra}]"', name=error.name
        ) from error
