"""Certificate pinning, and readable reasons why a TLS handshake failed."""

from __future__ import annotations

import hashlib
import re
import ssl
from typing import Final

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


def pinned(*fingerprints: str) -> ssl.SSLContext:
    """Return a context that trusts the certificates with these fingerprints, and no other.

    A fingerprint is the SHA-256 of a certificate: 64 hexadecimal digits, with or without colons.
    The certificate's issuer, names and expiry date are ignored. The fingerprint is compared during
    the handshake, before any byte of a request is sent. Another certificate raises
    `ssl.SSLCertVerificationError`, which becomes a `TransportError`.

    Pass the context as `verify=` to `AlpacaClient`, `DirectTransport` or httpx.
    """
    if not fingerprints:
        raise ValueError("at least one fingerprint is needed")
    context = _PinnedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.digests = frozenset(map(_parse_fingerprint, fingerprints))
    return context


def tls_failure(error: ssl.SSLError) -> str:
    """Return a readable reason why the TLS connection failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        why = getattr(error, "verify_message", error)  # set by OpenSSL
        return f"the server's certificate is not trusted: {why}"
    reason: str = getattr(error, "reason", None) or str(error)  # OpenSSL may give none
    return f"TLS failed: {reason.replace('_', ' ').lower()}"


class _PinnedObject(ssl.SSLObject):
    """Checks the certificate during the handshake; asyncio, anyio and trio use this class."""

    def do_handshake(self) -> None:
        super().do_handshake()
        _check_fingerprint(self.context, self.getpeercert(binary_form=True))


class _PinnedSocket(ssl.SSLSocket):
    """Does the same check for blocking sockets."""

    def do_handshake(self, block: bool = False) -> None:
        super().do_handshake(block)
        _check_fingerprint(self.context, self.getpeercert(binary_form=True))


class _PinnedContext(ssl.SSLContext):
    sslobject_class = _PinnedObject
    sslsocket_class = _PinnedSocket
    digests: frozenset[str] = frozenset()


def _parse_fingerprint(fingerprint: str) -> str:
    digest = fingerprint.replace(":", "").strip().lower()
    if not _DIGEST.fullmatch(digest):
        raise ValueError(f"{fingerprint!r} is not a SHA-256 fingerprint of 64 hexadecimal digits")
    return digest


def _check_fingerprint(context: ssl.SSLContext, certificate: bytes | None) -> None:
    """Raise unless `context` is a pinned context that trusts this certificate."""
    digest = hashlib.sha256(certificate or b"").hexdigest()
    if not isinstance(context, _PinnedContext) or digest not in context.digests:
        seen = ":".join(digest[at : at + 2] for at in range(0, len(digest), 2)).upper()
        error = ssl.SSLCertVerificationError(1, f"the fingerprint {seen} is not pinned")
        error.verify_message = f"its fingerprint {seen} is not pinned"
        raise error
