"""User names and passwords for HTTP Basic: which server gets them, and redaction elsewhere."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Final, TypeAlias

from alpaca_async._address import origin

Login: TypeAlias = tuple[str, str]
Auth: TypeAlias = Login | Mapping[str, Login]

_REDACTED: Final = "[secure]"


class Credentials:
    """HTTP Basic logins: one for all servers, or one for each server."""

    def __init__(self, auth: Auth | None) -> None:
        self._for_all = None if auth is None or isinstance(auth, Mapping) else _token(auth)
        self._for_one = (
            {origin(address): _token(login) for address, login in auth.items()}
            if isinstance(auth, Mapping)
            else {}
        )
        self._tokens = tuple(filter(None, (self._for_all, *self._for_one.values())))

    def __repr__(self) -> str:
        return "<Credentials>"

    def header(self, server: str) -> str | None:
        """Return the `Authorization` header for `server`, an origin; None if it gets no login."""
        token = self._for_one.get(server, self._for_all)
        return None if token is None else f"Basic {token}"

    def explain_refusal(self, server: str) -> str:
        """Say what `server`, which wants a login, was sent."""
        if self.header(server) is not None:
            return "the user name and password in auth were refused"
        if self._tokens:
            return "auth has no user name and password for this server"
        return "this server wants a user name and password: pass auth"

    def redact(self, body: bytes) -> bytes:
        """Return `body` without the credentials: debug pages of servers repeat request headers."""
        for token in self._tokens:
            body = body.replace(token.encode(), _REDACTED.encode())
        return body

    def redact_error(self, error: BaseException) -> None:
        """Remove the credentials from all texts of `error`, which may quote a reply."""
        for token in self._tokens:
            error.args = tuple(_replace_token(token, item) for item in error.args)
            for name, item in vars(error).items():
                setattr(error, name, _replace_token(token, item))


def _replace_token(token: str, item: object) -> object:
    return item.replace(token, _REDACTED) if isinstance(item, str) else item


def _token(login: Login) -> str:
    try:
        user, password = login
    except ValueError:  # too many or too few values, such as a string
        raise TypeError(
            'auth must be a pair ("user", "password"), or map addresses to such pairs'
        ) from None
    if ":" in user:
        raise ValueError("a user name for HTTP Basic must not contain a colon")
    try:
        return b64encode(f"{user}:{password}".encode()).decode()
    except UnicodeEncodeError:  # its message would contain the password
        raise ValueError("a user name or password cannot be encoded as UTF-8") from None
