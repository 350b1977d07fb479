"""What a call sends and gets, compared with the table; every difference becomes a sentence."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from alpaca_async import ConfiguredDevice, ServerDescription
from alpaca_async._enums import GuideDirections
from alpaca_async._errors import AlpacaError

from .recorder import AWKWARD_TEXT, DEVICE_NUMBER, IMAGE, Recorder, Request, answer_value

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from numpy.typing import NDArray

    from .table import Operation, ValueType


# Two values of each type with their text on the wire; no two fields of one request look alike.
SAMPLES: Final[dict[ValueType, tuple[tuple[object, str], tuple[object, str]]]] = {
    "bool": ((True, "True"), (False, "False")),
    "int": ((3, "3"), (7, "7")),
    "double": ((0.1, "0.1"), (1e-05, "0.00001")),
    "string": ((AWKWARD_TEXT, AWKWARD_TEXT), ('{"a&b": "c=7%"}', '{"a&b": "c=7%"}')),
    "GuideDirections": ((GuideDirections.WEST, "3"), (GuideDirections.EAST, "2")),
}

PYTHON_TYPES: Final[dict[ValueType, str]] = {
    "none": "NoneType",
    "double": "float",
    "string": "str",
    "object": "dict",
    "list[object]": "list[dict]",
    "image": "ndarray",
}
"""Where the name is not that of the table."""

GET_ACCEPT: Final[dict[bool, str]] = {
    True: "application/imagebytes, application/json;q=0.9",
    False: "application/json",
}
"""By whether the member is an image."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a coroutine and the form that it sends."""

    operation: Operation
    arguments: dict[str, object]
    form: dict[str, str]

    def __str__(self) -> str:
        arguments = ", ".join(f"{value!a}" for value in self.arguments.values())
        return f"{self.operation.coroutine}({arguments})"

    async def make(self, owner: object, *before: object) -> object:
        """Call the coroutine of `owner`, with arguments `before` those of the table."""
        method: Callable[..., Awaitable[object]] = getattr(owner, self.operation.coroutine)
        options = {"wait": False} if self.operation.waits else {}
        return await method(*before, *self.arguments.values(), **options)


def calls(operations: Iterable[Operation]) -> list[Call]:
    """Return every operation once, or twice with different values where it has fields."""
    variants = ((operation, range(2 if operation.fields else 1)) for operation in operations)
    return [sample_call(operation, n) for operation, numbers in variants for n in numbers]


def sample_call(operation: Operation, variant: int) -> Call:
    samples = [
        (field, SAMPLES[field.type][(variant + position) % 2])
        for position, field in enumerate(operation.fields)
    ]
    return Call(
        operation,
        {field.parameter: value for field, (value, _) in samples},
        {field.name: text for field, (_, text) in samples},
    )


def path_of(operation: Operation) -> str:
    return operation.path.format(number=DEVICE_NUMBER)


def type_name(value: object) -> str:
    """Return the exact type, for a list with those of its items."""
    if type(value) is not list:
        return type(value).__name__
    items = {type(item).__name__ for item in cast("list[object]", value)}
    return f"list[{'|'.join(sorted(items))}]"


def request_differences(call: Call, requests: list[Request]) -> list[str]:
    """Return what the table says otherwise, one sentence each."""
    if len(requests) != 1:
        sent = ", ".join(map(str, requests)) or "nothing"
        return [f"sent {len(requests)} requests ({sent}), the table says one"]
    (request,) = requests
    parts = (
        (request.query, request.form) if request.verb == "GET" else (request.form, request.query)
    )
    (used, unused), operation = parts, call.operation
    found = [
        difference("verb", request.verb, operation.verb),
        difference("path", request.path, path_of(operation)),
        *parameter_differences(used, call.form),
        *(f"{name} does not belong in a {request.verb} there" for name, _ in unused),
        *header_differences(request, operation),
    ]
    return [text for text in found if text]


def difference(what: str, sent: object, expected: object) -> str:
    return "" if sent == expected else f"the {what} is {sent!r}, the table says {expected!r}"


def parameter_differences(sent: Iterable[tuple[str, str]], form: dict[str, str]) -> list[str]:
    pairs = list(sent)
    values = dict(pairs)
    names = [name for name, _ in pairs]
    expected = ["ClientID", "ClientTransactionID", *form]
    return [
        difference("list of parameter names", sorted(names), sorted(expected)),
        *(
            difference(f"text of {name}", values[name], text)
            for name, text in form.items()
            if name in values
        ),
        *(id_difference(name, values[name]) for name in expected[:2] if name in values),
    ]


def id_difference(name: str, text: str) -> str:
    good = re.fullmatch("[1-9][0-9]*", text) and int(text) < 2**31
    return "" if good else f"{name} is {text!r}, the protocol says 1 to 2147483647"


def header_differences(request: Request, operation: Operation) -> list[str]:
    headers = request.headers
    if request.verb == "PUT":
        media_type = headers.get("content-type", "").partition(";")[0]
        return [difference("Content-Type", media_type, "application/x-www-form-urlencoded")]
    accept = difference("Accept", headers.get("accept"), GET_ACCEPT[operation.value == "image"])
    body = difference("body", request.body, b"")
    if operation.value != "image":
        return [accept, body]
    return [accept, body, difference("encoding", headers.get("accept-encoding"), "identity")]


def result_differences(operation: Operation, result: object) -> list[str]:
    expected_type = PYTHON_TYPES.get(operation.value, operation.value)
    if type_name(result) != expected_type:
        return [f"a {type_name(result)} came back ({result!r}), the table says {expected_type}"]
    if isinstance(result, np.ndarray):
        return (
            []
            if np.array_equal(cast("NDArray[Any]", result), IMAGE)
            else ["the pixels are not those of the image"]
        )
    expected = answer_value(operation)
    return [] if result == expected else [f"{result!r} came back, the device said {expected!r}"]


def as_ascom(value: object) -> object:
    """Return records under the names that ASCOM gave to their fields."""
    if isinstance(value, list):
        return [as_ascom(item) for item in cast("list[object]", value)]
    if isinstance(value, ServerDescription | ConfiguredDevice):
        return {ascom_name(name): field for name, field in asdict(value).items()}
    return value


def ascom_name(name: str) -> str:
    return name.title().replace("_", "").replace("Id", "ID")


async def make_and_compare(
    call: Call, recorder: Recorder, owner: object, *before: object
) -> list[str]:
    """Make the call and return what differs in its request and in its result."""
    first = len(recorder.requests)
    try:
        found = result_differences(call.operation, as_ascom(await call.make(owner, *before)))
    except (AlpacaError, AttributeError, TypeError, ValueError) as error:
        found = [f"it raised {error!r}"]
    return request_differences(call, recorder.requests[first:]) + found


def report(call: Call, differences: list[str]) -> str:
    """Return the message of a failure."""
    return f"{call}: " + "; ".join(differences)
