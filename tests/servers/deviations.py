"""A server, what it does differently, and what this library makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from tests.faults.catalogue import Returns
from tests.faults.page import FAULTS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import pytest

    from tests.faults.catalogue import Fault

Check: TypeAlias = "Callable[[pytest.LogCaptureFixture, pytest.MonkeyPatch], Awaitable[None]]"

_FAULTS: Final = {fault.cause: fault for fault in FAULTS}


@dataclass(frozen=True)
class Deviation:
    """One row of the page; `check` imitates the server, and asserts `outcome`."""

    text: str
    outcome: str
    check: Check

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Server:
    """A server, with the version in which its deviations were seen; empty if in several."""

    name: str
    version: str
    about: str
    deviations: tuple[Deviation, ...]


def listed(cause: str, text: str = "") -> Deviation:
    """Return the fault with this cause in the page of faults; `text` says it in other words."""
    return of_fault(_FAULTS[cause], text or f"{cause[0].upper()}{cause[1:]}")


def of_fault(fault: Fault, text: str = "") -> Deviation:
    """Return a fault as a deviation; `text` says its cause in other words."""
    outcome = fault.outcome
    is_value = isinstance(outcome, Returns) and str(outcome) == f"`{outcome.value!r}`"
    return Deviation(text or fault.cause, "the value" if is_value else str(outcome), fault.check)
