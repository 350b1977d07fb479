"""Reconnects to a camera whose server was lost, at the same address or at a new one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable  # noqa: TC003 - of a dataclass
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from alpaca_async._address import origin
from alpaca_async._device.patience import Patience
from alpaca_async._discovery.discovery import (
    DISCOVERY_PORT,
    check_discovery_port,
    check_hosts,
)
from alpaca_async._discovery.finding import check_unique_id, find_camera
from alpaca_async._errors import (
    AlpacaError,
    IncompleteImage,
    NotConnectedException,
    OperationFailed,
    OperationTimeout,
    RequestRejected,
    TransportError,
)
from alpaca_async._protocol.values import check_duration
from alpaca_async._session.management import get_configured_devices
from alpaca_async._tasks import together

from .exposure import Exposing
from .frame import plan
from .framing import FRAME_MEMBERS, Framing
from .idle import READ_LIMIT

if TYPE_CHECKING:
    from collections.abc import Mapping


_GATEWAY_STATUSES: Final = (502, 503, 504)
"""Statuses with which gateways report that the server behind them is not available."""
_SEARCH_TIMEOUT: Final = 2.0
"""Seconds to wait for the replies to one discovery request."""
_SETTINGS: Final = ("ReadoutMode", "FastReadout", "Gain", "Offset", "SubExposureDuration")
"""In the order in which they are restored: the possible gains may depend on the mode."""
_RESTORE_ROUNDS: Final = 4
"""How often the settings are compared: some cameras adapt one to another."""


logger = logging.getLogger("alpaca_async")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconnect:
    """How to reconnect to a camera that was lost."""

    timeout: float = 300.0
    """Seconds until reconnecting fails."""
    interval: float = 2.0
    """Seconds between two attempts."""
    unique_id: str | None = None
    """Search the network for the camera with this id; None waits for it at its old address."""
    hosts: tuple[str, ...] | None = None
    """Names or addresses to search; None searches all networks of this computer."""
    port: int = DISCOVERY_PORT
    """The UDP port for the search."""
    prepare: Callable[[], Awaitable[object]] | None = None
    """Awaited when the camera is back, for example to cool it; `timeout` does not limit it."""
    attempts: int = 3
    """How often one exposure of a sequence is repeated before its error is raised."""

    def __post_init__(self) -> None:
        check_duration("timeout", self.timeout)
        check_duration("interval", self.interval)
        check_discovery_port(self.port)
        if self.unique_id is not None:
            check_unique_id(self.unique_id)
        if self.hosts is not None:
            check_hosts(self.hosts)


_SAME_ADDRESS: Final = Reconnect()


class Recovering(Exposing, Framing):
    """A camera that can be reconnected to after a loss."""

    async def reconnect(self, how: Reconnect = _SAME_ADDRESS) -> None:
        """Wait until the camera is back, connect it, and restore what this client had set.

        Only reads if the camera is connected and has these values. With `how.unique_id` the object
        follows the camera to another address or number: `server` and `device_number` change.
        Restores frame, gain, offset, readout and sub-exposures if this client has set them and
        the camera has other values. Does not restore the cooler: a camera that lost its power is
        warm, and only `how.prepare` can know how fast it may cool.

        The search uses http without credentials; the server that has the camera then gets the
        client's credentials.

        Raises:
            OperationTimeout: the camera did not come back within `how.timeout` seconds.
            ValueError: `unique_id` is given, but the camera's server uses https: discovery
                finds http only.
            AscomError: the camera refuses a setting that it had before.
        """
        self._check_reconnect(how)
        async with self._operation("connected"):
            await self._reconnect(how)

    async def _reconnect(self, how: Reconnect) -> None:
        self._record.forget()
        try:
            async with asyncio.timeout(how.timeout):
                while not await self._is_back(how):  # noqa: ASYNC110 - only polling can tell
                    await asyncio.sleep(how.interval)
        except TimeoutError:
            late = OperationTimeout(f"the camera did not come back within {how.timeout:g} s")
            raise late.at(self._server, self._member("connected")) from None
        if how.prepare is not None:
            await how.prepare()

    async def _is_back(self, how: Reconnect) -> bool:
        """Try to locate, connect and restore the camera; return whether all of it succeeded."""
        patience = Patience()
        try:
            await self._locate(how)
            if not await self._read_again("connected", self.get_connected, patience):
                await self.connect()
        except AlpacaError as error:
            logger.info("%r is not back yet: %s", self, error)
            return False
        try:
            await self._restore_settings(patience)
        except AlpacaError as error:
            if not self._is_loss(error):
                raise
            logger.info("%r: its settings could not be restored yet: %s", self, error)
            return False
        return True

    async def _locate(self, how: Reconnect) -> None:
        """Find the camera with the wanted id, and follow it there."""
        if how.unique_id is None or await self._is_at_same_server(how.unique_id):
            return
        found = await find_camera(
            how.unique_id,
            how.hosts,
            timeout=_SEARCH_TIMEOUT,
            port=how.port,
            last_address=self._server,
        )
        if found is None:
            raise OperationFailed(f"no server has the camera {how.unique_id}")
        logger.info("%r is now camera %d at %s", self, found.device_number, found.address)
        self._move_to(origin(found.address), found.device_number)

    async def _is_at_same_server(self, unique_id: str) -> bool:
        """Whether the same server still has the camera, possibly with another number."""
        try:
            devices = await get_configured_devices(self._session, self._server)
        except AlpacaError as error:
            logger.info("the server at the old address cannot be asked: %s", error)
            return False
        for device in devices:
            if (device.device_type.lower(), device.unique_id) == (self._type, unique_id):
                self._move_to(self._server, device.device_number)
                return True
        return False

    async def _restore_settings(self, patience: Patience) -> None:
        """Restore the values that this client had set, where the camera has others.

        Only what was set is read. A command whose reply is lost is not repeated blindly: what the
        camera has is read again first.
        """
        changes: list[tuple[str, object]] = []
        async with self._record.frame_turns():
            for _ in range(_RESTORE_ROUNDS):
                changes = await self._differences(dict(self._record.set_values), patience)
                if not changes:
                    return
                for member, value in changes:
                    await self._call(member, {member: value}, timeout=READ_LIMIT)
        failure = OperationFailed(f"the camera does not take {', '.join(m for m, _ in changes)}")
        raise failure.at(self._server, self._member("connected"))

    async def _differences(
        self, values: Mapping[str, object], patience: Patience
    ) -> list[tuple[str, object]]:
        """Return what has to be set so that the camera has `values`, in the order of setting."""
        members = [member for member in _SETTINGS if member in values]
        present = await together(
            self._read_again(member, partial(self._get, member, type(values[member])), patience)
            for member in members
        )
        settings = [
            (member, values[member])
            for member, own in zip(members, present, strict=True)
            if own != values[member]
        ]
        if not any(member in values for member in FRAME_MEMBERS):
            return settings
        frame = await self._read_frame(partial(self._read_again, patience=patience))
        wanted = (frame[0].with_members(values), frame[1].with_members(values))
        return [*settings, *((c.member, c.value) for c in plan(frame, wanted))]

    def _check_reconnect(self, how: Reconnect) -> None:
        if how.unique_id is not None and not self._server.startswith("http:"):
            raise ValueError(
                "unique_id requires an http server: discovery does not find https servers"
            )

    def _is_loss(self, error: AlpacaError) -> bool:
        """Whether `error` means that this camera's server is, or was, unreachable."""
        if isinstance(error, RequestRejected):
            return error.server == self._server and error.status in _GATEWAY_STATUSES
        lost = isinstance(error, TransportError | IncompleteImage | NotConnectedException)
        return lost and error.server == self._server
