"""The file of a recorded session: JSON on each line, a header and one line for each exchange.

Nothing in a file is trusted: it may come from a stranger.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any, Final, TypeVar, cast

from alpaca_async._version import __version__

if TYPE_CHECKING:
    import os

T = TypeVar("T")

FORMAT: Final = "alpaca_async session"
VERSION: Final = 1
MAX_REPLY: Final = 1 << 30
MAX_FILE: Final = 1 << 31
_MAX_EXCHANGES: Final = 1_000_000
_MAX_REQUEST: Final = 1 << 21
_MAX_TEXT: Final = 1 << 16
"""Replies up to this length are written as text where they are text."""
_MAX_SECONDS: Final = 1e7
_PIECE: Final = 1 << 20
_COMPRESSION: Final = 1
"""The fastest: pixels are mostly noise."""


class SessionFileError(ValueError):
    """A file is not a recorded session, or damaged; the message names the file and the line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """The bytes of a reply, compressed, without the last `omitted` ones."""

    packed: bytes
    length: int
    omitted: int = 0
    sha256: str = ""
    """Of the omitted bytes."""

    def unpack(self) -> bytes:
        """Return the bytes without the omitted ones; raise `ValueError` if they are damaged."""
        unpacker = zlib.decompressobj()
        try:
            data = unpacker.decompress(self.packed, self.length + 1)
        except zlib.error as error:
            raise ValueError(f"a reply is damaged: {error}") from None
        if len(data) != self.length:
            raise ValueError(f"a reply does not have the {self.length} bytes that it should have")
        return data


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedExchange:
    """A request, and all that the server sent until the next request on the same connection."""

    time: float
    """When the request was sent, in seconds since the start of the recording."""
    latency: float
    """Seconds from the request to the first byte of the reply."""
    duration: float
    """Seconds from the request to the last byte of the reply."""
    verb: str
    target: str
    """Path and query."""
    form: str
    reply: Body
    closed: bool
    """Whether the server closed the connection after the reply."""


def header_line() -> bytes:
    """Return the first line of a file."""
    started = datetime.now(UTC).isoformat(timespec="milliseconds")
    return _line(
        {
            "format": FORMAT,
            "version": VERSION,
            "started": started,
            "recorder": f"alpaca_async {__version__}",
        }
    )


def encode(exchange: RecordedExchange) -> bytes:
    """Return the line of an exchange."""
    reply: dict[str, object] = {"bytes": exchange.reply.length}
    text = _as_text(exchange.reply)
    if text is None:
        reply["zlib"] = base64.b64encode(exchange.reply.packed).decode()
    else:
        reply["text"] = text
    if exchange.reply.omitted:
        reply |= {"omitted": exchange.reply.omitted, "sha256": exchange.reply.sha256}
    return _line(
        {
            "time": round(exchange.time, 6),
            "latency": round(exchange.latency, 6),
            "duration": round(exchange.duration, 6),
            "verb": exchange.verb,
            "target": exchange.target,
            "form": exchange.form,
            "closed": exchange.closed,
            "reply": reply,
        }
    )


def pack(data: bytes, *, omitted: int = 0, sha256: str = "") -> Body:
    """Return the bytes of a reply, compressed; may take long."""
    packed = zlib.compress(data, _COMPRESSION)
    return Body(packed=packed, length=len(data), omitted=omitted, sha256=sha256)


def read_session(path: str | os.PathLike[str]) -> list[RecordedExchange]:
    """Return the exchanges of a file, in the order of their times; may take long.

    Raises:
        SessionFileError: the file is not a recorded session, is damaged, or exceeds a limit.
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:  # noqa: PTH123 - takes any path
        number = 1
        left = MAX_FILE
        exchanges: list[RecordedExchange] = []
        try:
            _check_header(_record(file.readline(_PIECE)))
            while line := _read_line(file, left):
                number += 1
                left -= len(line)
                if number > _MAX_EXCHANGES:
                    raise ValueError(f"it has more than {_MAX_EXCHANGES} exchanges")
                exchanges.append(_decode(_record(line)))
        except ValueError as error:
            raise SessionFileError(f"{path}, line {number}: {error}") from None
    return sorted(exchanges, key=lambda exchange: exchange.time)


def _read_line(file: IO[bytes], limit: int) -> bytes:
    line = file.readline(limit)
    if len(line) >= limit:
        raise ValueError(f"the file exceeds {MAX_FILE} bytes")
    if line and not line.endswith(b"\n"):
        raise ValueError("the file ends within a line")
    return line


def _record(line: bytes) -> dict[str, Any]:
    try:
        record: object = json.loads(line)
    except (ValueError, RecursionError):  # their messages quote nothing that helps
        raise ValueError("not a line of JSON") from None
    if not isinstance(record, dict):
        raise ValueError("not an object of JSON")  # noqa: TRY004 - a malformed file
    return cast("dict[str, Any]", record)


def _check_header(header: dict[str, Any]) -> None:
    if header.get("format") != FORMAT:
        raise ValueError("not a recorded session")
    version = _value(header, "version", int)
    if version != VERSION:
        raise ValueError(f"version {version} of the format is not supported, only {VERSION}")


def _decode(record: dict[str, Any]) -> RecordedExchange:
    return RecordedExchange(
        time=_seconds(record, "time"),
        latency=_seconds(record, "latency"),
        duration=_seconds(record, "duration"),
        verb=_short(record, "verb"),
        target=_short(record, "target"),
        form=_short(record, "form"),
        closed=_value(record, "closed", bool),
        reply=_decode_body(record.get("reply")),
    )


def _decode_body(reply: object) -> Body:
    if not isinstance(reply, dict):
        raise ValueError("'reply' is missing")  # noqa: TRY004 - a malformed file
    record = cast("dict[str, Any]", reply)
    length = _size(record, "bytes")
    omitted = _size(record, "omitted") if "omitted" in record else 0
    if "text" in record:
        body = pack(_value(record, "text", str).encode("utf-8", "replace"))
        if body.length != length:
            raise ValueError(f"'text' does not have the {length} bytes that it should have")
        return body
    try:
        packed = base64.b64decode(_value(record, "zlib", str), validate=True)
    except binascii.Error as error:
        raise ValueError(f"'zlib' is not in base64: {error}") from None
    return Body(packed=packed, length=length, omitted=omitted)


def _value(record: dict[str, Any], name: str, kind: type[T]) -> T:
    value: object = record.get(name)
    if not isinstance(value, kind) or type(value) is not kind:  # a bool is no int
        raise ValueError(f"{name!r} is not of type {kind.__name__}")
    return value


def _short(record: dict[str, Any], name: str) -> str:
    text = _value(record, name, str)
    if len(text) > _MAX_REQUEST:
        raise ValueError(f"{name!r} is longer than {_MAX_REQUEST} characters")
    return text


def _size(record: dict[str, Any], name: str) -> int:
    size = _value(record, name, int)
    if not 0 <= size <= MAX_REPLY:
        raise ValueError(f"{name!r} is not between 0 and {MAX_REPLY}")
    return size


def _seconds(record: dict[str, Any], name: str) -> float:
    value = record.get(name)
    if type(value) not in {int, float} or not 0 <= cast("float", value) <= _MAX_SECONDS:
        raise ValueError(f"{name!r} is not a number of seconds")
    return float(cast("float", value))


def _as_text(body: Body) -> str | None:
    if body.length > _MAX_TEXT or body.omitted:
        return None
    try:
        return body.unpack().decode()
    except UnicodeDecodeError:
        return None


def _line(record: dict[str, object]) -> bytes:
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"
