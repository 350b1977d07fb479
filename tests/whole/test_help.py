"""What `help` shows first, and that no room of the house overrides another's method."""

from __future__ import annotations

import inspect
import pydoc
from collections import Counter

import pytest

from alpaca_async import AsyncCamera

SCREEN = 40


def first_screen() -> str:
    text = pydoc.plain(pydoc.render_doc(AsyncCamera))
    return "\n".join(text.splitlines()[:SCREEN])


@pytest.mark.parametrize(
    "name",
    ["expose", "exposures", "connect", "get_image", "abort_exposure", "cool_to", "set_frame"],
)
def test_help_begins_with_what_people_look_for(name: str) -> None:
    assert name in first_screen()


def test_the_signature_shows_public_names_only() -> None:
    signature = str(inspect.signature(AsyncCamera))
    assert "client: 'AlpacaClient | None' = None" in signature


def test_the_summary_names_members_that_exist() -> None:
    table = inspect.getdoc(AsyncCamera) or ""
    rows = [line[15:] for line in table.splitlines() if line[:1].islower() and line[13:15] == "  "]
    names = {name.strip() for row in rows for name in row.split(",")} - {"..."}
    assert len(names) > 40
    assert {name for name in names if not hasattr(AsyncCamera, name)} == set()


def test_no_class_of_a_camera_overrides_what_another_defines() -> None:
    bases = [each for each in AsyncCamera.__mro__ if each.__module__.startswith("alpaca_async")]
    defined = Counter(
        name
        for each in bases
        for name, member in vars(each).items()
        if callable(member) or isinstance(member, property | staticmethod)
    )
    extended = {"__init__", "connect"}  # a camera's connect can also take it over
    assert {name for name, count in defined.items() if count > 1} <= extended
