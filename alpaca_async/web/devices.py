"""The devices beside the cameras: filter wheel, focuser, cover, safety monitor."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, TypeVar

from alpaca_async._accessories.cover_calibrator import AsyncCoverCalibrator
from alpaca_async._accessories.filter_wheel import AsyncFilterWheel
from alpaca_async._accessories.focuser import AsyncFocuser
from alpaca_async._accessories.safety_monitor import AsyncSafetyMonitor
from alpaca_async._device.device import AsyncDevice
from alpaca_async._errors import AlpacaError, NotImplementedException

from .models import DeviceView, problem_of
from .operation import Operation

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from typing import TypeAlias

    from alpaca_async._camera import AlpacaClient
    from alpaca_async._session.management import ConfiguredDevice

    from .changes import Changes
    from .models import Command, Pace, Problem

    Movement: TypeAlias = Callable[[], Awaitable[None]]

_MAX_DEVICES: Final = 32

D = TypeVar("D", bound=AsyncDevice)

C = TypeVar("C", bound="Companion[Any]")

logger = logging.getLogger("alpaca_async")


class UnsupportedCommandError(Exception):
    """The device has no such command."""


class Companion(ABC, Generic[D]):
    """A device: its state, read once for all browsers, and the movement that one asked for."""

    kind: ClassVar[str]
    unknown: ClassVar[Mapping[str, Any]] = {}
    """What its view has while the state cannot be read."""

    def __init__(self, number: int, device: D, name: str, changes: Changes) -> None:
        self.number = number
        self._device = device
        self._name = name
        self._changes = changes
        self._values: Mapping[str, Any] = self.unknown
        self._status_error: Problem | None = None
        self._operation = Operation(changes)
        self._movements = 0

    @property
    def place(self) -> tuple[str, int]:
        """The server and the device number."""
        return self._device.server, self._device.device_number

    def view(self) -> DeviceView:
        """Return the current state."""
        return DeviceView(
            number=self.number,
            server=self._device.server,
            kind=self.kind,
            name=self._name,
            busy=self._operation.running,
            status_error=self._status_error,
            error=self._operation.error,
            **self._values,
        )

    async def run(self, pace: Pace) -> None:
        """Keep the device connected and its state up to date; retry after every error."""
        facts: dict[str, Any] = {}
        while True:
            try:
                await self._device.connect()
                facts = await self._read_facts()
                while True:
                    await self._follow(facts)
                    await asyncio.sleep(pace.interval)
            except AlpacaError as error:
                self._update({**facts, **self.unknown}, problem_of(error))
            await asyncio.sleep(pace.retry)

    async def _follow(self, facts: Mapping[str, Any]) -> None:
        """Read the state; drop it if a movement has ended meanwhile, which has read a later one."""
        movements = self._movements
        state = await self._read_state()
        if movements == self._movements:
            self._update({**facts, **state}, None)

    def keywords(self) -> Mapping[str, Any]:
        """Return what the FITS header of a frame tells of the device, as far as it is known."""
        return {}

    async def start(self, command: Command) -> None:
        """Begin a movement, after the end of the last one, which is halted."""
        movement = self._movement(command)

        async def move() -> None:
            await movement()
            self._moved(await self._read_state())

        await self._operation.start(move)

    async def close(self) -> None:
        """Halt the movement, if there is one, and wait until that is done."""
        await self._operation.close()

    def _moved(self, state: Mapping[str, Any]) -> None:
        """Show the state at the end of a movement."""
        self._movements += 1
        self._update({**self._values, **state}, self._status_error)

    def _update(self, values: Mapping[str, Any], error: Problem | None) -> None:
        if error is not None and self._status_error is None:
            logger.warning("%r cannot be read: %s", self._device, error.detail)
        if (values, error) != (self._values, self._status_error):
            self._values, self._status_error = values, error
            self._changes.notify()

    async def _read_facts(self) -> dict[str, Any]:
        """Read what does not change."""
        return {}

    @abstractmethod
    async def _read_state(self) -> dict[str, Any]:
        """Read what changes."""

    def _movement(self, command: Command) -> Movement:
        """Return what the command does."""
        raise UnsupportedCommandError(f"{self._name} has no command {command.action}.")


class FilterWheel(Companion[AsyncFilterWheel]):
    """A filter wheel."""

    kind = "filterwheel"

    async def get_connected(self) -> bool:
        """Whether the wheel is connected."""
        return await self._device.get_connected()

    async def get_filters(self) -> list[str]:
        """Return the names of the filters, by position."""
        return await self._device.get_names()

    async def select(self, position: int) -> None:
        """Move to a filter and wait for it, unless it is in place already."""
        if await self._device.get_position() != position:
            await self._device.move_to(position)
        self._moved({"position": position})

    def keywords(self) -> Mapping[str, Any]:
        """Return the name of the filter, unless the wheel moves."""
        filters, position = self._values.get("filters", ()), self._values.get("position", -1)
        if self._operation.running or not 0 <= position < len(filters):
            return {}
        return {"FILTER": filters[position]}

    async def _read_facts(self) -> dict[str, Any]:
        return {"filters": await self.get_filters()}

    async def _read_state(self) -> dict[str, Any]:
        return {"position": await self._device.get_position()}

    def _movement(self, command: Command) -> Movement:
        if command.action != "move":
            return super()._movement(command)
        return partial(self._device.move_to, command.position)


class Focuser(Companion[AsyncFocuser]):
    """A focuser; one that does not know its position is shown without it."""

    kind = "focuser"

    def keywords(self) -> Mapping[str, Any]:
        """Return the position, unless the focuser moves."""
        if self._operation.running or "position" not in self._values:
            return {}
        return {"FOCUSPOS": self._values["position"]}

    async def _read_facts(self) -> dict[str, Any]:
        absolute = await self._device.get_absolute()
        return {"maximum": await self._device.get_max_step() if absolute else None}

    async def _read_state(self) -> dict[str, Any]:
        try:
            return {"position": await self._device.get_position()}
        except NotImplementedException:  # it is not absolute
            return {}

    def _movement(self, command: Command) -> Movement:
        match command.action:
            case "move":
                return partial(self._device.move_to, command.position)
            case "halt":
                return self._device.halt
            case _:
                return super()._movement(command)


class Cover(Companion[AsyncCoverCalibrator]):
    """A cover; the calibrator is left alone."""

    kind = "covercalibrator"

    async def _read_state(self) -> dict[str, Any]:
        return {"cover": (await self._device.get_cover_state()).name}

    def _movement(self, command: Command) -> Movement:
        match command.action:
            case "open":
                return self._device.open_cover
            case "close":
                return self._device.close_cover
            case "halt":
                return self._device.halt_cover
            case "move":
                return super()._movement(command)


class SafetyMonitor(Companion[AsyncSafetyMonitor]):
    """A safety monitor; one that cannot be read is not safe."""

    kind = "safetymonitor"
    unknown: ClassVar[Mapping[str, Any]] = {"safe": False}

    async def _read_state(self) -> dict[str, Any]:
        # Not `is_safe`: it takes errors for unsafe, but they have to end in a new connection.
        return {"safe": await self._device.get_is_safe()}


class Rig:
    """The devices beside the cameras, on the cameras' servers."""

    def __init__(self, client: AlpacaClient, changes: Changes, pace: Pace) -> None:
        self.devices: list[Companion[Any]] = []
        self._client = client
        self._changes = changes
        self._pace = pace

    def wheel_for(self, server: str, device_number: int) -> FilterWheel | None:
        """Return the filter wheel that belongs to a camera; None if its server has none."""
        return self._nearest(FilterWheel, server, device_number)

    def keywords_for(self, server: str, device_number: int) -> dict[str, Any]:
        """Return filter and focus for the FITS header of a camera's frame, as far as known."""
        nearest = (self._nearest(kind, server, device_number) for kind in (FilterWheel, Focuser))
        keywords: dict[str, Any] = {}
        for device in nearest:
            if device is not None:
                keywords |= device.keywords()
        return keywords

    def _nearest(self, kind: type[C], server: str, device_number: int) -> C | None:
        """Return the device with the camera's number, else the first of its server."""
        devices = [each for each in self.devices if isinstance(each, kind)]
        nearby = [each for each in devices if each.place[0] == server]
        same = (each for each in nearby if each.place[1] == device_number)
        return next(same, nearby[0] if nearby else None)

    async def run(self, server: str) -> None:
        """List the devices of a server, once it answers, and keep their states up to date."""
        while (configured := await self._list(server)) is None:  # noqa: ASYNC110 - it is asked
            await asyncio.sleep(self._pace.retry)
        new = [device for each in configured if (device := self._add(server, each)) is not None]
        async with asyncio.TaskGroup() as tasks:
            for device in new:
                tasks.create_task(device.run(self._pace))

    async def _list(self, server: str) -> list[ConfiguredDevice] | None:
        try:
            return await self._client.get_configured_devices(server)
        except AlpacaError as error:
            logger.info("the devices beside the cameras are unknown: %s", error)
            return None

    def _add(self, server: str, configured: ConfiguredDevice) -> Companion[Any] | None:
        """Return a new device; None if it is of another type, or if there are too many."""
        if len(self.devices) >= _MAX_DEVICES:
            return None
        at = server, configured.device_number
        rest = configured.device_name, self._changes
        number = len(self.devices)
        device: Companion[Any]
        match configured.device_type.lower():
            case "filterwheel":
                device = FilterWheel(number, self._client.filter_wheel(*at), *rest)
            case "focuser":
                device = Focuser(number, self._client.focuser(*at), *rest)
            case "covercalibrator":
                device = Cover(number, self._client.cover_calibrator(*at), *rest)
            case "safetymonitor":
                device = SafetyMonitor(number, self._client.safety_monitor(*at), *rest)
            case _:
                return None
        self.devices.append(device)
        return device
