"""The two ways to copy columns into rows, of which an installation has one or both."""

from __future__ import annotations

from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest

from alpaca_async._download import transposition

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from alpaca_async._download.transposition import Copy

needs_extension = pytest.mark.skipif(
    transposition.compiled is None, reason="the extension was not compiled"
)
both_ways = pytest.mark.parametrize(
    "compiled",
    [
        pytest.param(None, id="numpy"),
        pytest.param(transposition.compiled, id="extension", marks=needs_extension),
    ],
)


def copied_by(compiled: Copy | None) -> AbstractContextManager[object]:
    """Copy by `compiled`, or by numpy if that is None."""
    return patch.object(transposition, "compiled", compiled)
