"""A short run of `python -m tests.fuzz`; CI runs it longer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from tests.fuzz import imagebytes, json_replies
from tests.fuzz.__main__ import CHECKS, fuzz

ROOT = Path(__file__).resolve().parents[2]


def test_mutated_replies_are_decoded_or_refused_in_bounded_memory() -> None:
    """In a separate process, so that other tests do not affect the memory measured."""
    command = (sys.executable, "-m", "tests.fuzz", "--json-images", "200")
    sizes = ("--imagebytes", "2000", "--envelopes", "2000")
    done = subprocess.run((*command, *sizes), cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - our own interpreter
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" refused") == done.stdout.count(" device error") == 3


@pytest.mark.parametrize("name", CHECKS)
def test_the_same_seed_gives_the_same_cases(name: str) -> None:
    assert fuzz(CHECKS[name], 20, 7) == fuzz(CHECKS[name], 20, 7)


def test_the_oracles_detect_wrong_results() -> None:
    """An unchanged payload is an image or an error."""
    rng = Random(1)
    assert all(imagebytes.expected_content(imagebytes.payload(rng)) is not None for _ in range(200))
    assert json_replies.image_of(b'{"Type":2,"Rank":2,"Value":[[1,2]]}') is not None
    assert json_replies.image_of(b'{"Type":2,"Rank":3,"Value":[[1,2]]}') is None
    assert json_replies.image_of(b'{"Type":2,"Rank":2,"Value":[[1,true]]}') is None
