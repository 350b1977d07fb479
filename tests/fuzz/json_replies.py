"""Compares our decoders of JSON envelopes and images with `json` and numpy."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from alpaca_async import AlpacaError, AscomError, CameraStates, RequestRejected
from alpaca_async._protocol.envelope import decode_envelope, rejection
from alpaca_async._protocol.imagejson import ImageJsonParser
from alpaca_async._protocol.values import decode, decode_integers, decode_records, decode_strings

from .mutation import cut, mutated

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from numpy.typing import NDArray

WORDS: Final = (
    *(b'"', b"{", b"}", b"[", b"]", b",", b":", b" ", b"\\", b"\\u", b"\\ud83d", b"-", b"e9", b"."),
    *(b"NaN", b"Infinity", b"-Infinity", b"null", b"true", b"1e999", b"9" * 30, b"9" * 5000, b"-0"),
    *(b"\xef\xbb\xbf", b"\xff\xfe", b"\0", b"\xb0", b"[" * 3000, b'{"":' * 900, b"<html>", b"0x1"),
    *(b'"ErrorNumber":1025,', b'"value":', b'"Value":[[1,2],[3,4]],', b'"errorMessage":"x",'),
)
SCALARS: Final[tuple[Any, ...]] = (
    *(
        None,
        True,
        False,
        0,
        1,
        2,
        -1,
        5,
        17,
        3.0,
        3.5,
        1e300,
        -0.0,
        2**31,
        2**63,
        2**63 - 1,
        10**30,
    ),
    *("", "x", "12", "1.0", "0.9", "true", "FALSE", "nan", "1_000", " 7 ", "\u00b0C", "\U0001f52d"),
    *([], ["a", "b"], [1, 2], [{"Name": "ImageReady", "Value": True}], {}, {"a": 1}, [[1]], [None]),
)
KEYS: Final = ("Value", "ErrorNumber", "ErrorMessage", "ClientTransactionID", "ServerTransactionID")
ERRORS: Final[tuple[Any, ...]] = (
    0,
    0,
    0,
    0,
    0,
    1,
    1024,
    1025,
    1035,
    "1031",
    -2147220479,
    2**63,
    1.0,
    1.5,
    None,
    [],
    [1],
)
TEXTS: Final = ("", "", "", "", None, "no gain", "\ud83d", 5, ["x"])
CODINGS: Final = ("utf-8", "utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-32", "latin-1")
TYPES: Final[dict[float, str]] = {1: "<i2", 2: "<i4", 3: "<f8"}


def refuse(name: str) -> None:
    raise ValueError(name)


def parsed(text: bytes) -> dict[str, Any] | None:
    """Return the JSON object in `text`, or None if it is not one."""
    try:
        found: Any = json.loads(text.decode(json.detect_encoding(text)), parse_constant=refuse)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", found) if type(found) is dict else None


def field(reply: dict[str, Any], name: str) -> Any:  # noqa: ANN401 - whatever JSON holds
    """Return a field by its exact name, otherwise by its name in another case."""
    others = [value for key, value in reply.items() if key.lower() == name.lower()]
    return reply.get(name, others[-1] if others else None)


def envelope(rng: Random, value: object) -> bytes:
    """Return the text of a reply with `value`, mutated or not."""
    reply: dict[str, Any] = dict(zip(KEYS, (value, 0, "", 3, 4), strict=True))
    if rng.random() < 0.2:
        reply |= {"ErrorNumber": rng.choice(ERRORS), "ErrorMessage": rng.choice(TEXTS)}
    for key in rng.sample(KEYS, rng.choice((0, 0, 0, 1, 3))):
        value = reply.pop(key)
        if rng.random() < 0.5:
            reply[rng.choice((key.lower(), key.upper(), key[0].lower() + key[1:]))] = value
    pairs = list(reply.items())
    rng.shuffle(pairs)
    text = json.dumps(dict(pairs), ensure_ascii=rng.random() < 0.5, indent=rng.choice((None, 1)))
    encoded = text.encode(rng.choice(CODINGS), "replace")
    return mutated(rng, encoded, WORDS)


def number_of(raw: object, *, whole: bool) -> float | int | None:
    """Return the number in a JSON number or string, or None if there is none."""
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        return None
    if isinstance(raw, str) and "_" in raw:
        return None
    try:
        number = float(raw)
    except (ValueError, OverflowError):
        return None
    if not math.isfinite(number) or (whole and number % 1):
        return None
    if not whole:
        return number
    exact = int(number)
    with suppress(ValueError):
        exact = int(raw)
    return exact if -(2**63) <= exact <= 2**63 - 1 else None


def boolean_of(raw: object) -> bool | None:
    """Return the boolean in a JSON value, or None if there is none."""
    if isinstance(raw, str):
        return {"true": True, "1": True, "false": False, "0": False}.get(raw.lower())
    return bool(raw) if isinstance(raw, bool | int | float) and raw in (0, 1) else None


def each(raw: object, one: Callable[[object], object]) -> list[object] | None:
    """Return the items converted by `one`, or None if any result is None."""
    if not isinstance(raw, list):
        return None
    items = [one(item) for item in cast("list[object]", raw)]
    return None if None in items else items


def record_of(raw: object) -> dict[str, Any] | None:
    return cast("dict[str, Any]", raw) if isinstance(raw, dict) else None


KINDS: Final[tuple[tuple[Callable[[Any], Any], Callable[[object], object]], ...]] = (
    (lambda raw: decode(bool, raw), boolean_of),
    (lambda raw: decode(int, raw), lambda raw: number_of(raw, whole=True)),
    (lambda raw: decode(float, raw), lambda raw: number_of(raw, whole=False)),
    (lambda raw: decode(str, raw), lambda raw: raw if isinstance(raw, str) else None),
    (lambda raw: decode(CameraStates, raw), lambda raw: number_of(raw, whole=True)),
    (decode_integers, lambda raw: each(raw, lambda item: number_of(item, whole=True))),
    (decode_strings, lambda raw: each(raw, lambda item: item if isinstance(item, str) else None)),
    (decode_records, lambda raw: each(raw, record_of)),
)


def check_envelope(rng: Random) -> tuple[str, int]:
    """Decode one envelope; return the kind of result, and its size."""
    decoder, oracle = rng.choice(KINDS)
    value = rng.choice(SCALARS)
    while oracle(value) is None and rng.random() < 0.9:
        value = rng.choice(SCALARS)
    text = envelope(rng, value)
    if rng.random() < 0.1:
        assert isinstance(rejection(rng.choice((204, 400, 500)), text), RequestRejected)
    found: object
    try:
        found = decoder(decode_envelope(text).value)
    except AlpacaError as error:
        found = error
    return _compare(found, parsed(text), oracle), len(text)


def _compare(
    found: object, reply: dict[str, Any] | None, oracle: Callable[[object], object]
) -> str:
    reported = None if reply is None else _reported(reply)
    if reply is None or reported is None:
        assert _refused(found), found
        return "refused"
    number, message = reported
    if number or message:
        assert isinstance(found, AscomError), found
        assert found.number == number
        str(found).encode()
        return "device error"
    expected = oracle(field(reply, "Value"))
    if expected is None:
        assert _refused(found), found
        return "refused"
    assert found == expected, (found, expected)
    assert isinstance(found, type(expected)), (found, expected)
    return "value"


def _reported(reply: dict[str, Any]) -> tuple[int, bool] | None:
    """Return the error number and whether there is a message; None if the number is invalid."""
    raw = field(reply, "ErrorNumber")
    number = 0 if raw is None else number_of(raw, whole=True)
    return None if number is None else (int(number), bool(field(reply, "ErrorMessage")))


def _refused(found: object) -> bool:
    return (
        isinstance(found, AlpacaError) and not isinstance(found, AscomError) and bool(found.reason)
    )


def image(rng: Random) -> bytes:
    """Return the text of an image, mutated or not."""
    kind = rng.choice((1, 2, 2, 2, 3))
    shape = [rng.randint(1, 6) for _ in range(rng.choice((2, 2, 3)))]
    pixels = rng.choices((0, 1, 255, -7, 65535, 2**31 - 1, 3.0, 2.5e-3), k=math.prod(shape))
    if kind != 3:
        pixels = [int(pixel) if kind == 2 else int(pixel) % 32768 for pixel in pixels]
    reply: dict[str, Any] = {
        "Type": kind,
        "Rank": rng.choice((len(shape), len(shape), len(shape), None, 5 - len(shape))),
        "Value": np.array(pixels, object).reshape(shape).tolist(),
        "ErrorNumber": 0 if rng.random() < 0.95 else rng.choice((1035, "1", 2.5)),
    }
    pairs = list(reply.items())
    if rng.random() < 0.3:
        rng.shuffle(pairs)
    spaces = rng.choice(((",", ":"), (", ", ": ")))
    text = json.dumps(dict(pairs), separators=spaces, indent=rng.choice((None, None, 1)))
    return mutated(rng, text.encode(), WORDS)


def image_of(text: bytes) -> NDArray[Any] | None:
    """Return the image that `json` and numpy decode from `text`, or None if it is invalid."""
    try:
        text.decode("utf-8-sig")
    except ValueError:
        return None
    reply = parsed(text)
    names = [] if reply is None else [name.lower() for name in reply]
    if reply is None or names.count("value") != 1:
        return None
    if _reported(reply) != (0, False):
        return None
    try:
        raw = np.array(field(reply, "Value"), object)
        with np.errstate(invalid="ignore"):
            exact = raw.astype(TYPES[number_of(field(reply, "Type"), whole=True) or 0])
    except (ValueError, OverflowError, KeyError, TypeError):
        return None
    rank = field(reply, "Rank")
    given_rank = raw.ndim if rank is None else number_of(rank, whole=True)
    numeric = all(type(pixel) in (int, float) for pixel in raw.flat)
    shaped = raw.ndim in (2, 3) and given_rank == raw.ndim and raw.size
    if not numeric or not shaped or not np.isfinite(exact).all():
        return None
    return exact if exact.dtype.kind == "f" or (exact == raw).all() else None


def check_image(rng: Random) -> tuple[str, int]:
    """Decode one image in JSON; return the kind of result, and its size."""
    text = image(rng)
    expected = image_of(text)
    parser = ImageJsonParser(max_image_bytes=1 << 20)
    try:
        for piece in cut(rng, text):
            parser.feed(piece)
        pixels, metadata = parser.close()
    except AlpacaError as error:
        assert expected is None, text
        return "device error" if isinstance(error, AscomError) else "refused", len(text)
    assert expected is not None, text
    np.testing.assert_array_equal(pixels, expected, strict=True)
    assert (metadata.shape, metadata.dtype) == (pixels.shape, pixels.dtype)
    return "image", len(text)
