"""Random mutations of bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

MAX_MUTATIONS = 4
"""Mutations of one input."""


def mutated(rng: Random, data: bytes, words: Sequence[bytes]) -> bytes:
    """Return `data` with some mutations, or none; `words` are byte strings to insert."""
    for _ in range(rng.choice((0, 1, 1, 1, 2, MAX_MUTATIONS))):
        data = _mutated_once(rng, bytearray(data), words)
    return data


def cut(rng: Random, data: bytes) -> list[bytes]:
    """Return `data` in pieces: mostly a few, sometimes single bytes."""
    most = len(data) + 1
    step = rng.choices((1, 7, rng.randint(1, most), most), (1, 3, 30, 66))[0]
    return [data[start : start + step] for start in range(0, len(data), step)]


def _mutated_once(rng: Random, data: bytearray, words: Sequence[bytes]) -> bytes:
    start = rng.randint(0, len(data))
    end = min(len(data), start + rng.choice((0, 1, 1, 4, 40)))
    match rng.randrange(7):
        case 0 if data:
            data[start % len(data)] ^= 1 << rng.randrange(8)
        case 1:
            del data[start:]
        case 2:
            del data[start:end]
        case 3:
            data[start:end] = rng.choice(words)
        case 4:
            data[start:start] = rng.choice(words)
        case 5:
            data[start:start] = data[start:end]
        case _:
            data += rng.choice(words)
    return bytes(data)
