"""Runs the program of the how-to guide that kills a process."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.whole.test_docs import ROOT, blocks_of

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.ray


@pytest.mark.timeout(120)
def test_the_program_that_kills_a_process_prints_what_the_page_says(tmp_path: Path) -> None:
    page = ROOT / "docs" / "how-to" / "many-hosts.md"
    (program,) = (block.code for block in blocks_of(page) if "SIGKILL" in block.code)
    done = subprocess.run(  # noqa: S603 - our own interpreter and page
        [sys.executable, "-c", program],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "round 1: [None, None, None, None]" in lines
    assert "round 3: [None, None, None, None]" in lines
    second = [line for line in lines if line.startswith("round 2, camera")]
    assert [("the host is lost" in line, "has its frame" in line) for line in second] == [
        (True, False),
        (True, False),
        (False, True),
        (False, True),
    ]
