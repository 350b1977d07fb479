"""User names, passwords and certificates: how the command identifies itself and the server."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from getpass import getpass
from typing import TYPE_CHECKING, Annotated, Final, Self, TypeAlias

import typer

from alpaca_async._camera import AlpacaClient
from alpaca_async._http.tls import pinned

from ._extras import extras_for, require
from ._usage import UsageError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Generator, Sequence

PASSWORD_VARIABLE: Final = "ALPACA_ASYNC_PASSWORD"  # noqa: S105 - its name
"""The environment variable with the password: the list of processes shows all arguments."""

User: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--user",
        "-u",
        metavar="NAME",
        help=f"Log in; the password is that in {PASSWORD_VARIABLE}, or is asked for.",
        show_default=False,
    ),
]

Pins: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--pin",
        metavar="SHA256",
        help="Trust the certificate with this fingerprint, and no other. Repeatable.",
        show_default=False,
    ),
]


@dataclass(frozen=True, slots=True)
class Access:
    """The login for the servers of one run of the command, and the certificates to trust."""

    login: tuple[str, str] | None = field(default=None, repr=False)
    verify: bool | ssl.SSLContext = True

    @classmethod
    def to(cls, addresses: Sequence[str], user: str | None, pins: list[str] | None) -> Self:
        """Return the access to `addresses`; ask for the password if it is not known.

        Raises `MissingExtra` if the simulator is wanted and not installed. Raises `UsageError` if a
        fingerprint is not one or would not be checked, or if the password cannot be asked for.
        """
        require(*extras_for(addresses))
        verify = _pinned(addresses, pins) if pins else True
        return cls(None if user is None else (user, _password_of(user)), verify)

    def client(self) -> AlpacaClient:
        """Return a new client."""
        return AlpacaClient(auth=self.login, verify=self.verify)


def _pinned(addresses: Sequence[str], pins: list[str]) -> ssl.SSLContext:
    for address in addresses:
        if not address.lower().startswith("https://"):
            raise UsageError(f"--pin needs an address that starts with https://, not {address!r}")
    try:
        return pinned(*pins)
    except ValueError as error:
        raise UsageError(f"--pin: {error}") from None


def _password_of(user: str) -> str:
    password = os.environ.get(PASSWORD_VARIABLE)
    if password is not None:
        return password
    if not sys.stdin.isatty():
        raise UsageError(f"--user needs a password: set {PASSWORD_VARIABLE}")
    with _ctrl_c_raises():
        return getpass(f"password of {user}: ")


@contextmanager
def _ctrl_c_raises() -> Generator[None]:
    """Let Ctrl-C raise `KeyboardInterrupt`, so that the terminal gets its echo back."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    except (KeyboardInterrupt, EOFError):
        sys.stderr.write("\n")
        raise KeyboardInterrupt from None
    finally:
        signal.signal(signal.SIGINT, handler)
