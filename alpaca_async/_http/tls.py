"""TLS with servers whose certificates are known beforehand, and why a handshake failed."""

from __future__ import annotations

import hashlib
import re
import ssl
from typing import Final

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


def pinned(*fingerprints: str) -> ssl.SSLContext:
    """Return a context that trusts the certificates with these fingerprints, and no other.

    A fingerprint is the SHA-256 of a certificate: 64 hexadecimal digits, with or without colons.
    Who signed the certificate, which names it has and until when it is valid does not count. It
    is compared within the handshake, before a byte of a request leaves; another certificate
    raises `ssl.SSLCertVerificationError`, which becomes a `TransportError`.

    The context is for `verify=` of `AlpacaClient`, `DirectTransport` and httpx.
    """
    if not fingerprints:
        raise ValueError("at least one fingerprint is needed")
    context = _PinnedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.digests = frozenset(map(_digest, fingerprints))
    return context


def tls_failure(error: ssl.SSLError) -> str:
    """Return in words why there is no TLS connection."""
    if isinstance(error, ssl.SSLCertVerificationError):
        why = getattr(error, "verify_message", error)  # OpenSSL adds it
        return f"the server's certificate is not trusted: {why}"
    reason: str = getattr(error, "reason", None) or str(error)  # none where OpenSSL gave none
    return f"TLS failed: {reason.replace('_', ' ').lower()}"


class _PinnedObject(ssl.SSLObject):
    """Checks the certificate in the handshake, as asyncio, anyio and trio make it."""

    def do_handshake(self) -> None:
        super().do_handshake()
        _check(self.context, self.getpeercert(binary_form=True))


class _PinnedSocket(ssl.SSLSocket):
    """Does the same for blocking sockets, which must not pass unchecked."""

    def do_handshake(self, block: bool = False) -> None:
        super().do_handshake(block)
        _check(self.context, self.getpeercert(binary_form=True))


class _PinnedContext(ssl.SSLContext):
    sslobject_class = _PinnedObject
    sslsocket_class = _PinnedSocket
    digests: frozenset[str] = frozenset()


def _digest(fingerprint: str) -> str:
    digest = fingerprint.replace(":", "").strip().lower()
    if not _DIGEST.fullmatch(digest):
        raise ValueError(f"{fingerprint!r} is not a SHA-256 fingerprint of 64 hexadecimal digits")
    return digest


def _check(context: ssl.SSLContext, certificate: bytes | None) -> None:
    """Raise unless `context` trusts this certificate, and no other context came in between."""
    digest = hashlib.sha256(certificate or b"").hexdigest()
    if not isinstance(context, _PinnedContext) or digest not in context.digests:
        seen = ":".join(digest[at : at + 2] for at in range(0, len(digest), 2)).upper()
        error = ssl.SSLCertVerificationError(1, f"the fingerprint {seen} is not pinned")
        error.verify_message = f"its fingerprint {seen} is not pinned"
        raise error
