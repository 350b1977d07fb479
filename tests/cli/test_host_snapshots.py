"""What `watch --ray` makes of the statuses of the hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alpaca_async import (
    CameraStates,
    CameraStatus,
    HostLost,
    NotConnectedException,
    Progress,
)
from alpaca_async._stream import Stream
from alpaca_async.cli import _host_snapshots
from alpaca_async.cli._host_snapshots import HostsWatcher
from alpaca_async.ray import HostStatus

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import pytest

    from alpaca_async.cli._snapshots import Snapshot

IDLE = CameraStatus(camera_state=CameraStates.IDLE)
LOST = HostLost("the host is lost")


def hosts_report(monkeypatch: pytest.MonkeyPatch, *statuses: HostStatus) -> None:
    async def report() -> AsyncGenerator[HostStatus]:
        for status in statuses:
            yield status

    def watch_hosts(_: float) -> Stream[HostStatus]:
        return Stream(report())

    monkeypatch.setattr(_host_snapshots, "watch_hosts", watch_hosts)


async def test_cameras_are_sorted_and_each_is_read_as_often_as_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hosts_report(
        monkeypatch,
        *(HostStatus("b", 1), HostStatus("b", 0), HostStatus("a", 2)),
        *(HostStatus("b", 1, IDLE), HostStatus("b", 1, IDLE), HostStatus("a", 2, error=LOST)),
        HostStatus("b", 0, IDLE, progress=Progress(phase="exposing", fraction=0.5)),
        HostStatus("b", 0, error=LOST),
    )
    seen: list[Snapshot] = []
    watcher = HostsWatcher(interval=1.0, on_snapshot=seen.append)
    await watcher.run(1)
    assert list(watcher.snapshots) == [("a", 2), ("b", 0), ("b", 1)]
    assert [each.error for each in watcher.snapshots.values()] == ["the host is lost", "", ""]
    assert watcher.snapshots["b", 0].progress == Progress(phase="exposing", fraction=0.5)
    assert [(each.server, each.number) for each in seen] == [("b", 1), ("b", 1), ("a", 2), ("b", 0)]


async def test_a_camera_that_is_not_connected_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    not_connected = NotConnectedException(0x407, "not connected")
    hosts_report(
        monkeypatch,
        *(HostStatus("a", 0), HostStatus("a", 1)),
        *(HostStatus("a", 0, error=not_connected), HostStatus("a", 1, CameraStatus())),
    )
    watcher = HostsWatcher(interval=1.0, on_snapshot=lambda _: None)
    await watcher.run(1)
    assert [each.connected for each in watcher.snapshots.values()] == [False, False]
    assert [each.error for each in watcher.snapshots.values()] == ["", ""]
