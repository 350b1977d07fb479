"""What needs no cluster: which worker gets which cameras, how many images are kept, no Ray."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from alpaca_async import CameraAddress, CameraGroup
from alpaca_async.ray import CameraHost, CameraHosts, _cluster
from alpaca_async.ray._images import ImageCount
from alpaca_async.ray._placement import hosts_for, in_given_order

if TYPE_CHECKING:
    from collections.abc import Iterable


class Picture:
    """Something with weak references."""


def cameras(server: str, count: int) -> list[CameraAddress]:
    return [CameraAddress(server, number) for number in range(count)]


def sizes(hosts: Iterable[CameraHost]) -> list[int]:
    return [len(host.cameras) for host in hosts]


def test_addresses_are_spread_evenly_and_those_of_a_server_stay_together() -> None:
    given = [*cameras("a", 4), *cameras("b", 1), *cameras("c", 3), *cameras("d", 2)]
    hosts = hosts_for(given, 2)
    assert sizes(hosts) == [5, 5]
    for server in "abcd":
        assert sum(any(each.address == server for each in host.cameras) for host in hosts) == 1


def test_there_are_no_more_workers_than_servers() -> None:
    assert sizes(hosts_for(cameras("a", 4), 3)) == [4]
    assert hosts_for([], 3) == []


def test_hosts_stay_as_they_are_beside_single_addresses() -> None:
    host = CameraHost(cameras("a", 2), resource="mount1")
    assert hosts_for([CameraAddress("b"), host], 1) == [host, CameraHost([CameraAddress("b")])]


def test_the_order_is_that_of_the_caller() -> None:
    first, last = CameraAddress("z"), CameraAddress("b")
    assert in_given_order([first, CameraHost(cameras("a", 2)), last]) == [
        first,
        *cameras("a", 2),
        last,
    ]


def test_a_camera_that_is_given_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="camera 1 of 'a' is given twice"):
        CameraHosts([*cameras("a", 2), CameraHost([CameraAddress("a", 1)])])


async def test_images_are_counted_until_they_are_deleted() -> None:
    count = ImageCount(2)
    first, second, other = Picture(), Picture(), Picture()
    count.add(0, first)
    count.add(0, second)
    count.add(1, other)
    assert await count.wait([0, 1], 0.01) == {0}
    waiting = asyncio.create_task(count.wait([0, 1], 10))
    await asyncio.sleep(0)
    assert not waiting.done()
    del second
    assert await waiting == set()


def test_an_image_may_be_deleted_when_the_loop_is_closed() -> None:
    kept: list[Any] = []

    async def keep() -> None:
        kept.append(Picture())
        ImageCount(1).add(0, kept[0])

    asyncio.run(keep())
    kept.clear()


@pytest.mark.parametrize("limit", [-1, 1.5, None])
def test_a_limit_must_be_a_number_of_images(limit: Any) -> None:  # noqa: ANN401 - what is refused
    with pytest.raises((TypeError, ValueError), match="max_images"):
        CameraHosts([], max_images=limit)


@pytest.mark.parametrize(
    "verb",
    ["connect", "cool_to", "warm_up", "watch", "expose", "expose_all", "outcomes", "exposures"],
)
def test_a_method_has_the_parameters_of_the_group(verb: str) -> None:
    ours, theirs = (inspect.signature(getattr(each, verb)) for each in (CameraHosts, CameraGroup))
    assert [(p.name, p.kind, p.default) for p in ours.parameters.values()] == [
        (p.name, p.kind, p.default) for p in theirs.parameters.values()
    ]


async def test_hosts_must_be_entered() -> None:
    with pytest.raises(RuntimeError, match="must be entered with `async with`"):
        await CameraHosts([]).connect()
    with pytest.raises(RuntimeError, match="must be entered with `async with`"):
        await CameraHosts([]).expose(1.0)


async def test_without_ray_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "alpaca_async\[ray\]"'):
        _cluster.ray()


async def test_ray_must_be_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ray:
        @staticmethod
        def is_initialized() -> bool:
            return False

    monkeypatch.setitem(sys.modules, "ray", Ray)
    with pytest.raises(RuntimeError, match=r"call ray\.init\(\) first"):
        _cluster.ray()


def test_neither_the_package_nor_this_part_of_it_imports_ray() -> None:
    code = "import sys, alpaca_async, alpaca_async.ray; assert 'ray' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603 - our own interpreter
