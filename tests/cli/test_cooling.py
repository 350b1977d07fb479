"""The commands cool and warm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from alpaca_async import AsyncCamera, CoolingPace
from alpaca_async.testing import SimulatedCamera

from .conftest import ctrl_c_when

if TYPE_CHECKING:
    from .conftest import Run


@pytest.fixture
def simulated() -> SimulatedCamera:
    return SimulatedCamera(width=8, height=8, speed_up=200.0)


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Poll often, and take a temperature for stable soon."""
    pace = CoolingPace(interval=0.02, settled=0.1, stalled=30.0)
    for method in (AsyncCamera.cool_to, AsyncCamera.warm_up):
        defaults = {**(method.__kwdefaults__ or {}), "pace": pace}
        monkeypatch.setattr(method, "__kwdefaults__", defaults)


def test_a_camera_is_cooled_stays_connected_and_is_warmed_again(
    run: Run, address: str, simulated: SimulatedCamera
) -> None:
    result = run("cool", address, "-10", "--rate", 0)
    assert (result.exit_code, result.stderr) == (0, "connected camera 0\n")
    temperature, rest = result.stdout.split(" ", 1)
    assert float(temperature) == pytest.approx(-10, abs=0.6)
    assert rest == "°C, the cooler is on\n"
    assert simulated.connected
    result = run("warm", address, "--rate", 0)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.endswith("°C, the cooler is off\n")
    assert not simulated.get_cooler_on()


def test_the_rate_is_that_of_the_option(run: Run, address: str, simulated: SimulatedCamera) -> None:
    result = run("cool", address, "-10", "--rate", 6, "--timeout", 0.3)
    assert result.exit_code == 1
    assert "after 0.3 s" in result.stderr
    assert simulated.get_ccd_temperature() > 10


def test_after_ctrl_c_the_camera_keeps_its_temperature(
    run: Run, address: str, simulated: SimulatedCamera
) -> None:
    with ctrl_c_when(lambda: simulated.cooler.on):
        result = run("cool", address, "-10", "--rate", 6)
    assert result.exit_code == 130
    assert "a temperature ramp ended early" in result.stderr
    assert simulated.get_cooler_on()
    assert simulated.cooler.set_point > 10
    assert simulated.connected


def test_a_terminal_shows_the_temperature(
    run: Run, address: str, terminal: None, simulated: SimulatedCamera
) -> None:
    shown = run("cool", address, "-5", "--rate", 0).stderr
    assert "cooling" in shown
    assert "cooler at " in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["1,5"], "'1,5' has a comma; use a point: 1.5"),
        (["cold"], "'cold' is not a number"),
        (["nan"], "must be a number, not nan"),
        (["-10", "--rate", "-1"], "must be at least 0, not -1"),
        (["-10", "--fast"], "--fast"),
    ],
)
def test_wrong_arguments_are_usage_errors(
    run: Run, address: str, arguments: list[str], message: str
) -> None:
    result = run("cool", address, *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_camera_without_a_cooler_is_told(
    run: Run, address: str, simulated: SimulatedCamera
) -> None:
    simulated.has_cooler = False
    result = run("cool", address, "-10")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
