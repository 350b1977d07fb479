"""The enumerations of ASCOM, and numbers that are not in them."""

from __future__ import annotations

import pickle

import pytest

from alpaca_async._enums import (
    AscomEnum,
    CameraStates,
    GuideDirections,
    ImageArrayElementTypes,
    SensorType,
)

ALL = [CameraStates, GuideDirections, ImageArrayElementTypes, SensorType]


@pytest.mark.parametrize(
    ("enum", "names"),
    [
        (CameraStates, "IDLE WAITING EXPOSING READING DOWNLOAD ERROR"),
        (SensorType, "MONOCHROME COLOR RGGB CMYG CMYG2 LRGB"),
        (GuideDirections, "NORTH SOUTH EAST WEST"),
        (
            ImageArrayElementTypes,
            "UNKNOWN INT16 INT32 DOUBLE SINGLE UINT64 BYTE INT64 UINT16 UINT32 OBJECT",
        ),
    ],
)
def test_the_numbers_are_those_of_ascom(enum: type[AscomEnum], names: str) -> None:
    assert {member.name: member.value for member in enum} == {
        name: number for number, name in enumerate(names.split())
    }


@pytest.mark.parametrize("enum", ALL)
@pytest.mark.parametrize("number", [99, -1, 2**31])
def test_an_unknown_number_is_kept(enum: type[AscomEnum], number: int) -> None:
    member = enum(number)
    assert isinstance(member, enum)
    assert member == number
    assert int(member) == number
    assert member.name == f"UNKNOWN_{number}"
    assert repr(member) == f"<{enum.__name__}.UNKNOWN_{number}: {number}>"
    assert hash(member) == hash(number)
    assert number not in [known.value for known in enum]


@pytest.mark.parametrize("enum", ALL)
def test_an_unknown_number_can_be_pickled(enum: type[AscomEnum]) -> None:
    copy = pickle.loads(pickle.dumps(enum(99)))  # noqa: S301 - our own bytes
    assert isinstance(copy, enum)
    assert copy == enum(99)


@pytest.mark.parametrize("value", ["0", None, 0.5, "IDLE"])
def test_a_value_that_is_not_an_integer_is_rejected(value: object) -> None:
    with pytest.raises(ValueError, match="is not a valid"):
        CameraStates(value)  # type: ignore[arg-type]
