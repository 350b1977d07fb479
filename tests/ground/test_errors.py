"""The error classes: their hierarchy, numbers, messages and pickling."""

from __future__ import annotations

import copy
import importlib
import inspect
import pickle
import pkgutil
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

import alpaca_async
from alpaca_async import _errors
from alpaca_async._errors import (
    AlpacaError,
    AscomError,
    DriverException,
    IncompleteImage,
    MalformedResponse,
    OperationTimeout,
    TransportError,
    TransportTimeout,
    ascom_error,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ALL = [cls for _, cls in inspect.getmembers(_errors, inspect.isclass)]

NUMBERS = {
    0x400: "NotImplementedException",
    0x401: "InvalidValueException",
    0x402: "ValueNotSetException",
    0x407: "NotConnectedException",
    0x408: "ParkedException",
    0x409: "SlavedException",
    0x40B: "InvalidOperationException",
    0x40C: "ActionNotImplementedException",
    0x40E: "OperationCancelledException",
}


@pytest.mark.parametrize(("number", "name"), NUMBERS.items())
def test_each_ascom_number_has_its_class(number: int, name: str) -> None:
    error = ascom_error(number, "text")
    assert type(error).__name__ == name
    assert (error.number, error.message) == (number, "text")


@pytest.mark.parametrize(("number", "name"), NUMBERS.items())
def test_the_com_form_of_a_number_has_the_same_class(number: int, name: str) -> None:
    unsigned = 0x80040000 | number
    for form in (unsigned, unsigned - (1 << 32)):
        error = ascom_error(form, "text")
        assert type(error).__name__ == name
        assert error.number == form


@given(number=st.integers(), message=st.text())
def test_every_number_and_message_is_kept(number: int, message: str) -> None:
    error = ascom_error(number, message)
    assert isinstance(error, AscomError)
    assert (error.number, error.message) == (number, message)
    assert message in str(error)
    assert f"0x{number & 0xFFFFFFFF:X}" in str(error)


@pytest.mark.parametrize("number", [0, 1, 0x40A, 0x40D, 0x4FF, 0x500, 0xFFF, 1008, -2147024882])
def test_every_other_number_is_a_driver_exception(number: int) -> None:
    assert type(ascom_error(number, "")) is DriverException


def test_a_hint_changes_neither_number_nor_message() -> None:
    error = ascom_error(0x40B, "busy")
    error.append("wait")
    for each in (error, pickle.loads(pickle.dumps(error))):  # noqa: S301 - our own
        assert (each.number, each.message) == (0x40B, "busy")
        assert str(each) == "busy (error 0x40B); wait"


def test_an_error_without_message_shows_its_class_name() -> None:
    assert str(ascom_error(0x408, "")) == "ParkedException (error 0x408)"


@pytest.mark.parametrize("cls", ALL)
def test_all_errors_have_one_base_class_and_are_in_the_documented_tree(
    cls: type[AlpacaError],
) -> None:
    assert issubclass(cls, AlpacaError)
    assert cls.__name__ in (_errors.__doc__ or "")


def with_arguments(cls: type[AlpacaError]) -> AlpacaError:
    """Return an error each of whose arguments differs from its default."""
    values: dict[str, object] = {
        "str": "text",
        "int": 7,
        "bool": True,
        "int | None": 9,
        "float | None": 1.5,
        "tuple[int, ...] | None": (3, 4),
    }
    named = {
        name: values[str(each.annotation)]
        for name, each in inspect.signature(cls).parameters.items()
    }
    error = cls(**named)  # type: ignore[arg-type]
    assert named.items() <= vars(error).items()
    return error


def without_arguments(cls: type[AlpacaError]) -> AlpacaError:
    return cls()


def assert_same(found: AlpacaError, error: AlpacaError) -> None:
    assert type(found) is type(error)
    assert vars(found) == vars(error)
    assert found.args == error.args
    assert str(found) == str(error)


@pytest.mark.parametrize("make", [with_arguments, without_arguments])
@pytest.mark.parametrize("cls", ALL)
def test_every_error_survives_pickle_and_copy(
    cls: type[AlpacaError], make: Callable[[type[AlpacaError]], AlpacaError]
) -> None:
    error = make(cls).at("http://host:1", "camera/0/gain")
    error.add_note("note")
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert_same(pickle.loads(pickle.dumps(error, protocol)), error)  # noqa: S301 - ours
    assert_same(copy.copy(error), error)
    assert_same(copy.deepcopy(error), error)


def test_every_error_of_the_package_is_exported() -> None:
    for module in pkgutil.walk_packages(alpaca_async.__path__, "alpaca_async."):
        if not module.name.endswith("__main__"):
            with suppress(ModuleNotFoundError):  # an extra that is not installed
                importlib.import_module(module.name)
    found = set(descendants(AlpacaError))
    assert found == set(ALL)
    assert {each.__name__ for each in found} <= set(alpaca_async.__all__)


def descendants(cls: type[AlpacaError]) -> Iterator[type[AlpacaError]]:
    yield cls
    for each in cls.__subclasses__():
        yield from descendants(each)


@pytest.mark.parametrize("cls", [TransportTimeout, OperationTimeout])
def test_timeouts_are_python_timeout_errors_too(cls: type[AlpacaError]) -> None:
    assert issubclass(cls, TimeoutError)


def test_an_incomplete_image_is_malformed_and_shows_the_bytes_received() -> None:
    error = IncompleteImage(5, 12)
    assert isinstance(error, MalformedResponse)
    assert str(error) == "the image ended after 5 of 12 bytes"


@pytest.mark.parametrize(
    ("server", "member", "text"),
    [
        ("", "", "why"),
        ("http://host:1", "", "http://host:1: why"),
        ("", "camera/0/gain", "camera/0/gain: why"),
        ("http://host:1", "camera/0/gain", "http://host:1 camera/0/gain: why"),
    ],
)
def test_the_message_contains_the_known_source(server: str, member: str, text: str) -> None:
    assert str(AlpacaError("why", server=server, member=member)) == text


def test_an_unknown_outcome_is_in_the_message() -> None:
    assert "may have executed" in str(TransportError("reset", outcome_unknown=True))
    assert "may have executed" not in str(TransportError("reset"))
