"""Cameras on many computers: `CameraGroup` on Ray; needs the extra `ray`.

Must not know how cameras expose together: each worker calls what `CameraGroup` is made of.
"""

from __future__ import annotations

from ._hosts import CameraHosts
from ._observing import watch_hosts
from ._outcome import HostOutcome, HostStatus, StoredImage
from ._placement import CameraHost
from ._remote import ClockOffset

__all__ = [
    "CameraHost",
    "CameraHosts",
    "ClockOffset",
    "HostOutcome",
    "HostStatus",
    "StoredImage",
    "watch_hosts",
]

for _public in map(globals().get, __all__):
    if hasattr(_public, "__module__"):
        _public.__module__ = __name__
