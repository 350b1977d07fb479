"""Each value at an edge of a dtype, converted to each other dtype."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from alpaca_async import PixelType
from alpaca_async._protocol.conversion import Conversion
from alpaca_async._protocol.imagebytes import DTYPES
from tests.pixel_values import edges_of, first_misfit


@pytest.mark.parametrize("target", DTYPES.values(), ids=str)
@pytest.mark.parametrize("sent", DTYPES.values(), ids=str)
def test_each_edge_is_exact_or_does_not_fit(sent: np.dtype[Any], target: np.dtype[Any]) -> None:
    conversion = Conversion(sent, PixelType(target))
    for value in edges_of(sent):
        pixels = np.array([0, value, 0], sent)
        misfit = first_misfit(pixels, target)
        assert conversion.first_misfit(pixels) == (misfit and misfit[0])
        if misfit is None:
            memory = np.empty(3, target)
            found = conversion.applied(pixels, memory)
            np.testing.assert_array_equal(found, pixels.astype(target), strict=True)
            assert np.shares_memory(found, pixels) == conversion.keeps_bytes
