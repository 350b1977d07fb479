"""Which worker controls which cameras, and on which nodes it may run. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from alpaca_async._group.member import CameraAddress

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class CameraHost:
    """Cameras that one worker process controls, and the Ray nodes on which it may run."""

    cameras: Sequence[CameraAddress]
    resource: str | None = None
    """The Ray resource that the node must have, such as `mount1` of
    `ray start --resources '{"mount1": 1}'`. The worker takes a thousandth of it."""
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    """The Ray labels that the node must have."""


def hosts_for(given: Iterable[CameraAddress | CameraHost], nodes: int) -> list[CameraHost]:
    """Return one host for each worker; single addresses are spread over `nodes` more of them.

    The cameras of one server stay together, because they share its few connections.
    """
    hosts: list[CameraHost] = []
    servers: dict[str, list[CameraAddress]] = {}
    for each in given:
        if isinstance(each, CameraHost):
            hosts.append(each)
        else:
            servers.setdefault(each.address, []).append(each)
    return [*hosts, *_spread(list(servers.values()), nodes)]


def _spread(servers: list[list[CameraAddress]], nodes: int) -> list[CameraHost]:
    """Return at most `nodes` hosts with about the same number of cameras each."""
    shares: list[list[CameraAddress]] = [[] for _ in range(min(nodes, len(servers)))]
    for cameras in sorted(servers, key=len, reverse=True):
        min(shares, key=len).extend(cameras)
    return [CameraHost(share) for share in shares]


def in_given_order(given: Iterable[CameraAddress | CameraHost]) -> list[CameraAddress]:
    """Return all cameras in the caller's order; `ValueError` if one of them comes twice."""
    cameras = [
        camera
        for each in given
        for camera in (each.cameras if isinstance(each, CameraHost) else (each,))
    ]
    seen: set[tuple[str, int]] = set()
    for camera in cameras:
        key = (camera.address, camera.device_number)
        if key in seen:
            raise ValueError(f"camera {camera.device_number} of {camera.address!r} is given twice")
        seen.add(key)
    return cameras


def name_of(cameras: Iterable[CameraAddress], key: str) -> str:
    """Return the name of a worker: it lists the cameras, so that they are known while it is lost.

    `key` makes it unique.
    """
    return json.dumps([key, [(camera.address, camera.device_number) for camera in cameras]])


def cameras_in(name: str) -> list[CameraAddress]:
    """Return the cameras of the worker with this name, without settings; none for other names."""
    try:
        _, cameras = json.loads(name)
        return [CameraAddress(str(address), int(number)) for address, number in cameras]
    except (TypeError, ValueError):
        return []
