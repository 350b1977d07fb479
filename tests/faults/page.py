"""The faults as a page of the documentation."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Final

from . import test_bytes, test_device, test_http, test_network, test_time
from .catalogue import KINDS, Fault

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "faults.md"
MODULES: Final = (test_bytes, test_http, test_network, test_device, test_time)
FAULTS: Final[list[Fault]] = list(chain.from_iterable(module.FAULTS for module in MODULES))

_START: Final = """\
# Faults

Networks lose packets, servers lie about their payloads, cameras hang. This is what comes of it,
fault by fault. An error names the server, the member and the reason: here stand its class and a
part of what it says. No other errors come out of the library, no half of an image, and no command
is sent twice.

Each row is a test: it causes the fault over a real socket, and then looks at what the camera was
asked, and whether the next call succeeds. The last column names servers that are known for it.

<!-- written by `python -m tests.faults`; a test fails when it differs from the tests -->
"""
_TITLES: Final = dict(
    zip(
        KINDS,
        (
            "Bytes that are not what the protocol says",
            "Replies that HTTP does not allow, or in odd forms",
            "Connections that break",
            "Cameras that behave badly",
            "Servers that are silent or slow",
        ),
        strict=True,
    )
)


def page() -> str:
    """Return the page, in Markdown."""
    return "\n".join([_START, *map(_section, KINDS)])


def _section(kind: str) -> str:
    rows = [_row(fault) for fault in FAULTS if fault.kind == kind]
    head = "| fault | what the caller gets | what the camera is left in | seen at |"
    return "\n".join([f"## {_TITLES[kind]}\n", head, "| --- | --- | --- | --- |", *rows, ""])


def _row(fault: Fault) -> str:
    cells = (fault.cause, str(fault.gets), fault.after.text, fault.seen)
    return f"| {' | '.join(cell.replace('|', ' ').replace('<', '&lt;') for cell in cells)} |"
