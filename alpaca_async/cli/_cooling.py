"""`alpaca-async cool` and `alpaca-async warm`: change the temperature of a camera slowly."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from ._access import Pins, User  # noqa: TC001 - typer evaluates them
from ._console import print_line, report_errors
from ._event_loop import run
from ._numbers import decimal
from ._progress_bar import ProgressBar
from ._server import Address, Device, Target, camera_at, connections

if TYPE_CHECKING:
    from alpaca_async._camera import AsyncCamera
    from alpaca_async._workflows.cooling import CoolingProgress

Rate: TypeAlias = Annotated[
    float,
    typer.Option(
        parser=decimal(0.0), metavar="DEGREES", help="Degrees per minute; 0 is as fast as it can."
    ),
]

Timeout: TypeAlias = Annotated[
    float | None,
    typer.Option(
        parser=decimal(0.0),
        metavar="SECONDS",
        help="Give up after this time. Default: no limit.",
        show_default=False,
    ),
]


def cool(
    address: Address,
    temperature: Annotated[
        float,
        typer.Argument(
            parser=decimal(), metavar="TEMPERATURE", help="In °C, such as -10.", show_default=False
        ),
    ],
    rate: Rate = 5.0,
    timeout: Timeout = None,
    device: Device = 0,
    user: User = None,
    pin: Pins = None,
) -> None:
    """Cool a camera to a temperature, and wait until it is stable.

    After an error or Ctrl-C the camera keeps the temperature that it has. It stays connected,
    because many cameras warm up when they are disconnected.
    """
    with report_errors():
        run(_cool(Target.of(address, device, user, pin), temperature, rate, timeout))


def warm(
    address: Address,
    rate: Rate = 5.0,
    timeout: Timeout = None,
    device: Device = 0,
    user: User = None,
    pin: Pins = None,
) -> None:
    """Warm a camera up, and turn the cooler off.

    After an error or Ctrl-C the camera keeps the temperature that it has, with the cooler on. It
    stays connected.
    """
    with report_errors():
        run(_warm(Target.of(address, device, user, pin), rate, timeout))


async def _cool(target: Target, temperature: float, rate: float, timeout: float | None) -> None:
    async with camera_at(target) as camera, connections(keep=True) as connect:
        await connect(camera)
        with ProgressBar(f"to {temperature:g} °C") as bar:
            follow = partial(_follow, bar, "cooling")
            await camera.cool_to(temperature, rate=rate or None, timeout=timeout, progress=follow)
        await _print_state(camera)


async def _warm(target: Target, rate: float, timeout: float | None) -> None:
    async with camera_at(target) as camera, connections(keep=True) as connect:
        await connect(camera)
        with ProgressBar("to the temperature outside") as bar:
            follow = partial(_follow, bar, "warming")
            await camera.warm_up(rate=rate or None, timeout=timeout, progress=follow)
        await _print_state(camera)


def _follow(bar: ProgressBar, phase: str, progress: CoolingProgress) -> None:
    power = "" if progress.power is None else f", cooler at {progress.power:.0f} %"
    bar.show(phase, progress.fraction, f"{progress.temperature:.1f} °C{power}")


async def _print_state(camera: AsyncCamera) -> None:
    cooler = "on" if await camera.get_cooler_on() else "off"
    print_line(f"{await camera.get_ccd_temperature():.1f} °C, the cooler is {cooler}")
