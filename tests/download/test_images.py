from __future__ import annotations

import asyncio
import gc
import json
import weakref
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alpaca_async import (
    AlpacaClient,
    AlpacaError,
    AscomError,
    DirectTransport,
    DriverException,
    ImageArrayElementTypes,
    IncompleteImage,
    InvalidOperationException,
    MalformedResponse,
    Progress,
    RequestRejected,
    Timeouts,
    TransportError,
    TransportTimeout,
)
from alpaca_async._device import imaging as imaging_module
from alpaca_async._download.ascomorder import AscomOrderBuffer
from alpaca_async._download.download import ASCOM_ORDER
from alpaca_async._protocol.imagebytes import DTYPES, MAX_ERROR_TEXT
from tests.scripted import Request, ScriptedServer, ascom_error, http, imagebytes
from tests.virtual_time import in_virtual_time

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from numpy.typing import NDArray

    from alpaca_async import AsyncCamera
    from alpaca_async._download.frame_memory import FrameMemory
    from alpaca_async._protocol.conversion import Conversion
    from tests.scripted import Reply

IMAGEBYTES = "application/imagebytes"


def ramp(*shape: int, dtype: str = "<u2") -> NDArray[Any]:
    """Return pixels that are all different."""
    return np.arange(np.prod(shape)).astype(dtype).reshape(shape)


def image(array: NDArray[Any], kind: int = 8, **header: int) -> bytes:
    return imagebytes(array.tobytes(), *array.shape, kind=kind, **header)


def chunked(body: bytes, content_type: str = IMAGEBYTES, step: int = 1000) -> bytes:
    pieces = [body[i : i + step] for i in range(0, len(body), step)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head.encode() + chunks + b"0\r\n\r\n"


def with_length(body: bytes) -> bytes:
    return http(body, IMAGEBYTES)


def until_close(body: bytes) -> bytes:
    return b"HTTP/1.0 200 OK\r\nContent-Type: application/imagebytes\r\n\r\n" + body


class OneImage:
    """A server that answers every image request with the same reply, and a camera on it."""

    def __init__(self, reply: Reply, **options: Any) -> None:  # noqa: ANN401 - AlpacaClient's
        replies = {"imagearray": reply, "imagearrayvariant": reply}
        self.server = ScriptedServer(replies)
        self._options = options

    async def __aenter__(self) -> AsyncCamera:
        await self.server.__aenter__()
        self._client = AlpacaClient(**self._options)
        return self._client.camera(self.server.address)

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()
        await self.server.__aexit__(None, None, None)


@pytest.mark.parametrize(("kind", "dtype"), DTYPES.items())
@pytest.mark.parametrize("shape", [(3, 7), (3, 7, 3)])
@pytest.mark.parametrize("data_start", [44, 51, 4000])
async def test_every_type_rank_and_data_start_arrives_unchanged(
    kind: ImageArrayElementTypes, dtype: np.dtype[Any], shape: tuple[int, ...], data_start: int
) -> None:
    expected = ramp(*shape).astype(dtype)
    body = image(expected, kind, data_start=data_start)
    async with OneImage(http(body, IMAGEBYTES)) as camera:
        array = await camera.get_image_array()
        image_ = await camera.get_image()
        view = await camera.get_image(contiguous=False)
    for found in (array, image_.array, view.array):
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, expected)
    assert image_.data.shape == (7, 3, *shape[2:])
    assert array.flags.c_contiguous
    assert array.flags.aligned
    assert image_.data.flags.c_contiguous
    assert np.shares_memory(view.data, view.array)
    assert camera.image_array_info == image_.metadata
    assert image_.metadata.shape == shape
    assert image_.metadata.image_element_type is ImageArrayElementTypes.INT32


async def test_the_pixels_are_a_view_of_memory_of_exactly_their_size() -> None:
    async with OneImage(http(image(ramp(30, 20)), IMAGEBYTES)) as camera:
        array = await camera.get_image_array()
        rows = (await camera.get_image()).data
    for owner in (array, rows):
        while isinstance(owner.base, np.ndarray):
            owner = owner.base  # noqa: PLW2901 - one step after another
        assert owner.nbytes == array.nbytes


@pytest.mark.parametrize("transport", ["direct", "httpx"])
@pytest.mark.parametrize("framing", [chunked, until_close, with_length])
@pytest.mark.parametrize("contiguous", [True, False])
async def test_every_framing_gives_the_same_image_over_every_transport(
    transport: str, framing: Callable[[bytes], bytes], contiguous: bool
) -> None:
    expected = ramp(100, 130)
    async with httpx.AsyncClient() as http_client:
        options = {"http": http_client} if transport == "httpx" else {}
        async with OneImage(framing(image(expected)), **options) as camera:
            found = await camera.get_image(contiguous=contiguous)
    np.testing.assert_array_equal(found.array, expected)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(1, 3000), max_size=6), contiguous=st.booleans())
async def test_a_reply_in_any_pieces_gives_the_same_image(
    cuts: list[int], contiguous: bool
) -> None:
    expected = ramp(33, 31)
    reply = http(image(expected, data_start=47), IMAGEBYTES)

    async def pieces(_: Request) -> AsyncIterator[bytes]:
        edges = sorted({0, *(cut for cut in cuts if cut < len(reply)), len(reply)})
        for begin, end in pairwise(edges):
            yield reply[begin:end]
            await asyncio.sleep(0.001)

    async with OneImage(pieces) as camera:
        found = await camera.get_image(contiguous=contiguous)
    np.testing.assert_array_equal(found.array, expected)


ramp_json = json.dumps({"Type": 2, "Rank": 2, "Value": ramp(3, 7).tolist()}).encode()


@pytest.mark.parametrize("contiguous", [True, False])
@pytest.mark.parametrize(
    "content_type", ["application/json", "Application/JSON; charset=utf-8", ""]
)
async def test_a_json_image_is_the_same_image(content_type: str, contiguous: bool) -> None:
    async with OneImage(http(ramp_json, content_type)) as camera:
        found = await camera.get_image(contiguous=contiguous)
    np.testing.assert_array_equal(found.array, ramp(3, 7))
    assert found.data.dtype == np.int32
    assert found.data.flags.c_contiguous == contiguous
    assert found.metadata.transmission_element_type is ImageArrayElementTypes.INT32


@pytest.mark.parametrize("content_type", ["application/ImageBytes; charset=utf-8", ""])
async def test_a_media_type_with_parameters_and_a_missing_one_are_accepted(
    content_type: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with OneImage(http(image(ramp(3, 7)), content_type)) as camera:
        for _ in range(2):
            np.testing.assert_array_equal(await camera.get_image_array(), ramp(3, 7))
    warnings = caplog.text.count("treated as application/imagebytes; this is not logged again")
    assert warnings == (not content_type)


GOOD = image(ramp(3, 7))
LARGE = image(ramp(300, 200))


@pytest.mark.parametrize(
    ("reply", "kind", "reason"),
    [
        (http(GOOD[:-1], IMAGEBYTES), IncompleteImage, "after 85 of 86 bytes"),
        (http(GOOD[:20], IMAGEBYTES), IncompleteImage, "after 20 of 44 bytes"),
        (http(b"", IMAGEBYTES), IncompleteImage, "after 0 of 44 bytes"),
        (http(GOOD + b"x", IMAGEBYTES), MalformedResponse, "describes 86 bytes, but 87"),
        (chunked(GOOD[:-1]), IncompleteImage, "after 85 of 86 bytes"),
        (chunked(GOOD + b"x"), MalformedResponse, "more bytes follow"),
        (until_close(GOOD[:50]), IncompleteImage, "after 50 of 86 bytes"),
        (chunked(GOOD).replace(b"HTTP/1.1", b"HTTP/1.0")[:-12], IncompleteImage, "of 86 bytes"),
        (http(imagebytes(b"", 3, 7, version=2), IMAGEBYTES), MalformedResponse, "version 2"),
        (http(imagebytes(b"", 3, 7, kind=0), IMAGEBYTES), MalformedResponse, "type 0 are"),
        (http(imagebytes(b"", 3, 7, kind=10), IMAGEBYTES), MalformedResponse, "type 10 are"),
        (http(imagebytes(b"", 3, 7, rank=1), IMAGEBYTES), MalformedResponse, "rank 1"),
        (http(imagebytes(b"", 3, 7, rank=3), IMAGEBYTES), MalformedResponse, "do not fit"),
        (http(imagebytes(b"", 3, 0), IMAGEBYTES), MalformedResponse, "do not fit"),
        (http(imagebytes(b"", 3, -7), IMAGEBYTES), MalformedResponse, "do not fit"),
        (http(imagebytes(b"", 3, 7, data_start=43), IMAGEBYTES), MalformedResponse, "byte 43"),
        (http(imagebytes(b"", 2**31 - 1, 2**31 - 1), IMAGEBYTES), MalformedResponse, "exceeds"),
        (http(ramp_json, IMAGEBYTES), MalformedResponse, "version"),
        (http(GOOD, "application/json"), AlpacaError, "imagearray"),
        (http(b"<html>", "text/html"), MalformedResponse, "text/html is neither"),
        (http(GOOD, IMAGEBYTES, extra="Content-Encoding: gzip\r\n"), MalformedResponse, "gzip"),
        (http(b"no camera", status="404 Not Found"), RequestRejected, "no camera"),
        (ascom_error(0x40B, "no image"), InvalidOperationException, "no image"),
        (
            http(imagebytes(b"kein Bild", error=0x40B, rank=0), IMAGEBYTES),
            InvalidOperationException,
            "kein Bild",
        ),
        (chunked(imagebytes(b"", error=0x500, rank=0, data_start=44)), AscomError, "0x500"),
        (http(imagebytes(b"x" * 70000, error=1, rank=0), IMAGEBYTES), DriverException, "xxx"),
    ],
)
async def test_every_bad_image_is_a_typed_error_and_the_next_one_is_good(
    reply: bytes, kind: type[AlpacaError], reason: str
) -> None:
    replies = iter([reply, http(GOOD, IMAGEBYTES)])
    async with OneImage(lambda _: next(replies)) as camera:
        with pytest.raises(kind, match=reason) as caught:
            await asyncio.wait_for(camera.get_image_array(), 5)
        assert caught.value.server.startswith("http://127.0.0.1:")
        assert caught.value.member == "camera/0/imagearray"
        np.testing.assert_array_equal(await camera.get_image_array(), ramp(3, 7))


@pytest.mark.parametrize("excess", [-1, 0, 1, 300_000])
@pytest.mark.parametrize("data_start", [44, 1000])
async def test_a_long_error_text_is_cut(excess: int, data_start: int) -> None:
    body = imagebytes(b"x" * (MAX_ERROR_TEXT + excess), error=1035, data_start=data_start)
    async with OneImage(http(body, IMAGEBYTES)) as camera:
        with pytest.raises(InvalidOperationException) as caught:
            await camera.get_image()
    assert caught.value.message == "x" * min(MAX_ERROR_TEXT + excess, MAX_ERROR_TEXT)


@pytest.mark.parametrize("shape", [(3, 7), (40, 30), (400, 300), (40, 30, 3)])
@pytest.mark.parametrize("injected", [False, True])
async def test_an_error_number_with_pixels_keeps_the_number(
    shape: tuple[int, ...], injected: bool
) -> None:
    body = image(ramp(*shape), error=0x40B)
    async with httpx.AsyncClient() as own:
        async with OneImage(http(body, IMAGEBYTES), http=own if injected else None) as camera:
            with pytest.raises(InvalidOperationException) as caught:
                await camera.get_image()
    assert (caught.value.number, caught.value.message) == (0x40B, "")
    assert str(caught.value).isprintable()


async def test_an_error_text_is_kept_though_the_header_describes_pixels() -> None:
    body = imagebytes(b"no image", 40, 30, error=0x40B)
    async with OneImage(http(body, IMAGEBYTES)) as camera:
        with pytest.raises(InvalidOperationException, match="no image"):
            await camera.get_image()


# Servers that count only the pixels in Content-Length

COUNTED = ramp(40, 30)


def pixels_counted(
    body: bytes, *, length: int = COUNTED.nbytes, cuts: tuple[int, ...] = ()
) -> Reply:
    """Return a reply that states `length`, sends `body` cut at `cuts`, and closes."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {IMAGEBYTES}\r\nContent-Length: {length}\r\n\r\n"

    async def pieces(_: Request) -> AsyncIterator[bytes]:
        yield head.encode()
        for start, stop in pairwise((0, *cuts, len(body))):
            yield body[start:stop]
            await asyncio.sleep(0.005)
        raise ConnectionError

    return pieces


@pytest.mark.parametrize("data_start", [44, 60])
@pytest.mark.parametrize("cuts", [(), (44,), (20, 90), (COUNTED.nbytes,), (COUNTED.nbytes + 20,)])
async def test_an_image_whose_length_counts_only_the_pixels_is_read_to_its_end(
    data_start: int, cuts: tuple[int, ...], caplog: pytest.LogCaptureFixture
) -> None:
    reply = pixels_counted(image(COUNTED, data_start=data_start), cuts=cuts)
    async with OneImage(reply) as camera:
        for _ in range(2):
            np.testing.assert_array_equal(await camera.get_image_array(), COUNTED)
        found = await camera.get_image()
    np.testing.assert_array_equal(found.array, COUNTED)
    warnings = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert len(warnings) == 1
    assert "Content-Length that counts only the pixels" in warnings[0]


@pytest.mark.parametrize("missing", [1, 43, 44])
async def test_an_image_whose_length_counts_only_the_pixels_must_be_complete(missing: int) -> None:
    body = image(COUNTED)
    async with OneImage(pixels_counted(body[:-missing])) as camera:
        with pytest.raises(IncompleteImage, match=f"{len(body) - missing} of {len(body)} bytes"):
            await camera.get_image_array()


@pytest.mark.parametrize("difference", [-2, -1, 1, 2, 43])
async def test_any_other_length_that_differs_from_the_header_is_an_error(difference: int) -> None:
    reply = pixels_counted(image(COUNTED), length=COUNTED.nbytes + difference)
    async with OneImage(reply) as camera:
        with pytest.raises(IncompleteImage):
            await camera.get_image_array()


async def test_a_body_of_pixels_that_continues_into_another_reply_closes_the_connection() -> None:
    """What follows is never taken for the reply to the next request."""
    stray = http(json.dumps({"Value": 99}).encode())

    async def answer(_: Request) -> AsyncIterator[bytes]:
        yield http(b"", IMAGEBYTES).replace(b": 0\r\n", b": %d\r\n" % COUNTED.nbytes)
        yield image(COUNTED) + stray
        await asyncio.sleep(30)

    own = http(json.dumps({"Value": 5}).encode())
    async with ScriptedServer({"imagearray": answer, "gain": own}) as server:
        async with AlpacaClient() as client:
            camera = client.camera(server.address)
            np.testing.assert_array_equal(await camera.get_image_array(), COUNTED)
            assert await camera.get_gain() == 5


async def test_an_image_above_the_limit_is_refused_before_it_is_allocated() -> None:
    body = image(ramp(100, 100))
    async with OneImage(http(body, IMAGEBYTES), max_image_bytes=19_999) as camera:
        with pytest.raises(MalformedResponse, match="20000 bytes exceeds the limit of 19999"):
            await camera.get_image_array()


async def test_a_stalled_image_ends_at_the_stall_timeout() -> None:
    async def stall(_: Request) -> AsyncIterator[bytes]:
        yield http(GOOD, IMAGEBYTES)[:-10]
        await asyncio.sleep(30)

    async with OneImage(stall, timeouts=Timeouts(stall=0.1)) as camera:
        with pytest.raises(TransportTimeout, match="sent no data"):
            await asyncio.wait_for(camera.get_image_array(), 5)


@pytest.mark.parametrize("contiguous", [True, False])
async def test_progress_of_a_download_ends_at_the_total(contiguous: bool) -> None:
    seen: list[Progress] = []
    async with OneImage(http(image(ramp(200, 100)), IMAGEBYTES)) as camera:
        await camera.get_image(contiguous=contiguous, progress=seen.append)
    assert {progress.phase for progress in seen} == {"downloading"}
    assert (seen[-1].bytes_received, seen[-1].bytes_total) == (40_000, 40_000)
    assert seen[-1].fraction == 1
    assert [p.bytes_received for p in seen] == sorted(p.bytes_received for p in seen)


async def test_progress_of_a_json_image_ends_at_the_length_of_its_text() -> None:
    seen: list[Progress] = []
    text = json.dumps({"Type": 2, "Rank": 2, "Value": ramp(300, 300).tolist()}).encode()
    async with OneImage(http(text)) as camera:
        await camera.get_image(progress=seen.append)
    assert len(seen) >= 2
    assert (seen[0].bytes_total, seen[0].fraction) == (None, None)
    assert (seen[-1].bytes_received, seen[-1].fraction) == (len(text), 1)


async def test_an_error_in_a_progress_callback_reaches_the_caller_unchanged() -> None:
    def broken(_: Progress) -> None:
        raise OSError("mine")

    replies = [http(GOOD, IMAGEBYTES)] * 2
    async with OneImage(lambda _: replies.pop()) as camera:
        with pytest.raises(OSError, match=r"^mine$"):
            await camera.get_image(progress=broken)
        assert (await camera.get_image()).data.shape == (7, 3)


async def test_an_error_in_a_progress_callback_passes_an_injected_client_unchanged() -> None:
    def broken(_: Progress) -> None:
        raise OSError("mine")

    async with httpx.AsyncClient(transport=DirectTransport()) as http_client:
        async with OneImage(http(GOOD, IMAGEBYTES), http=http_client) as camera:
            with pytest.raises(OSError, match=r"^mine$"):
                await camera.get_image(progress=broken)


async def test_at_most_max_downloads_run_at_once() -> None:
    running, most = 0, 0

    async def slow(_: Request) -> AsyncIterator[bytes]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.02)
        yield http(GOOD, IMAGEBYTES)
        running -= 1

    async with OneImage(slow, max_downloads=2) as camera:
        await asyncio.gather(*(camera.get_image_array() for _ in range(8)))
    assert most == 2


def test_downloads_are_limited_in_one_event_loop_after_another() -> None:
    client = AlpacaClient(max_downloads=1)

    async def download_twice() -> None:
        async with ScriptedServer({"imagearray": http(GOOD, IMAGEBYTES)}) as server:
            camera = client.camera(server.address)
            await asyncio.gather(camera.get_image_array(), camera.get_image_array())

    for _ in range(2):
        asyncio.run(download_twice())
    asyncio.run(client.aclose())


async def test_a_closed_client_starts_no_waiting_download() -> None:
    async def slow(_: Request) -> bytes:
        await asyncio.sleep(0.1)
        return http(GOOD, IMAGEBYTES)

    async with ScriptedServer({"imagearray": slow}) as server:
        client = AlpacaClient(max_downloads=1)
        camera = client.camera(server.address)
        downloads = [asyncio.create_task(camera.get_image_array()) for _ in range(3)]
        await asyncio.sleep(0.05)
        await client.aclose()
        results = await asyncio.gather(*downloads, return_exceptions=True)
    assert {type(result) for result in results} == {TransportError}
    assert server.count("imagearray") == 1


@in_virtual_time
async def test_the_wait_for_earlier_images_does_not_count_as_a_stall() -> None:
    async def slow(_: Request) -> AsyncIterator[bytes]:
        reply = http(GOOD, IMAGEBYTES)
        for start in range(0, len(reply), 20):
            yield reply[start : start + 20]
            await asyncio.sleep(0.05)

    limits = Timeouts(stall=0.2)
    async with OneImage(slow, timeouts=limits, connections_per_server=1) as camera:
        await asyncio.gather(*(camera.get_image_array() for _ in range(3)))


async def test_a_rejection_that_trickles_ends_at_the_reply_timeout() -> None:
    async def drip(_: Request) -> AsyncIterator[bytes]:
        yield b"HTTP/1.1 500 Oops\r\nContent-Length: 1000\r\n\r\n"
        while True:
            yield b" "
            await asyncio.sleep(0.02)

    async with OneImage(drip, timeouts=Timeouts(reply=0.2)) as camera:
        with pytest.raises(TransportTimeout):
            await asyncio.wait_for(camera.get_image_array(), 3)


async def broken_off(_: Request) -> AsyncIterator[bytes]:
    yield http(LARGE, IMAGEBYTES)[:-10]
    raise ConnectionError


async def silent(_: Request) -> AsyncIterator[bytes]:
    yield http(LARGE, IMAGEBYTES)[:-10]
    await asyncio.sleep(30)


@pytest.mark.parametrize("injected", [False, True])
@pytest.mark.parametrize(
    "reply",
    [http(LARGE, IMAGEBYTES), chunked(LARGE + b"x"), broken_off, silent],
    ids=["good", "too long", "broken off", "silent"],
)
async def test_pixels_are_freed_with_the_image_or_its_error(
    reply: Reply, injected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    memories: list[weakref.ref[Any]] = []

    def recording(
        shape: tuple[int, ...], conversion: Conversion, memory: FrameMemory | None
    ) -> AscomOrderBuffer:
        buffer = AscomOrderBuffer(shape, conversion, memory)
        memories.append(weakref.ref(buffer.array))
        return buffer

    layout = replace(ASCOM_ORDER, new_buffer=recording)
    monkeypatch.setattr(imaging_module, "ASCOM_ORDER", layout)
    async with httpx.AsyncClient() as own:
        options = {"http": own if injected else None, "timeouts": Timeouts(stall=0.2)}
        async with OneImage(reply, **options) as camera:
            gc.collect()
            gc.disable()
            try:
                with suppress(AlpacaError):
                    await camera.get_image_array()
                await asyncio.sleep(0.02)
                assert [memory() for memory in memories] == [None]
            finally:
                gc.enable()


async def test_an_image_survives_asarray_and_its_copy_semantics() -> None:
    async with OneImage(http(GOOD, IMAGEBYTES)) as camera:
        found = await camera.get_image()
    assert np.shares_memory(np.asarray(found), found.data)
    assert not np.shares_memory(np.array(found, copy=True), found.data)
    assert np.asarray(found, dtype=float).dtype == float


async def test_a_large_image_without_a_length_is_received_in_ascom_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a Content-Length nothing confirms the size in the header."""
    monkeypatch.setattr("alpaca_async._download.sink._MAX_ROW_MAJOR_WITHOUT_LENGTH", 1000)
    expected = ramp(300, 200)
    async with OneImage(chunked(image(expected))) as camera:
        found = await camera.get_image()
    np.testing.assert_array_equal(found.array, expected)
    assert found.data.flags.c_contiguous


@pytest.mark.parametrize("shape", [(2**31 - 1, 2**31 - 1), (2**31 - 1, 2**31 - 1, 1024)])
async def test_an_image_too_large_for_memory_is_refused(shape: tuple[int, ...]) -> None:
    async with OneImage(chunked(imagebytes(bytes(99), *shape)), max_image_bytes=2**99) as camera:
        with pytest.raises(MalformedResponse, match="not enough memory for an image"):
            await camera.get_image()


@pytest.mark.parametrize("place", ["transpose_blocked", "ImageJsonParser.feed"])
async def test_a_memory_error_later_refuses_the_image(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = json.dumps({"Type": 2, "Rank": 2, "Value": [[1, 2]]}).encode()
    async with OneImage(http(text)) as camera:
        monkeypatch.setattr(
            f"alpaca_async._download.download.{place}", Mock(side_effect=MemoryError)
        )
        with pytest.raises(MalformedResponse, match="camera/0/imagearray: not enough memory"):
            await camera.get_image()


@pytest.mark.skipif(np.lib.NumpyVersion(np.__version__) < "2.0.0", reason="new in numpy 2")
async def test_copy_false_is_refused_if_the_array_needs_a_copy() -> None:
    async with OneImage(http(GOOD, IMAGEBYTES)) as camera:
        found = await camera.get_image()
    assert np.shares_memory(np.array(found, copy=False), found.data)
    with pytest.raises(ValueError, match="copy"):
        np.array(found, dtype=float, copy=False)
