"""The speed of reordering into rows: `python -m benchmarks.rowmajor [width height dtype]`.

Prints the table of docs/decisions/0003-row-major.md. All methods run alternately, several times;
the median counts. "slab" copies from a buffer that was just filled, as during a download. The other
methods copy from a whole frame.
"""

from __future__ import annotations

import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from importlib.util import find_spec
from multiprocessing import Process
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from alpaca_async._download import transposition
from alpaca_async._download.rowmajor import RowMajorBuffer, transpose_blocked
from alpaca_async._protocol.conversion import Conversion

from .child import touch_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    Pixels = NDArray[Any]
    Method = Callable[[Pixels, Pixels], float]

REPEATS = 5
TOUCHED = 2**32


def timed(work: Callable[[], object]) -> float:
    start = perf_counter()
    work()
    return perf_counter() - start


def copyto(source: Pixels, target: Pixels) -> float:
    return timed(lambda: np.copyto(target, source.T))


def ascontiguousarray(source: Pixels, target: Pixels) -> float:
    del target
    return timed(lambda: np.ascontiguousarray(source.T))


def transpose_whole_frame(source: Pixels, target: Pixels) -> float:
    return timed(lambda: list(transpose_blocked(source, target)))


def blocks(columns: int, rows: int) -> Method:
    def method(source: Pixels, target: Pixels) -> float:
        def work() -> None:
            for x in range(0, source.shape[0], columns):
                for y in range(0, source.shape[1], rows):
                    block = source[x : x + columns, y : y + rows]
                    np.copyto(target[y : y + rows, x : x + columns], block.T)

        return timed(work)

    return method


def in_two_threads(source: Pixels, target: Pixels) -> float:
    half = len(source) // 2
    method = blocks(128, source.shape[1])
    sources = (source[:half], source[half:])
    targets = (target[:, :half], target[:, half:])
    with ThreadPoolExecutor(2) as pool:
        return timed(lambda: list(pool.map(method, sources, targets)))


def slab(columns: int, place: Callable[[Pixels, Pixels], None]) -> Method:
    def method(source: Pixels, target: Pixels) -> float:
        buffer = np.empty_like(source[:columns])
        total = 0.0
        for part, x in cut(source, columns):
            filled = buffer[: len(part)]
            filled[...] = part
            rows = target[:, x : x + columns]
            start = perf_counter()
            place(filled, rows)
            total += perf_counter() - start
        return total

    return method


def cut(source: Pixels, columns: int) -> Iterator[tuple[Pixels, int]]:
    for x in range(0, len(source), columns):
        yield source[x : x + columns], x


def directly(filled: Pixels, rows: Pixels) -> None:
    np.copyto(rows, filled.T)


def through_tile(
    run: int, padding: int = 64, width: int = 2048
) -> Callable[[Pixels, Pixels], None]:
    """Copy through tiles of `run` bytes of each column and `width` bytes of each row."""
    tile = np.empty((width, run + padding), np.uint8)

    def place(filled: Pixels, rows: Pixels) -> None:
        step, columns = run // filled.itemsize, width // filled.itemsize
        typed = tile.view(filled.dtype)
        for y in range(0, filled.shape[1], step):
            for x in range(0, len(filled), columns):
                block = filled[x : x + columns, y : y + step]
                part = typed[: len(block), : block.shape[1]]
                np.copyto(part, block)
                np.copyto(rows[y : y + step, x : x + columns], part.T)

    return place


def by_extension(filled: Pixels, rows: Pixels) -> None:
    assert transposition.compiled is not None
    transposition.compiled(filled[..., np.newaxis], rows[..., np.newaxis])


def by_opencv(filled: Pixels, rows: Pixels) -> None:
    cv2 = import_module("cv2")
    cv2.setNumThreads(1)
    cv2.transpose(filled, rows)


def compiled_methods() -> dict[str, Method]:
    """Return the methods of what is installed, for slabs of about 1, 2 and 4 MiB."""
    places = {"extension": by_extension} if transposition.compiled is not None else {}
    if find_spec("cv2"):
        places["OpenCV"] = by_opencv
    return {
        f"slab {k}, {name}": slab(k, place)
        for name, place in places.items()
        for k in (80, 160, 320)
    }


def interleaved(frames: int, columns: int, place: Callable[[Pixels, Pixels], None]) -> Method:
    """Copy slabs of several frames alternately; the time is that of one frame."""
    kept: list[Pixels] = []

    def method(source: Pixels, target: Pixels) -> float:
        if not kept:
            kept.extend(np.ones_like(target) for _ in range(frames))
        buffer = np.empty_like(source[:columns])
        total = 0.0
        for part, x in cut(source, columns):
            for each in kept:
                filled = buffer[: len(part)]
                filled[...] = part
                start = perf_counter()
                place(filled, each[:, x : x + columns])
                total += perf_counter() - start
        return total / frames

    return method


def in_pairs(filled: Pixels, rows: Pixels) -> None:
    """Swap 2 x 2 pixels of 16 bits by shifts and masks of 32-bit words, then copy these words."""
    words, out = filled.view("<u4"), rows.view("<u4")
    even, odd = words[0::2], words[1::2]
    out[0::2] = ((even & 0xFFFF) | (odd << 16)).T
    out[1::2] = ((even >> 16) | (odd & 0xFFFF0000)).T


def in_quads(filled: Pixels, rows: Pixels) -> None:
    """Copy 4 pixels of 16 bits as one 64-bit word, then copy with strides within the words."""
    columns, height = filled.shape
    words = np.ascontiguousarray(filled.view("<u8").T).view("<u2").reshape(height // 4, columns, 4)
    for lane in range(4):
        rows[lane::4] = words[..., lane]


def column_slabs(source: Pixels, target: Pixels) -> float:
    del target
    slabs = RowMajorBuffer(source.shape, Conversion(source.dtype))
    data = source.reshape(-1).view(np.uint8).data
    done, total = 0, 0.0
    while slabs.missing:
        buffer = slabs.get_buffer()
        buffer[:] = data[done : done + len(buffer)]
        done += len(buffer)
        start = perf_counter()
        slabs.received(len(buffer))
        total += perf_counter() - start
    assert np.array_equal(slabs.array, source.T)
    return total


def send_on_request(listener: socket.socket, shape: tuple[int, ...], dtype: str) -> None:
    data = np.ones(shape, dtype).tobytes()
    connection, _ = listener.accept()
    while connection.recv(1):
        connection.sendall(data)


def receive_columns(connection: socket.socket, source: Pixels) -> Pixels:
    frame = np.empty_like(source)
    free = frame.reshape(-1).view(np.uint8).data
    connection.sendall(b"x")
    while free:
        free = free[connection.recv_into(free) :]
    return frame


def receive_then_transpose(connection: socket.socket, source: Pixels) -> Pixels:
    target = np.empty(source.shape[::-1], source.dtype)
    for _ in transpose_blocked(receive_columns(connection, source), target):
        pass
    return target


def receive_then_copy(connection: socket.socket, source: Pixels) -> Pixels:
    return np.ascontiguousarray(receive_columns(connection, source).T)


def receive_slabs(connection: socket.socket, source: Pixels) -> Pixels:
    slabs = RowMajorBuffer(source.shape, Conversion(source.dtype))
    connection.sendall(b"x")
    while slabs.missing:
        slabs.received(connection.recv_into(slabs.get_buffer()))
    return slabs.array


def receptions(source: Pixels) -> Iterator[tuple[str, Method]]:
    listener = socket.create_server(("127.0.0.1", 0))
    sender = Process(
        target=send_on_request, args=(listener, source.shape, source.dtype.str), daemon=True
    )
    sender.start()
    connection = socket.create_connection(listener.getsockname())
    for receive in (receive_columns, receive_then_copy, receive_then_transpose, receive_slabs):
        yield receive.__name__, reception(connection, receive)


def reception(
    connection: socket.socket, receive: Callable[[socket.socket, Pixels], Pixels]
) -> Method:
    return lambda source, _: timed(lambda: receive(connection, source))


def methods(source: Pixels) -> dict[str, Method]:
    some: dict[str, Method] = {
        "np.ascontiguousarray(a.T)": ascontiguousarray,
        "np.copyto(target, a.T)": copyto,
        "blocks 64 x 64": blocks(64, 64),
        "blocks 128 x 128": blocks(128, 128),
        "blocks 256 x 256": blocks(256, 256),
        "blocks 512 x 64": blocks(512, 64),
        "blocks 64 x 512": blocks(64, 512),
        "blocks 128 x all": blocks(128, source.shape[1]),
        "128 x all, two threads": in_two_threads,
        "transpose_blocked": transpose_whole_frame,
        **{f"slab {k}": slab(k, directly) for k in (16, 32, 64, 96, 128, 192, 256)},
        "slab 128, tiles of 1 KiB": slab(128, through_tile(1024)),
        "slab 128, tiles of 2 KiB": slab(128, through_tile(2048)),
        "slab 128, tiles of 2 KiB, no padding": slab(128, through_tile(2048, 0)),
        "slab 128, tiles of 8 KiB": slab(128, through_tile(8192)),
        **{
            f"slab {k}, small tiles": slab(k, through_tile(2048, width=256))
            for k in (128, 256, 512)
        },
        **{
            f"slab {k}, small tiles, 4 frames interleaved": interleaved(
                4, k, through_tile(2048, width=256)
            )
            for k in (128, 256, 512)
        },
        **compiled_methods(),
        "RowMajorBuffer": column_slabs,
        **dict(receptions(source)),
    }
    if source.itemsize == 2 and source.shape[0] % 2 == source.shape[1] % 4 == 0:  # noqa: PLR2004
        some["slab 128, pairs by arithmetic"] = slab(128, in_pairs)
        some["slab 128, quads by strides"] = slab(128, in_quads)
    return some


def main(width: str = "9576", height: str = "6388", dtype: str = "<u2") -> None:
    shape = (int(width), int(height))
    source = np.random.default_rng(0).integers(0, 256, shape).astype(dtype)
    target = np.zeros(shape[::-1], dtype)
    chosen = methods(source)
    times: dict[str, list[float]] = {name: [] for name in chosen}
    touch_memory(TOUCHED)
    for _ in range(REPEATS):
        for name, method in chosen.items():
            times[name].append(method(source, target))
    for name, some in times.items():
        middle, least = median(some), min(some)
        pixel = 1e9 / source.size
        print(f"| {name} | {middle * 1e3:.0f} | {middle * pixel:.2f} | {least * pixel:.2f} |")


if __name__ == "__main__":
    main(*sys.argv[1:])
