from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_async import AlpacaClient, AsyncCamera, AsyncDevice
from alpaca_async._address import origin


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("camera-pi", "http://camera-pi:11111"),
        ("192.168.1.20:32323", "http://192.168.1.20:32323"),
        ("Pi.local:80", "http://pi.local:80"),
        ("::1", "http://[::1]:11111"),
        ("[::1]:80", "http://[::1]:80"),
        ("fe80::1%eth0", "http://[fe80::1%eth0]:11111"),
        ("[fe80::1%25eth0]:5", "http://[fe80::1%eth0]:5"),
        ("http://pi", "http://pi:80"),
        ("https://pi/", "https://pi:443"),
        ("HTTPS://pi:8443", "https://pi:8443"),
    ],
)
def test_every_form_of_an_address_gives_an_origin(address: str, expected: str) -> None:
    assert origin(address) == expected


@pytest.mark.parametrize(
    "address",
    [
        "",
        ":11111",
        "pi:0",
        "pi:65536",
        "pi:x",
        "ftp://pi",
        "pi/path",
        "pi\r\nX: y",
        "p i",
        "[zz]:1",
        "[::1",
        "-x",
        "a" * 300,
        "[fe80::1%a/b]:1",
        "ü",
    ],
)
def test_invalid_addresses_are_rejected(address: str) -> None:
    with pytest.raises(ValueError, match=r"address|http|port|host"):
        origin(address)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        (
            "http://obs.example.org/alpaca",
            "do not have: the address ends before it, 'http://obs.exa",
        ),
        (
            "192.168.1.20:11111/setup",
            "have: the address ends before it, '192.168.1.20:11111'",
        ),
        ("http://pi:11111/api/v1/camera/3", "'http://pi:11111', and the device number is 3"),
        ("pi/API/v1/Camera/0/gain", "'pi', and the device number is 0"),
        ("http://pi:11111/setup/v1/camera/12/setup", "the device number is 12"),
        ("192.168.1.20/0", "'192.168.1.20', and the device number is 0"),
        ("pi//", "has a path"),
        ("pi/?a=1", "has a path"),
        ("pi#a", "has a path"),
        ("ftp://pi/x", "has a path"),
        (" 192.168.1.20:11111", "has spaces around"),
        ("pi\n", "has spaces around"),
        ("sternwarte-m\u00fcnchen.local:11111", "'xn--sternwarte-mnchen-e3b.local:11111'"),
        ("http://m\u00fcnchen", "'http://xn--mnchen-3ya'"),
        ("\u00fc" * 100, "write the IP address"),
        ("http://", "no valid host"),
        ("", "no valid host"),
        ("ftp://pi", "neither http nor https"),
        ("pi:99999", "no valid port"),
    ],
)
def test_the_error_says_what_is_wrong_with_an_address(address: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        origin(address)


@pytest.mark.parametrize("address", [None, 11111, ("127.0.0.1", 1), b"pi", 1.5])
def test_an_address_is_a_string(address: Any) -> None:  # noqa: ANN401 - whatever callers pass
    for use in (origin, AsyncCamera, AlpacaClient().camera):
        with pytest.raises(TypeError, match=r"must be a string such as '192\.168\.1\.20:11111'"):
            use(address)


@pytest.mark.parametrize("address", ["127.0.0.1", "http://pi", "[::1]"])
@pytest.mark.parametrize("port", [11111, 32323])
def test_a_port_as_device_number_is_refused(address: str, port: int) -> None:
    with pytest.raises(ValueError, match=re.escape(f"write the address as '{address}:{port}'")):
        AsyncCamera(address, port)


@pytest.mark.parametrize(
    ("address", "number"),
    [("pi:11111", 11111), ("pi", 1023), ("pi", 2**32 - 1), ("[::1]:80/", 9999)],
)
def test_a_large_device_number_is_possible(address: str, number: int) -> None:
    assert AsyncCamera(address, number).device_number == number


def test_a_password_in_an_address_is_rejected_and_not_repeated_in_the_error() -> None:
    with pytest.raises(ValueError, match="auth=") as caught:
        origin("http://user:secret@pi")
    assert "secret" not in str(caught.value)


@given(st.text())
def test_an_origin_is_a_single_line_without_spaces(address: str) -> None:
    try:
        url = origin(address)
    except ValueError:
        return
    assert url.isprintable()
    assert " " not in url


@given(st.text(st.sampled_from("ahtps:/?#[]@.%0123 \u00fc\n"), max_size=30))
def test_a_refused_address_raises_only_value_errors(address: str) -> None:
    error: Exception | None = None
    try:
        origin(address)
    except ValueError as refused:
        error = refused
    assert error is None or type(error) is ValueError


def test_a_device_has_its_address_in_its_attributes_and_repr() -> None:
    camera = AsyncCamera("https://pi:1", 2)
    assert (camera.server, camera.device_type, camera.device_number) == (
        "https://pi:1",
        "camera",
        2,
    )
    assert camera.setup_url == "https://pi:1/setup/v1/camera/2/setup"
    assert repr(camera) == "<AsyncCamera camera/2 at https://pi:1>"


@pytest.mark.parametrize(
    ("device_type", "number"), [("camera/1", 0), ("", 0), ("cämera", 0), ("camera", -1)]
)
def test_an_invalid_device_type_or_number_is_rejected(device_type: str, number: int) -> None:
    with pytest.raises(ValueError, match="device"):
        AsyncDevice("pi", device_type, number)


@pytest.mark.parametrize("client_id", [0, -1, 2**31])
def test_a_client_id_out_of_range_is_rejected(client_id: int) -> None:
    with pytest.raises(ValueError, match="client_id"):
        AlpacaClient(client_id=client_id)


@pytest.mark.parametrize("number", [True, 1.0, "1", None])
def test_a_device_number_is_an_int(number: int) -> None:
    with pytest.raises(TypeError, match="device_number must be an int"):
        AsyncDevice("pi", "camera", number)
