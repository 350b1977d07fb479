"""The devices beside the camera send and read what the table says."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Final

import pytest

from .comparison import Call, calls, make_and_compare, path_of, report
from .makers import CLASSES, MAKERS
from .recorder import DEVICE_NUMBER, Recorder
from .table import ACCESSORIES, ACCESSORY_OPERATIONS, COMMON

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from alpaca_async import AlpacaClient, AsyncDevice

STORIES: Final = {
    "filterwheel": {"move_to"},
    "focuser": {"move_by", "move_to"},
    "covercalibrator": set[str](),
    "safetymonitor": {"is_safe", "watch"},
}
"""Public methods besides the members, and besides those of every device."""

COMMON_STORIES: Final = {"aclose", "get", "put", "wait_until"}
TOLD_AS_STORIES: Final = {"connect", "disconnect"}
"""Members whose coroutine sends more than the one request."""

CALLS: Final = [
    (kind, call)
    for kind, operations in ACCESSORY_OPERATIONS.items()
    for call in calls(o for o in operations if o.coroutine not in TOLD_AS_STORIES)
]


@pytest.fixture
async def recorder() -> AsyncIterator[Recorder]:
    async with Recorder() as running:
        yield running


def made(kind: str, client: AlpacaClient, recorder: Recorder) -> AsyncDevice:
    device = MAKERS[kind](client, recorder.address, DEVICE_NUMBER)
    assert type(device) is CLASSES[kind]
    device._record.spelling.lowercase = False  # else the first boolean is read back
    return device


@pytest.mark.parametrize(("kind", "call"), CALLS, ids=str)
async def test_a_device_says_what_the_table_says(
    kind: str, call: Call, client: AlpacaClient, recorder: Recorder
) -> None:
    differences = await make_and_compare(call, recorder, made(kind, client, recorder))
    assert not differences, report(call, differences)


@pytest.mark.parametrize("kind", ACCESSORIES)
async def test_every_operation_of_the_table_is_seen_and_no_other(
    kind: str, client: AlpacaClient, recorder: Recorder
) -> None:
    device = made(kind, client, recorder)
    recorder.connected = False
    await device.connect()
    for _, call in [each for each in CALLS if each[0] == kind]:
        await make_and_compare(call, recorder, device)
    await device.disconnect()
    seen = {str(request) for request in recorder.requests}
    table = {f"{each.verb} {path_of(each)}" for each in ACCESSORY_OPERATIONS[kind]}
    assert not (table - seen), f"never sent: {sorted(table - seen)}"
    assert not (seen - table), f"not in the table: {sorted(seen - table)}"


@pytest.mark.parametrize("kind", ACCESSORIES)
def test_every_public_method_is_a_member_or_a_story(kind: str) -> None:
    methods = inspect.getmembers(CLASSES[kind], inspect.isroutine)
    public = {name for name, _ in methods if not name.startswith("_")}
    members = {operation.coroutine for operation in ACCESSORY_OPERATIONS[kind]}
    unknown = public - members - STORIES[kind] - COMMON_STORIES
    assert not (members - public), f"missing: {sorted(members - public)}"
    assert not unknown, f"neither in the table nor in STORIES: {sorted(unknown)}"


@pytest.mark.parametrize(
    ("kind", "members", "operations"),
    [
        ("filterwheel", 3, 4),
        ("focuser", 11, 12),
        ("covercalibrator", 11, 11),
        ("safetymonitor", 1, 1),
    ],
)
def test_the_table_is_complete(kind: str, members: int, operations: int) -> None:
    assert len(ACCESSORIES[kind]) == len(COMMON) + members
    assert len(ACCESSORY_OPERATIONS[kind]) == 16 + operations


@pytest.mark.parametrize("kind", ACCESSORIES)
def test_python_names_are_the_ascom_names_in_snake_case(kind: str) -> None:
    assert all(m.name.replace("_", "") == m.ascom.lower() for m in ACCESSORIES[kind])
