"""AsyncCamera and AlpacaClient, the main classes of the public API."""

from __future__ import annotations

from ._accessories.cover_calibrator import AsyncCoverCalibrator
from ._accessories.filter_wheel import AsyncFilterWheel
from ._accessories.focuser import AsyncFocuser
from ._accessories.safety_monitor import AsyncSafetyMonitor
from ._address import origin
from ._device.device import AsyncDevice
from ._session.management import (
    ConfiguredDevice,
    ServerDescription,
    get_api_versions,
    get_configured_devices,
    get_server_description,
)
from ._session.session import Session
from ._workflows.cooling import Cooling
from ._workflows.framing import Framing
from ._workflows.gain_offset import GainOffset
from ._workflows.guiding import Guiding
from ._workflows.sequence import Sequencing
from ._workflows.watch import Watching


class AsyncCamera(Sequencing, Watching, Framing, GainOffset, Cooling, Guiding):
    """A camera of an Alpaca server.

    `AsyncCamera("192.168.1.20:11111", 0)` owns its connections, and `async with` closes them.
    Cameras from `AlpacaClient.camera` use the client's connections. The main methods:

    =============  ==========================================================================
    connection     connect, disconnect, get_connected, reconnect
    exposure       expose, exposures, abort_exposure, stop_exposure, wait_image_ready
    image          get_image, get_image_array
    state          get_status, watch, get_camera_state, get_percent_completed
    facts          get_info, get_settings, get_name, get_sensor_type, get_max_adu, ...
    frame          set_frame, reset_frame, set_bin_x, set_num_x, set_start_x, ...
    gain, offset   select_gain, select_offset, get_gain_options, set_gain, set_offset
    readout        set_readout_mode, get_readout_modes, set_fast_readout
    cooling        cool_to, warm_up, get_ccd_temperature, set_ccd_temperature_setpoint
    guiding        pulse_guide, wait_pulse_guide
    other          action, get_supported_actions, get_device_state
    =============  ==========================================================================

    Every other member of ASCOM's ICameraV4 is available as `get_x()` or `set_x(x)`.
    All objects of one client for the same camera share what is known about it. They may be used
    in several event loops; each loop has its own connections.
    """

    def __init__(
        self, address: str, device_number: int = 0, *, client: AlpacaClient | None = None
    ) -> None:
        super().__init__(address, device_number, client=client)


class AlpacaClient(Session):
    """The connections, ids, timeouts and credentials that cameras and other devices share.

    `http` may be the caller's own `httpx.AsyncClient`: it is used unchanged and not closed.
    `client_id` (1 to 2**31-1) is random by default. `max_image_bytes` limits the size of one
    image, `max_downloads` the number of simultaneous downloads, `connections_per_server` the
    connections to each server.

    `auth` is a user name and a password for HTTP Basic, sent with every request, or a mapping from
    addresses to such pairs: each server then gets only its own pair, other servers get none.
    `verify` says whether to verify certificates against the public authorities, or is an
    `ssl.SSLContext`, such as `pinned` returns. With `strict_ids` a reply that does not echo the
    transaction id of its request raises `MalformedResponse`; otherwise a wrong id is logged once
    for each server. Use the client with `async with`, or close it with `aclose()`.
    """

    def camera(self, address: str, device_number: int = 0) -> AsyncCamera:
        """Return a camera of the server at `address`; sends no request."""
        return AsyncCamera(address, device_number, client=self)

    def filter_wheel(self, address: str, device_number: int = 0) -> AsyncFilterWheel:
        """Return a filter wheel of the server at `address`; sends no request."""
        return AsyncFilterWheel(address, device_number, client=self)

    def focuser(self, address: str, device_number: int = 0) -> AsyncFocuser:
        """Return a focuser of the server at `address`; sends no request."""
        return AsyncFocuser(address, device_number, client=self)

    def cover_calibrator(self, address: str, device_number: int = 0) -> AsyncCoverCalibrator:
        """Return a cover or calibrator of the server at `address`; sends no request."""
        return AsyncCoverCalibrator(address, device_number, client=self)

    def safety_monitor(self, address: str, device_number: int = 0) -> AsyncSafetyMonitor:
        """Return a safety monitor of the server at `address`; sends no request."""
        return AsyncSafetyMonitor(address, device_number, client=self)

    def device(self, address: str, device_type: str, device_number: int = 0) -> AsyncDevice:
        """Return a device of any type, such as `telescope`; sends no request.

        It has the members common to all devices, and reaches all others by their ASCOM names.
        """
        return AsyncDevice(address, device_type, device_number, client=self)

    async def get_api_versions(self, address: str) -> list[int]:
        """Return the versions of the Alpaca API that a server supports."""
        return await get_api_versions(self, origin(address))

    async def get_server_description(self, address: str) -> ServerDescription:
        """Return the description of a server."""
        return await get_server_description(self, origin(address))

    async def get_configured_devices(self, address: str) -> list[ConfiguredDevice]:
        """Return the devices of a server, of all types."""
        return await get_configured_devices(self, origin(address))
