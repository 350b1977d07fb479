from __future__ import annotations

import dataclasses
import inspect
import re
from typing import TYPE_CHECKING, Final

import numpy as np
import pytest

from alpaca_async import AlpacaClient, AsyncCamera, _enums, _errors
from alpaca_async._errors import AscomError, MalformedResponse, ascom_error
from alpaca_async._protocol.imagebytes import ImageMetadata

from . import migration
from .comparison import (
    Call,
    calls,
    make_and_compare,
    path_of,
    report,
    request_differences,
    sample_call,
)
from .recorder import AWKWARD_TEXT, DEVICE_NUMBER, IMAGE, Recorder
from .table import (
    ACCESSORIES,
    COMMON,
    ENUMS,
    ERRORS,
    IMAGE_METADATA,
    MANAGEMENT,
    MEMBERS,
    OPERATIONS,
    Field,
    Operation,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

STORIES: Final = frozenset(
    {
        "aclose",
        "cool_to",
        "expose",
        "get_gain_option",
        "get_gain_options",
        "exposures",
        "get",
        "get_image",
        "get_info",
        "get_offset_option",
        "get_offset_options",
        "get_settings",
        "put",
        "reconnect",
        "reset_frame",
        "set_frame",
        "select_gain",
        "select_offset",
        "get_status",
        "wait_image_ready",
        "wait_pulse_guide",
        "wait_until",
        "warm_up",
        "watch",
    }
)
"""Public methods of a camera that tell a story with several members, or need none."""

TOLD_AS_STORIES: Final = frozenset({"connect", "disconnect"})
"""Members whose coroutine sends more than the one request."""

CALLS: Final = calls(
    operation for operation in OPERATIONS if operation.coroutine not in TOLD_AS_STORIES
)
MANAGEMENT_CALLS: Final = calls(MANAGEMENT)


@pytest.fixture
async def recorder() -> AsyncIterator[Recorder]:
    async with Recorder() as running:
        yield running


@pytest.fixture
async def client() -> AsyncIterator[AlpacaClient]:
    async with AlpacaClient() as opened:
        yield opened


@pytest.fixture
def camera(client: AlpacaClient, recorder: Recorder) -> AsyncCamera:
    camera = client.camera(recorder.address, DEVICE_NUMBER)
    camera._record.spelling.lowercase = False  # else the first boolean is read back
    return camera


@pytest.mark.parametrize("call", CALLS, ids=str)
async def test_camera_says_what_the_table_says(
    call: Call, camera: AsyncCamera, recorder: Recorder
) -> None:
    differences = await make_and_compare(call, recorder, camera)
    assert not differences, report(call, differences)


@pytest.mark.parametrize("call", MANAGEMENT_CALLS, ids=str)
async def test_management_calls_say_what_the_table_says(
    call: Call, client: AlpacaClient, recorder: Recorder
) -> None:
    differences = await make_and_compare(call, recorder, client, recorder.address)
    assert not differences, report(call, differences)


async def test_every_operation_of_the_table_is_seen_and_no_other(
    client: AlpacaClient, camera: AsyncCamera, recorder: Recorder
) -> None:
    recorder.connected = False
    await camera.connect()
    for call in CALLS:
        await make_and_compare(call, recorder, camera)
    await camera.disconnect()
    for call in MANAGEMENT_CALLS:
        await make_and_compare(call, recorder, client, recorder.address)
    seen = {str(request) for request in recorder.requests}
    table = {f"{operation.verb} {path_of(operation)}" for operation in (*OPERATIONS, *MANAGEMENT)}
    assert not (table - seen), f"never sent: {sorted(table - seen)}"
    assert not (seen - table), f"not in the table: {sorted(seen - table)}"


async def test_ids_name_the_client_and_count_its_requests(
    camera: AsyncCamera, recorder: Recorder
) -> None:
    await camera.get_gain()
    await camera.set_gain(7)
    await camera.get_image_array()
    parameters = [request.parameters for request in recorder.requests]
    assert len({each["ClientID"] for each in parameters}) == 1
    assert [each["ClientTransactionID"] for each in parameters] == ["1", "2", "3"]


@pytest.mark.parametrize(("verb", "connected"), [("connect", True), ("disconnect", False)])
async def test_connecting_is_told_with_the_members_of_platform_7(
    camera: AsyncCamera, recorder: Recorder, verb: str, connected: bool
) -> None:
    recorder.connected = not connected
    await getattr(camera, verb)()
    puts = [request for request in recorder.requests if request.verb == "PUT"]
    call = sample_call(next(o for o in OPERATIONS if o.coroutine == verb), 0)
    assert not (differences := request_differences(call, puts)), report(call, differences)
    assert recorder.connected is connected
    assert f"GET /api/v1/camera/{DEVICE_NUMBER}/connecting" in map(str, recorder.requests)


def coroutine_of(operation: Operation) -> str:
    return operation.coroutine


def with_fields(kept: Callable[[Field], bool]) -> list[Operation]:
    return [o for o in OPERATIONS if any(map(kept, o.fields))]


@pytest.mark.parametrize(
    "operation", with_fields(lambda field: field.default is not None), ids=coroutine_of
)
async def test_what_a_caller_leaves_out_has_the_default_of_the_table(
    operation: Operation, camera: AsyncCamera, recorder: Recorder
) -> None:
    full = sample_call(operation, 0)
    defaults = {f.name: str(f.default) for f in operation.fields if f.default is not None}
    required: dict[str, object] = {
        f.parameter: full.arguments[f.parameter] for f in operation.fields if f.default is None
    }
    await getattr(camera, operation.coroutine)(**required)
    call = Call(operation, required, full.form | defaults)
    differences = request_differences(call, recorder.requests)
    assert not differences, report(call, differences)


@pytest.mark.parametrize(
    "operation", [o for o in OPERATIONS if len(o.fields) > 1], ids=coroutine_of
)
async def test_parameters_have_the_names_of_the_table(
    operation: Operation, camera: AsyncCamera, recorder: Recorder
) -> None:
    call = sample_call(operation, 1)
    await getattr(camera, operation.coroutine)(**call.arguments)
    differences = request_differences(call, recorder.requests)
    assert not differences, report(call, differences)


DOUBLES: Final = with_fields(lambda field: field.type == "double")


@pytest.mark.parametrize("number", [0.1, 1e-05, 1e-07, 123456.789, 1e22, 2, np.float64(0.3)])
@pytest.mark.parametrize("operation", DOUBLES, ids=coroutine_of)
async def test_doubles_are_sent_as_plain_decimals(
    operation: Operation, number: float, camera: AsyncCamera, recorder: Recorder
) -> None:
    await getattr(camera, operation.coroutine)(number)
    text = recorder.requests[-1].parameters.get(operation.fields[0].name, "nothing")
    assert re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", text), f"{number!r} was sent as {text!r}"
    assert float(text) == number


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("operation", DOUBLES, ids=coroutine_of)
async def test_doubles_that_are_no_numbers_are_refused_before_any_request(
    operation: Operation, number: float, camera: AsyncCamera, recorder: Recorder
) -> None:
    with pytest.raises(ValueError, match=re.compile("finite|nan|inf", re.IGNORECASE)):
        await getattr(camera, operation.coroutine)(number)
    assert recorder.requests == []


@pytest.mark.parametrize("name", ["get_image_array", "get_image_array_variant"])
async def test_an_image_is_the_same_array_as_json_and_leaves_its_metadata(
    camera: AsyncCamera, recorder: Recorder, name: str
) -> None:
    recorder.imagebytes = False
    pixels = await getattr(camera, name)()
    assert type(pixels) is np.ndarray
    assert np.array_equal(pixels, IMAGE)
    assert isinstance(camera.image_array_info, ImageMetadata)
    assert camera.image_array_info.shape == IMAGE.shape


@pytest.mark.parametrize(("number", "names"), ERRORS.items(), ids=str)
async def test_an_error_number_raises_its_class(
    camera: AsyncCamera, recorder: Recorder, number: int, names: tuple[str, str]
) -> None:
    recorder.error = (number, AWKWARD_TEXT)
    with pytest.raises(AscomError) as caught:
        await camera.get_gain()
    raised = caught.value
    assert (type(raised).__name__, raised.number, raised.message) == (
        names[1],
        number,
        AWKWARD_TEXT,
    )


@pytest.mark.parametrize("name", ["get_image_array", "get_image_array_variant", "set_gain"])
async def test_images_and_commands_raise_reported_errors_too(
    camera: AsyncCamera, recorder: Recorder, name: str
) -> None:
    recorder.error = (0x40B, AWKWARD_TEXT)
    with pytest.raises(_errors.InvalidOperationException):
        await getattr(camera, name)(*[7] * name.startswith("set_"))


def test_every_other_number_is_the_drivers_own() -> None:
    others = set(range(1, 0x1000)) - ERRORS.keys()
    strange = {n for n in others if type(ascom_error(n, "")) is not _errors.DriverException}
    assert strange == set()


def test_the_error_classes_are_those_of_the_table() -> None:
    classes = {each.__name__ for each in AscomError.__subclasses__()}
    assert classes == {ours for _, ours in ERRORS.values()}


async def test_the_value_of_a_reply_is_read_from_its_name(
    camera: AsyncCamera, recorder: Recorder
) -> None:
    recorder.renamed = {"Value": "Values"}
    with pytest.raises(MalformedResponse):
        await camera.get_gain()


@pytest.mark.parametrize("name", ["ErrorNumber", "ErrorMessage", "ServerTransactionID"])
async def test_every_other_field_of_a_reply_may_be_missing(
    camera: AsyncCamera, recorder: Recorder, name: str
) -> None:
    recorder.renamed = {name: f"X{name}"}
    assert await camera.get_gain() == 7


def test_every_public_method_of_a_camera_is_a_member_or_a_story() -> None:
    public = {n for n, _ in inspect.getmembers(AsyncCamera, inspect.isroutine) if n[0] != "_"}
    members = {operation.coroutine for operation in OPERATIONS}
    unknown = public - members - STORIES
    assert not (members - public), f"AsyncCamera lacks {sorted(members - public)}"
    assert not unknown, f"neither in the table nor in STORIES: {sorted(unknown)}"


def test_every_member_is_a_coroutine_and_the_image_info_is_not() -> None:
    plain = {
        operation.coroutine
        for operation in OPERATIONS
        if not inspect.iscoroutinefunction(getattr(AsyncCamera, operation.coroutine))
    }
    assert plain == set()
    assert isinstance(inspect.getattr_static(AsyncCamera, "image_array_info"), property)


def test_image_metadata_has_the_fields_of_the_table() -> None:
    fields = {field.name: field.type for field in dataclasses.fields(ImageMetadata)}
    assert fields == dict(IMAGE_METADATA.values())


@pytest.mark.parametrize("name", ENUMS)
def test_numbers_have_the_names_that_ascom_gave_them(name: str) -> None:
    assert {member.name: int(member) for member in getattr(_enums, name)} == ENUMS[name]


def test_the_table_is_complete() -> None:
    ours = {member.ascom for member in MEMBERS} - {"ImageArrayVariant"}
    common = sum(len(member.operations("camera")) for member in COMMON)
    assert (len(COMMON), len(ours)) == (15, 74)
    assert (common, len(OPERATIONS), len(MANAGEMENT)) == (16, 88, 3)


def test_python_names_are_the_ascom_names_in_snake_case() -> None:
    other = {m.ascom for m in MEMBERS if m.name.replace("_", "") != m.ascom.lower()}
    assert other == {"SetCCDTemperature"}


def test_the_page_for_those_who_come_from_alpyca_says_what_the_table_says() -> None:
    """`python -m tests.contract.migration` mends it."""
    page = migration.PAGE.read_text(encoding="utf-8")
    assert migration.written(page) == page
    assert all(f"<!-- made: {name} -->" in page for name in migration.tables())


def test_that_page_has_all_members_of_alpyca() -> None:
    page = migration.PAGE.read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| `(\w+)(?:\([\w, ]*\))?` \| `(\w+)", page, re.MULTILINE))
    accessories = {(m.ascom, m.get_name) for each in ACCESSORIES.values() for m in each}
    ours = {(m.ascom, m.get_name) for m in MEMBERS} - {
        ("ImageArrayVariant", "get_image_array_variant")
    }
    fields = {(theirs, name) for theirs, (name, _) in IMAGE_METADATA.items()}
    assert (len(ours), len(accessories - ours), len(fields)) == (74, 25, 7)
    assert ours | accessories | fields <= rows
    assert len(rows) == 74 + 25 + 7 + len(MANAGEMENT)
