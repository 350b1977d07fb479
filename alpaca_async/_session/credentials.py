"""User names and passwords for HTTP Basic: to whom they go, and that nobody else sees them."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

from alpaca_async._address import origin

if TYPE_CHECKING:
    from alpaca_async._errors import AlpacaError

Login: TypeAlias = tuple[str, str]
Auth: TypeAlias = Login | Mapping[str, Login]

_BLOT: Final = "[secure]"


class Credentials:
    """What proves to servers who we are: the same to all of them, or to each its own."""

    def __init__(self, auth: Auth | None) -> None:
        self._for_all = None if auth is None or isinstance(auth, Mapping) else _token(auth)
        self._for_one = (
            {origin(address): _token(login) for address, login in auth.items()}
            if isinstance(auth, Mapping)
            else {}
        )

    def __repr__(self) -> str:
        return "<Credentials>"

    def header(self, server: str) -> str | None:
        """Return the header `Authorization` for a `server`, an origin."""
        token = self._for_one.get(server, self._for_all)
        return None if token is None else f"Basic {token}"

    def blot_out(self, body: bytes) -> bytes:
        """Return `body` without the credentials, which debugging pages repeat."""
        for token in self._tokens:
            body = body.replace(token.encode(), _BLOT.encode())
        return body

    def blot_out_of(self, error: AlpacaError) -> None:
        """Remove the credentials from all texts of `error`, which may quote a driver."""
        for token in self._tokens:
            error.args = tuple(_without(token, item) for item in error.args)
            for name, item in vars(error).items():
                setattr(error, name, _without(token, item))

    @property
    def _tokens(self) -> tuple[str, ...]:
        return tuple(filter(None, (self._for_all, *self._for_one.values())))


def _without(token: str, item: object) -> object:
    return item.replace(token, _BLOT) if isinstance(item, str) else item


def _token(login: Login) -> str:
    user, password = login
    if ":" in user:
        raise ValueError("a user name for HTTP Basic must not hold a colon")
    try:
        return b64encode(f"{user}:{password}".encode()).decode()
    except UnicodeEncodeError:  # repeats what it could not encode
        raise ValueError("a user name or password cannot be encoded as UTF-8") from None
