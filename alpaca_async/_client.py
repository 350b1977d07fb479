"""AlpacaClient: one pool of connections for any number of cameras and servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._address import origin
from ._camera import AsyncCamera
from ._device.device import AsyncDevice
from ._session.management import get_api_versions, get_configured_devices, get_server_description
from ._session.session import Session

if TYPE_CHECKING:
    from ._session.management import ConfiguredDevice, ServerDescription


class AlpacaClient(Session):
    """The connections, ids, timeouts and credentials that cameras and other devices share.

    `http` may be an `httpx.AsyncClient` of the caller's own: it is used as it is and not closed.
    `client_id` (1 to 2**31-1) is random unless given; `max_image_bytes` bounds one
    image, `max_downloads` how many come at once, `connections_per_server` the connections to a
    server.

    `auth` is a user name and a password for HTTP Basic, sent with every request, or a mapping from
    addresses to such pairs, of which each server gets its own and others none. `verify` is
    whether to verify certificates by the public authorities, or an `ssl.SSLContext`, such as
    `pinned` makes. With `strict_ids` a reply that does not echo the transaction id of its request
    is refused by `MalformedResponse`; else a wrong id is logged once for each server.
    Use it with `async with`, or close it with `aclose()`.
    """

    def camera(self, address: str, device_number: int = 0) -> AsyncCamera:
        """Return a camera of the server at `address`, without any request."""
        return AsyncCamera(address, device_number, client=self)

    def device(self, address: str, device_type: str, device_number: int = 0) -> AsyncDevice:
        """Return a device of any type, with the members that all devices have."""
        return AsyncDevice(address, device_type, device_number, client=self)

    async def get_api_versions(self, address: str) -> list[int]:
        """Return the versions of the Alpaca API that a server speaks."""
        return await get_api_versions(self, origin(address))

    async def get_server_description(self, address: str) -> ServerDescription:
        """Return what a server says of itself."""
        return await get_server_description(self, origin(address))

    async def get_configured_devices(self, address: str) -> list[ConfiguredDevice]:
        """Return the devices of a server, of all types."""
        return await get_configured_devices(self, origin(address))
