from __future__ import annotations

from typing import Any

import pytest

from alpaca_async.testing._interface import COMMON_READS, COMMON_WRITES
from alpaca_async.testing._interfaces import INTERFACES

from .conftest import MakeCamera, Wire, wired

# The members of ICameraV4 with the JSON type of their values, and the parameters of its PUTs
# with one legal value each: written down from ASCOM's OpenAPI description.
READS: dict[str, type] = {
    **dict.fromkeys(
        [
            "canabortexposure",
            "canasymmetricbin",
            "canfastreadout",
            "cangetcoolerpower",
            "canpulseguide",
            "cansetccdtemperature",
            "canstopexposure",
            "connected",
            "connecting",
            "cooleron",
            "fastreadout",
            "hasshutter",
            "imageready",
            "ispulseguiding",
        ],
        bool,
    ),
    **dict.fromkeys(
        [
            "ccdtemperature",
            "coolerpower",
            "electronsperadu",
            "exposuremax",
            "exposuremin",
            "exposureresolution",
            "fullwellcapacity",
            "heatsinktemperature",
            "lastexposureduration",
            "pixelsizex",
            "pixelsizey",
            "setccdtemperature",
            "subexposureduration",
        ],
        float,
    ),
    **dict.fromkeys(
        [
            "bayeroffsetx",
            "bayeroffsety",
            "binx",
            "biny",
            "camerastate",
            "cameraxsize",
            "cameraysize",
            "gain",
            "gainmax",
            "gainmin",
            "interfaceversion",
            "maxadu",
            "maxbinx",
            "maxbiny",
            "numx",
            "numy",
            "offset",
            "offsetmax",
            "offsetmin",
            "percentcompleted",
            "readoutmode",
            "sensortype",
            "startx",
            "starty",
        ],
        int,
    ),
    **dict.fromkeys(
        [
            "description",
            "driverinfo",
            "driverversion",
            "lastexposurestarttime",
            "name",
            "sensorname",
        ],
        str,
    ),
    **dict.fromkeys(
        [
            "devicestate",
            "gains",
            "offsets",
            "readoutmodes",
            "supportedactions",
            "imagearray",
            "imagearrayvariant",
        ],
        list,
    ),
}
WRITES: dict[str, dict[str, str]] = {
    "abortexposure": {},
    "action": {"Action": "Echo", "Parameters": "x"},
    "binx": {"BinX": "2"},
    "biny": {"BinY": "2"},
    "commandblind": {"Command": "x", "Raw": "false"},
    "commandbool": {"Command": "x", "Raw": "false"},
    "commandstring": {"Command": "x", "Raw": "false"},
    "connect": {},
    "connected": {"Connected": "true"},
    "cooleron": {"CoolerOn": "true"},
    "disconnect": {},
    "fastreadout": {"FastReadout": "true"},
    "gain": {"Gain": "2"},
    "numx": {"NumX": "10"},
    "numy": {"NumY": "10"},
    "offset": {"Offset": "2"},
    "pulseguide": {"Direction": "1", "Duration": "10"},
    "readoutmode": {"ReadoutMode": "1"},
    "setccdtemperature": {"SetCCDTemperature": "-1.5"},
    "startexposure": {"Duration": "0.1", "Light": "true"},
    "startx": {"StartX": "1"},
    "starty": {"StartY": "1"},
    "stopexposure": {},
    "subexposureduration": {"SubExposureDuration": "0.5"},
}

NOT_IMPLEMENTED_BY_DEFAULT = {
    "bayeroffsetx", "bayeroffsety", "fastreadout", "gains", "offsets", "imagearrayvariant",
}  # fmt: skip
NEEDS_AN_IMAGE = {"imagearray", "lastexposureduration", "lastexposurestarttime"}
ALWAYS_THERE = {
    "connected", "connecting", "description", "devicestate", "driverinfo", "driverversion",
    "interfaceversion", "name", "supportedactions",
}  # fmt: skip


def test_the_interface_is_complete() -> None:
    camera = INTERFACES["camera"]
    assert READS.keys() == COMMON_READS.keys() | camera.reads.keys()
    assert WRITES.keys() == COMMON_WRITES.keys() | camera.writes.keys()
    assert len(READS) + len(WRITES) == 88


async def test_every_member_answers_with_its_type_or_its_error(wire: Wire) -> None:
    for member, kind in READS.items():
        reply = (await wire.get(member)).json()
        if member in NOT_IMPLEMENTED_BY_DEFAULT:
            assert reply["ErrorNumber"] == 0x400, member
        elif member in NEEDS_AN_IMAGE or member == "percentcompleted":
            assert reply["ErrorNumber"] == 0x40B, member
        else:
            assert reply["ErrorMessage"] == "", member
            assert type(reply["Value"]) is kind, member


async def test_a_disconnected_camera_answers_only_the_common_members(
    make_camera: MakeCamera,
) -> None:
    async with wired(make_camera(initially_connected=False)) as wire:
        for member in READS:
            assert await wire.error(member) == (0 if member in ALWAYS_THERE else 0x407), member


@pytest.mark.parametrize("member", WRITES)
async def test_every_put_needs_each_of_its_parameters(wire: Wire, member: str) -> None:
    for missing in WRITES[member]:
        form = {name: value for name, value in WRITES[member].items() if name != missing}
        response = await wire.put(member, **form)
        assert response.status_code == 400
        assert response.headers["content-type"].startswith("text/plain")
        assert response.text == f"The parameter {missing} is missing"


async def test_every_put_needs_the_exact_case(wire: Wire) -> None:
    for member, form in WRITES.items():
        if form:
            wrong = {name.lower(): value for name, value in form.items()}
            assert (await wire.put(member, **wrong)).status_code == 400, member


async def test_every_put_takes_its_parameters(make_camera: MakeCamera) -> None:
    refused = {member for member in WRITES if member.startswith("command")}
    async with wired(make_camera(), make_camera(can_fast_readout=True)) as wire:
        for member, form in WRITES.items():
            number = 1 if member == "fastreadout" else 0
            reply = await wire.http.put(f"/api/v1/camera/{number}/{member}", data=form)
            assert reply.status_code == 200, member
            assert reply.json()["ErrorNumber"] == (0x400 if member in refused else 0), member
            if member == "disconnect":
                wire.camera.set_connected(True)


async def test_written_values_are_read_back(wire: Wire) -> None:
    written: dict[str, Any] = {
        "binx": ("BinX", 3),
        "biny": ("BinY", 2),
        "cooleron": ("CoolerOn", True),
        "gain": ("Gain", 17),
        "numx": ("NumX", 999),
        "numy": ("NumY", -5),
        "offset": ("Offset", 55),
        "readoutmode": ("ReadoutMode", 1),
        "setccdtemperature": ("SetCCDTemperature", -7.25),
        "startx": ("StartX", -3),
        "starty": ("StartY", 4),
        "subexposureduration": ("SubExposureDuration", 0.5),
    }
    for member, (name, value) in written.items():
        assert await wire.do(member, **{name: value}) == 0
        assert await wire.value(member) == value


@pytest.mark.parametrize(
    ("member", "form"),
    [
        ("binx", {"BinX": 5}),
        ("biny", {"BinY": 0}),
        ("gain", {"Gain": 301}),
        ("offset", {"Offset": -1}),
        ("readoutmode", {"ReadoutMode": 2}),
        ("setccdtemperature", {"SetCCDTemperature": "NaN"}),
        ("startexposure", {"Duration": -1, "Light": True}),
        ("startexposure", {"Duration": "nan", "Light": True}),
        ("startexposure", {"Duration": "inf", "Light": False}),
        ("pulseguide", {"Direction": 4, "Duration": 5}),
        ("subexposureduration", {"SubExposureDuration": -1}),
    ],
)
async def test_values_out_of_range_are_device_errors(
    wire: Wire, member: str, form: dict[str, object]
) -> None:
    assert await wire.do(member, **form) == 0x401


@pytest.mark.parametrize(
    ("version", "member", "verb", "status"),
    [
        (4, "connect", "PUT", 200),
        (4, "devicestate", "GET", 200),
        (3, "connect", "PUT", 400),
        (3, "disconnect", "PUT", 400),
        (3, "connecting", "GET", 400),
        (3, "devicestate", "GET", 400),
        (3, "offset", "GET", 200),
        (2, "offset", "GET", 400),
        (2, "gain", "GET", 200),
    ],
)
async def test_later_members_are_unknown_to_an_earlier_interface(
    make_camera: MakeCamera, version: int, member: str, verb: str, status: int
) -> None:
    async with wired(make_camera(interface_version=version)) as wire:
        response = await wire.http.request(verb, f"/api/v1/camera/0/{member}")
        assert response.status_code == status
        assert await wire.value("interfaceversion") == version


async def test_an_action_answers_with_its_result(wire: Wire) -> None:
    reply = await wire.put("action", Action="Echo", Parameters='{"a": "ü=&+ %"}')
    assert reply.json()["Value"] == '{"a": "ü=&+ %"}'
    assert await wire.do("action", Action="Sing", Parameters="") == 0x40C
