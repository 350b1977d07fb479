from __future__ import annotations

import pytest

from alpaca_async import AsyncCamera, CameraStates, SensorType
from alpaca_async.cli._members import MEMBERS, find, json_value, select, text_of
from alpaca_async.cli._usage import UsageError
from tests.contract.table import MEMBERS as CONTRACT

_UNITS = {
    "micrometres": "µm",
    "unbinned pixels": "pixels",
    "value or index": "",
    "index": "",
    "pixels": "",
}
_PROPERTIES = {
    row.name: row
    for row in CONTRACT
    if row.kind == "property" and not row.local and row.value not in {"image", "list[object]"}
}


def test_members_are_the_properties_with_one_value() -> None:
    assert set(MEMBERS) == set(_PROPERTIES)


@pytest.mark.parametrize("name", MEMBERS)
def test_a_member_matches_the_contract(name: str) -> None:
    member, row = MEMBERS[name], _PROPERTIES[name]
    assert hasattr(AsyncCamera, f"get_{name}")
    types = {"bool": bool, "int": int, "double": float}
    assert member.writable_type == (types[row.value] if row.writable else None)
    if not name.startswith("camera_") and row.unit:
        assert member.unit == _UNITS.get(row.unit, row.unit)
    assert find(row.ascom) == find(row.ascom.lower()) == find(name.upper()) == member


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        (["gain"], ["gain"]),
        (["GainM*"], ["gain_min", "gain_max"]),
        (["bin_?", "bin_x"], ["bin_x", "bin_y"]),
        (["startx", "cooler_on"], ["start_x", "cooler_on"]),
    ],
)
def test_members_are_selected_by_name_or_pattern(patterns: list[str], names: list[str]) -> None:
    assert [member.name for member in select(patterns)] == names


def test_no_names_select_all_members() -> None:
    assert list(select([])) == list(MEMBERS.values())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gian", "a camera has no member 'gian'; did you mean gain?"),
        ("zzz", "a camera has no member 'zzz'"),
        ("zzz*", "no member of a camera matches 'zzz*'"),
    ],
)
def test_an_unknown_name_is_a_usage_error(name: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        select([name])
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("cooler_on", "On", True),
        ("cooler_on", "0", False),
        ("bin_x", " 2", 2),
        ("ccd_temperature_setpoint", "-10.5", -10.5),
    ],
)
def test_text_is_converted_to_the_type_of_the_member(name: str, text: str, value: object) -> None:
    parsed = find(name).parse(text)
    assert (parsed, type(parsed)) == (value, type(value))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("cooler_on", "perhaps", "cooler_on=perhaps: expected true or false"),
        ("bin_x", "2.5", "bin_x=2.5: expected a whole number"),
        ("sub_exposure_duration", "nan", "sub_exposure_duration=nan: expected a number"),
        ("sensor_name", "x", "sensor_name is read-only"),
    ],
)
def test_an_invalid_value_is_a_usage_error(name: str, text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        find(name).parse(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("value", "text", "json"),
    [
        (True, "true", True),
        (CameraStates.IDLE, "idle", "IDLE"),
        (SensorType.RGGB, "rggb", "RGGB"),
        (0.1 + 0.2, "0.3", 0.1 + 0.2),
        (-10.0, "-10", -10.0),
        (["Low", "High"], "Low, High", ["Low", "High"]),
        ("M 42", "M 42", "M 42"),
    ],
)
def test_values_are_formatted_as_text_and_for_json(value: object, text: str, json: object) -> None:
    assert text_of(value) == text
    assert json_value(value) == json
