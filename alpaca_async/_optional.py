"""Lazy imports of optional packages; the error for a missing one names its extra."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def load(module: str, *, extra: str) -> Any:  # noqa: ANN401 - modules without complete types
    """Import `module`; if it is missing, `ModuleNotFoundError` says how to install it."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f'this needs: pip install "alpaca_async[{extra}]"', name=error.name
        ) from error
