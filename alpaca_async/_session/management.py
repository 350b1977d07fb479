"""The management API of a server: its description and its devices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from alpaca_async._errors import AlpacaError
from alpaca_async._protocol.envelope import decode_management
from alpaca_async._protocol.values import decode, decode_integers, decode_record, decode_records

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from alpaca_async._protocol.envelope import Envelope, EnvelopeDecoder

    class Reader(Protocol):
        """What reads values: a `Session`."""

        async def get(self, server: str, path: str, decoder: EnvelopeDecoder) -> Envelope: ...


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ServerDescription:
    """The description of a server; fields that it does not report are empty."""

    server_name: str = ""
    manufacturer: str = ""
    manufacturer_version: str = ""
    location: str = ""


@dataclass(frozen=True, slots=True)
class ConfiguredDevice:
    """A device of a server; `unique_id` stays the same if its address or number changes."""

    device_name: str
    device_type: str
    device_number: int
    unique_id: str


async def get_api_versions(reader: Reader, server: str) -> list[int]:
    """Return the versions of the Alpaca API that `server` supports."""
    return await _read(reader, server, "management/apiversions", decode_integers)


async def get_server_description(reader: Reader, server: str) -> ServerDescription:
    """Return the description of `server`."""
    return await _read(reader, server, "management/v1/description", _server_description)


async def get_configured_devices(reader: Reader, server: str) -> list[ConfiguredDevice]:
    """Return all devices of `server`, of every type."""
    return await _read(reader, server, "management/v1/configureddevices", _configured_devices)


async def _read(reader: Reader, server: str, path: str, decoder: Callable[[object], T]) -> T:
    envelope = await reader.get(server, path, decode_management)
    try:
        return decoder(envelope.value)
    except AlpacaError as error:
        raise error.at(server, path) from None


def _server_description(raw: object) -> ServerDescription:
    if isinstance(raw, str):  # the INDI server returns a plain string
        return ServerDescription(server_name=raw)
    fields = decode_record(raw)
    return ServerDescription(
        _text(fields, "ServerName"),
        _text(fields, "Manufacturer"),
        _text(fields, "ManufacturerVersion"),
        _text(fields, "Location"),
    )


def _configured_devices(raw: object) -> list[ConfiguredDevice]:
    return [
        ConfiguredDevice(
            _text(fields, "DeviceName"),
            decode(str, fields.get("DeviceType")),
            decode(int, fields.get("DeviceNumber")),
            _text(fields, "UniqueID"),
        )
        for fields in decode_records(raw)
    ]


def _text(fields: dict[str, Any], key: str) -> str:
    value = fields.get(key)
    return "" if value is None else decode(str, value)
