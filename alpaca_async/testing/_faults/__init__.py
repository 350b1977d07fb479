"""The faults by kind; importing a module registers its faults in `FAULTS`."""

from __future__ import annotations

from . import _content, _http, _images, _network
from ._catalogue import FAULTS, Fault
from ._exchange import Exchange, Peer, Upstream

__all__ = [
    "FAULTS",
    "Exchange",
    "Fault",
    "Peer",
    "Upstream",
    "_content",
    "_http",
    "_images",
    "_network",
]
