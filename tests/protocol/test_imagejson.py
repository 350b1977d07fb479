"""JSON images: equal to `json` and numpy for every valid text, an error for every other text."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_async._enums import ImageArrayElementTypes
from alpaca_async._errors import (
    AlpacaError,
    AscomError,
    DriverException,
    IncompleteImage,
    InvalidOperationException,
    MalformedResponse,
)
from alpaca_async._protocol import imagejson
from alpaca_async._protocol.imagebytes import ImageMetadata
from alpaca_async._protocol.imagejson import ImageJsonParser

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

DTYPES: dict[Any, str] = {1: "<i2", 2: "<i4", 3: "<f8"}


@pytest.fixture(scope="module", autouse=True, params=[1 << 16, 7], ids=["whole", "cut"])
def chunk(request: pytest.FixtureRequest) -> Iterator[None]:
    """Parse each text in one chunk, and again in chunks of 7 bytes."""
    with patch.object(imagejson, "_CHUNK", request.param):
        yield


def parse(
    text: bytes, cuts: tuple[int, ...] = (), max_image_bytes: int = 1 << 20
) -> tuple[NDArray[Any], ImageMetadata]:
    parser = ImageJsonParser(max_image_bytes=max_image_bytes)
    bounds = [0, *sorted(cut for cut in cuts if cut < len(text)), len(text)]
    for start, end in pairwise(bounds):
        parser.feed(text[start:end])
    return parser.close()


def reply(value: str, kind: str = "2", rank: str = "2") -> bytes:
    return f'{{"Type":{kind},"Rank":{rank},"Value":{value},"ErrorNumber":0}}'.encode()


def refuse(name: str) -> None:
    raise ValueError(name)


def expected(text: bytes) -> NDArray[Any] | None:
    """Return the result of `json` and numpy for a text; None if it is not an image."""
    try:
        parsed: Any = json.loads(text.decode("utf-8-sig"), parse_constant=refuse)
    except (ValueError, RecursionError):
        return None
    if type(parsed) is not dict:
        return None
    reply = cast("dict[str, Any]", parsed)
    if reply.get("ErrorNumber") or reply.get("ErrorMessage"):
        return None
    try:
        pixels = np.array(reply.get("Value"))
        with np.errstate(invalid="ignore"):
            exact = pixels.astype(DTYPES[reply.get("Type")])
    except (ValueError, OverflowError, KeyError, TypeError):
        return None
    numeric = pixels.dtype.kind in "iuf" or all(type(x) in (int, float) for x in pixels.flat)
    right = pixels.ndim in (2, 3) and reply.get("Rank") in (None, pixels.ndim) and pixels.size
    if not numeric or not right or not np.isfinite(exact).all():
        return None
    return exact if exact.dtype.kind == "f" or (exact == pixels).all() else None


def assert_as_expected(text: bytes, cuts: tuple[int, ...]) -> None:
    wanted = expected(text)
    try:
        pixels, metadata = parse(text, cuts)
    except AlpacaError:
        assert wanted is None, text
        return
    assert wanted is not None, text
    assert pixels.dtype == wanted.dtype
    assert pixels.flags.c_contiguous
    np.testing.assert_array_equal(pixels, wanted, strict=True)
    assert metadata.shape == pixels.shape
    assert metadata.dtype == pixels.dtype


space = st.sampled_from(["", "", "", " ", "\n\t", "  \r\n"])
cut_places = st.lists(st.integers(0, 400), max_size=6).map(tuple)
whole = st.integers(-70000, 70000) | st.sampled_from(
    [0, 2**31 - 1, -(2**31), 2**31, 10**18, 10**30]
)
real = st.floats(allow_nan=False, allow_infinity=False) | whole.map(float)
sizes = st.integers(1, 4)


@st.composite
def images(draw: st.DrawFn) -> tuple[int, object]:
    shape = draw(st.tuples(sizes, sizes) | st.tuples(sizes, sizes, sizes))
    numbers = draw(st.sampled_from([st.integers(0, 300), whole, real, whole | real]))

    def nest(dimensions: tuple[int, ...]) -> object:
        if not dimensions:
            return draw(numbers)
        return [nest(dimensions[1:]) for _ in range(dimensions[0])]

    return len(shape), nest(shape)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    rank, value = draw(images())
    members = {
        "Type": draw(st.sampled_from([1, 2, 2, 2, 3, 3])),
        "Rank": draw(st.sampled_from([rank, rank, rank, 5 - rank])),
        "Value": value,
        "ErrorNumber": 0,
        "ErrorMessage": "",
        "DriverException": draw(anything),
        draw(st.text(max_size=4)): draw(anything),
    }
    pairs = draw(st.permutations(list(members.items())))
    comma, colon = draw(space) + "," + draw(space), draw(space) + ":" + draw(space)
    indent = draw(st.sampled_from([None, None, 0, 1]))
    text = json.dumps(
        dict(pairs), separators=(comma, colon), indent=indent, ensure_ascii=draw(st.booleans())
    )
    return draw(st.sampled_from([b"", b"", b"\xef\xbb\xbf"])) + text.encode()


@given(text=documents(), cuts=cut_places)
def test_a_valid_text_gives_what_json_and_numpy_give(text: bytes, cuts: tuple[int, ...]) -> None:
    assert_as_expected(text, cuts)


@given(text=documents(), cuts=cut_places, data=st.data())
def test_a_damaged_text_is_refused_exactly_where_json_refuses_it(
    text: bytes, cuts: tuple[int, ...], data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = start + data.draw(st.integers(0, 3))
    junk = data.draw(st.text('[]{},:"-+.eE019 \\nN', max_size=3)).encode()
    assert_as_expected(text[:start] + junk + text[end:], cuts)


@given(body=st.text("[],-.e012 ", max_size=30), cuts=cut_places)
def test_random_brackets_and_digits_are_accepted_or_refused_as_by_json(
    body: str, cuts: tuple[int, ...]
) -> None:
    assert_as_expected(reply(f"[[{body}]]"), cuts)


@given(st.binary(max_size=60))
def test_arbitrary_bytes_are_an_alpaca_error(text: bytes) -> None:
    with pytest.raises(AlpacaError):
        parse(text)


@pytest.mark.parametrize("kind", [1, 2, 3])
def test_the_metadata_is_that_of_the_imagebytes_form(kind: int) -> None:
    pixels, metadata = parse(reply("[[1,2,3],[4,5,6]]", str(kind)))
    element = ImageArrayElementTypes(kind)
    assert pixels.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert pixels.dtype == DTYPES[kind]
    assert metadata == ImageMetadata(1, element, element, 2, 2, 3)


def test_three_planes_keep_their_order() -> None:
    pixels, metadata = parse(reply("[[[1,2,3],[4,5,6]]]", rank="3"))
    assert pixels.tolist() == [[[1, 2, 3], [4, 5, 6]]]
    assert metadata.shape == (1, 2, 3)


@pytest.mark.parametrize(
    "value",
    [
        *("[]", "[[]]", "[[],[]]", "[1,2]", "1", "null", '"x"', "{}", "true", "[[[[1]]]]"),
        *("[[1,2],[3]]", "[[1],[2,3]]", "[[1,2],3]", "[[1],[[2]]]", "[[[1]],[2]]", "[[1],2]"),
        *("[[[1],[2]],[[3]]]", "[[[1]],[[2],[3]]]", "[[1,,2]]", "[[1,]]", "[[,1]]", "[[1],]"),
        *("[,[1]]", "[[1][2]]", "[[1]2]", "[1[2]]", "[[1 2]]", "[[- 1]]", "[[1. 5]]", "[[--5]]"),
        *("[[+5]]", "[[-]]", "[[05]]", "[[-05]]", "[[00]]", "[[.5]]", "[[5.]]", "[[1e]]"),
        *("[[1e400]]", "[[-1e400]]", "[[NaN]]", "[[Infinity]]", "[[-Infinity]]", "[[0x10]]"),
        *('[["1"]]', "[[null]]", "[[true]]", "[[1_0]]", "[[1]]]", "[[1]", "[[[[[[[1", "[[1-2]]"),
        *("[[0.5]]", "[[2147483648]]", "[[-2147483649]]", "[[1e10]]", "[[1;2]]", "[[1\x0b]]"),
        *("[[1" + "0" * 1023 + "]]", "[[0." + "0" * 5000 + "1]]", "[[1" + "0" * 9000),
        *("[" * 90, "[" * 500, "[" * 500 + "1" + "]" * 500),
    ],
)
def test_a_value_that_is_not_an_image_is_malformed(value: str) -> None:
    with pytest.raises(MalformedResponse):
        parse(reply(value))


@pytest.mark.parametrize("value", ["[[1" + "0" * 400 + "]]", "[[" + "9" * 310 + "]]"])
def test_an_integer_outside_the_range_of_float64_is_malformed(value: str) -> None:
    with pytest.raises(MalformedResponse):
        parse(reply(value, "3"))


@pytest.mark.parametrize("value", ["[[32768]]", "[[-32769]]", "[[1.5]]"])
def test_a_pixel_that_int16_cannot_represent_is_malformed(value: str) -> None:
    with pytest.raises(MalformedResponse, match="not int16 values"):
        parse(reply(value, "1"))


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("kind", [1, 2, 3])
def test_whole_floats_are_integers(kind: int, late: bool) -> None:
    value = b'"Value":[[100.0,1e2,-0.0],[7,-32768,32767]]'
    members = [b'"Type":%d' % kind, value]
    pixels, _ = parse(b"{" + b",".join(members[::-1] if late else members) + b"}")
    assert pixels.dtype == DTYPES[kind]
    assert pixels.tolist() == [[100, 100, 0], [7, -32768, 32767]]


@pytest.mark.parametrize("kind", ["0", "4", "8", "-1", "null", '"x"', "2.5", "true", "[]", "1e400"])
def test_a_type_that_json_images_do_not_have_is_malformed(kind: str) -> None:
    with pytest.raises(MalformedResponse):
        parse(reply("[[1]]", kind))


@pytest.mark.parametrize("rank", ["3", "0", "1", '"two"', "2.5", "false"])
def test_a_rank_that_differs_from_the_nesting_is_malformed(rank: str) -> None:
    with pytest.raises(MalformedResponse):
        parse(reply("[[1]]", rank=rank))


@pytest.mark.parametrize(("kind", "rank"), [("2.0", "2.0"), ('"2"', '"2"'), ("2", "null")])
def test_harmless_forms_of_type_and_rank_are_accepted(kind: str, rank: str) -> None:
    pixels, _ = parse(reply("[[1]]", kind, rank))
    assert pixels.tolist() == [[1]]


@pytest.mark.parametrize(
    "value",
    [
        *("null", "[]", "0", '"junk"', "{}", "[[1,2],[3,4]]", '[["a"],{"b":[1]}]', "[[1,2],[3]]"),
        *("[[],[[[[[[1]]]]]]]", '[[1],[2,3,"x"]]', '[[11111,22222],"]\\"",null]', "[[1e999],[2]]"),
    ],
)
def test_the_error_of_the_device_has_priority_over_any_value(value: str) -> None:
    text = f'{{"Value":{value},"ErrorNumber":1035,"ErrorMessage":"no image"}}'
    with pytest.raises(InvalidOperationException, match="no image") as caught:
        parse(text.encode())
    assert caught.value.number == 1035


def test_a_reply_that_is_only_an_error_is_that_error() -> None:
    with pytest.raises(DriverException, match="broken"):
        parse(b'{"ErrorNumber":-2147024882,"ErrorMessage":"broken"}')


def test_a_message_without_a_number_is_an_error() -> None:
    with pytest.raises(AscomError, match="odd"):
        parse(b'{"ErrorMessage":"odd","Type":2,"Value":[[1]]}')


def test_a_message_of_another_type_is_quoted() -> None:
    with pytest.raises(AscomError, match="5"):
        parse(b'{"ErrorMessage":5,"Type":2,"Value":[[1]]}')


@pytest.mark.parametrize("number", ['"x"', '""', "[]", "false", "1.5"])
def test_an_error_number_that_is_not_an_integer_is_malformed(number: str) -> None:
    error = f'"ErrorNumber":{number}'
    with pytest.raises(MalformedResponse):
        parse(f'{{"Type":2,"Value":[[1]],{error}}}'.encode())


def test_the_case_of_names_does_not_matter() -> None:
    pixels, _ = parse(b'{"type":2,"rank":2,"value":[[1,2]],"errorNumber":0}')
    assert pixels.tolist() == [[1, 2]]
    with pytest.raises(InvalidOperationException):
        parse(b'{"errorNumber":1035,"errorMessage":"no image"}')


def test_the_last_of_several_values_wins() -> None:
    text = b'{"Type":2,"Value":["x"],"Value":[[1]],"V\\u0061lue":[[2,3]],"a":{"Value":[[4]]}}'
    assert parse(text)[0].tolist() == [[2, 3]]
    with pytest.raises(MalformedResponse, match="holds no image"):
        parse(b'{"Type":2,"Value":[[1]],"Value":null}')


def test_endless_repetition_of_value_is_malformed() -> None:
    with pytest.raises(MalformedResponse, match="more than 16"):
        parse(b'{"Type":2' + b',"Value":[[1]]' * 17 + b"}")


@pytest.mark.parametrize("text", [b"", b"[]", b"5", b"[[1]]", b"{}", b'{"Type":2}', b"\xff", b"}"])
def test_a_text_without_an_image_is_malformed(text: bytes) -> None:
    with pytest.raises(MalformedResponse):
        parse(text)


@pytest.mark.parametrize("ending", [b"x", b"}", b"{}", b",", b"[[1]]", b"\x00"])
def test_text_after_the_reply_is_malformed(ending: bytes) -> None:
    with pytest.raises(MalformedResponse):
        parse(reply("[[1]]") + ending)


def test_every_truncation_is_an_incomplete_image() -> None:
    text = reply("[[1, 2],[3, 4]]")
    for length in range(len(text)):
        with pytest.raises(IncompleteImage, match=f"ended after {length} bytes") as caught:
            parse(text[:length])
        assert (caught.value.received, caught.value.expected) == (length, None)


def test_an_invalid_envelope_is_refused_before_the_image_has_arrived() -> None:
    parser = ImageJsonParser(max_image_bytes=100)
    with pytest.raises(MalformedResponse):
        parser.feed(b'{"Type":2,,"Value":[' + b" " * (1 << 16))


@pytest.mark.parametrize("before", [b"", b'"Value":[["x"]],'])
@pytest.mark.parametrize(
    "junk", [b'"' + b"k" * 300000, b'"a":[' + b"1," * 200000, b'"b":' + b" " * 300000]
)
def test_an_endless_envelope_is_malformed(before: bytes, junk: bytes) -> None:
    text = b'{"Type":2,' + before + junk + b"]}"
    with patch.object(imagejson, "_CHUNK", 1 << 16), pytest.raises(MalformedResponse):
        parse(text)


def test_an_endless_envelope_is_refused_before_it_ends() -> None:
    parser = ImageJsonParser(max_image_bytes=100)
    big = patch.object(imagejson, "_CHUNK", 1 << 16)
    with big, pytest.raises(MalformedResponse, match="around the image"):
        parser.feed(b'{"Key":"' + b"x" * 400000)


def test_deep_nesting_outside_the_image_is_malformed() -> None:
    with pytest.raises(MalformedResponse, match="deep"):
        parse(b'{"a":' + b"[" * 101 + b"]" * 101 + b"}")


def test_an_image_above_the_size_limit_is_malformed() -> None:
    assert parse(reply("[[1,2],[3,4]]"), max_image_bytes=16)[0].nbytes == 16
    with pytest.raises(MalformedResponse, match="larger than 15 bytes"):
        parse(reply("[[1,2],[3,4]]"), max_image_bytes=15)


def test_the_size_limit_applies_to_a_type_that_follows_the_pixels() -> None:
    with pytest.raises(MalformedResponse, match="larger than 16 bytes"):
        parse(b'{"Value":[[1,2],[3,4]],"Type":3}', max_image_bytes=16)


def test_large_amounts_of_whitespace_are_accepted() -> None:
    text = reply("[[" + " " * 200000 + "1" + "\n" * 200000 + "," + "2" + "\t" * 200000 + "]]")
    with patch.object(imagejson, "_CHUNK", 1 << 16):
        assert parse(text)[0].tolist() == [[1, 2]]


@pytest.mark.parametrize("planes", [(), (3,)])
@pytest.mark.parametrize("high", [200, 65536, 2**31])
def test_an_image_of_many_chunks_is_complete(planes: tuple[int, ...], high: int) -> None:
    source = np.random.default_rng(1).integers(-high, high, (60, 300, *planes))
    text = reply(json.dumps(source.tolist()), rank=str(source.ndim))
    with patch.object(imagejson, "_CHUNK", 1 << 12):
        np.testing.assert_array_equal(parse(text)[0], source)
