"""`alpaca-async move`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from alpaca_async import CoverStatus
from alpaca_async.testing import (
    SimulatedCamera,
    SimulatedFocuser,
    SimulatedRig,
    SimulatorServer,
    run_in_thread,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .conftest import Run


@pytest.fixture
def rig() -> SimulatedRig:
    return SimulatedRig([SimulatedCamera(initially_connected=True, speed_up=20.0)])


@pytest.fixture
def address(rig: SimulatedRig) -> Iterator[str]:
    with run_in_thread(SimulatorServer(rig.devices)) as server:
        yield server.address


def test_without_options_it_prints_where_the_devices_are(
    run: Run, address: str, rig: SimulatedRig
) -> None:
    result = run("move", address)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = ["filter: L (of L, R, G, B, Ha)", "focuser: 5000", "cover: open"]
    assert result.stdout.splitlines() == lines
    for device in rig.devices:
        assert all(request.verb == "GET" for request in device.requests)


def test_it_moves_what_it_is_told_and_prints_where_that_is(
    run: Run, address: str, rig: SimulatedRig
) -> None:
    result = run("move", address, "--filter", "R", "--focuser", 5100, "--cover", "close")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = ["filter: R (of L, R, G, B, Ha)", "focuser: 5100", "cover: closed"]
    assert result.stdout.splitlines() == lines
    assert rig.cover_calibrator.get_cover_state() is CoverStatus.CLOSED
    assert run("move", address, "--cover", "open").stdout == "cover: open\n"


def test_a_position_of_the_wheel_is_a_filter_too(run: Run, address: str, rig: SimulatedRig) -> None:
    assert run("move", address, "--filter", "2").exit_code == 0
    assert rig.filter_wheel.filter.name == "G"


def test_only_what_moves_is_connected(run: Run, address: str, rig: SimulatedRig) -> None:
    for device in rig.devices:
        device.set_connected(False)
    result = run("move", address, "--focuser", 5001)
    assert result.stderr == "connected focuser 0, and disconnected it again\n"
    assert not rig.filter_wheel.count("connect")
    assert run("move", address, "--focuser", 5002, "--keep").stderr == "connected focuser 0\n"
    assert rig.focuser.connected


def test_a_device_that_does_not_exist_is_told_before_anything_moves(run: Run) -> None:
    focuser = SimulatedFocuser(initially_connected=True)
    with run_in_thread(SimulatorServer([focuser])) as server:
        result = run("move", server.address, "--focuser", 1, "--cover", "open")
        assert result.exit_code == 2
        assert result.stderr == "alpaca-async: --cover: no cover belongs to camera 0\n"
        assert not focuser.count("move")


def test_a_server_without_such_devices_is_told(run: Run, simulated: SimulatedCamera) -> None:
    with run_in_thread(SimulatorServer([simulated])) as server:
        result = run("move", server.address)
    assert result.exit_code == 2
    assert "no filter wheel, focuser or cover belongs to camera 0" in result.stderr
