"""Every deviation of a known server has the outcome that the page lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .known import SERVERS
from .page import PAGE, page

if TYPE_CHECKING:
    from .deviations import Deviation, Server

ROWS = [
    pytest.param(deviation, id=f"{server.name}: {deviation}")
    for server in SERVERS
    for deviation in server.deviations
]


@pytest.mark.parametrize("deviation", ROWS)
async def test_server(
    deviation: Deviation, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    await deviation.check(caplog, monkeypatch)


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `python -m tests.servers`"


def test_enough_servers_are_listed_each_once() -> None:
    names = [server.name for server in SERVERS]
    assert len(names) >= 8
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("server", SERVERS, ids=lambda server: server.name)
def test_no_deviation_of_a_server_is_listed_twice(server: Server) -> None:
    texts = [deviation.text for deviation in server.deviations]
    assert texts
    assert len(set(texts)) == len(texts)
