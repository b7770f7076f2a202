"""TLS of the listening socket: the operator's certificate, loaded anew when its files change.

The library does the work (OpenSSL through uvloop, whose connections take their buffers when they need them; asyncio's
own hold 256 KiB each). Below TLS 1.2 nothing is spoken. Certificates are renewed every few weeks by a program that
writes two files, one after the other: what cannot be used together is left alone until it can, and connections that
are open keep what they began with (RFC 8446 section 4.4.2 has no other way).
"""

import ssl
from pathlib import Path
from typing import Final

from cryptography import x509

from tickcast.gateway.config import Config
from tickcast.model.errors import UsageError
from tickcast.runtime import metrics
from tickcast.runtime.log import get_logger

log = get_logger("gateway")

LOOK_NS: Final = 5_000_000_000
"""The files are looked at so often."""
FILE_MAX: Final = 1_048_576
_expires: Final = metrics.gauge("gateway_certificate_expires_seconds", "End of the certificate's validity, Unix time.")
_failed: Final = metrics.counter("gateway_tls_failed", "TLS handshakes that failed, so far.")
_reloaded: Final = metrics.counter(
    "gateway_certificate_loads", "Times that changed certificate files were loaded, so far.", ("outcome",)
)

Stamp = tuple[int, int, int]


class Certificate:
    """The certificate and key in use."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Load both.

        Raises:
            UsageError: a file cannot be read, is no PEM, or the two do not belong together.
        """
        self._certificate = certificate
        self._key = key
        self._looked_ns = 0
        self._stamps = self._stamp()
        self.context = self._load()
        """For connections that come now."""

    def look(self, now_ns: int) -> bool:
        """Load the files anew if they changed; returns whether others are in use now."""
        if 0 <= now_ns - self._looked_ns < LOOK_NS:
            return False
        self._looked_ns = now_ns
        stamps = self._stamp()
        if stamps == self._stamps:
            return False
        self._stamps = stamps
        try:
            self.context = self._load()
        except UsageError as wrong:
            _reloaded.labels("refused").inc()
            log.warning("changed certificate files not taken, the old ones stay", reason=str(wrong))
            return False
        _reloaded.labels("taken").inc()
        log.info("certificate loaded anew", file=str(self._certificate))
        return True

    def _stamp(self) -> tuple[Stamp | None, Stamp | None]:
        """What tells that a file is another one: a renewal often swaps a symbolic link."""

        def of(path: Path) -> Stamp | None:
            try:
                found = path.stat()
            except OSError:
                return None
            return found.st_mtime_ns, found.st_ino, found.st_size

        return of(self._certificate), of(self._key)

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
        context.set_alpn_protocols(["http/1.1"])
        try:
            with self._certificate.open("rb") as file:
                chain = x509.load_pem_x509_certificates(file.read(FILE_MAX))
        except OSError as wrong:
            raise UsageError(
                f"gateway.tls_certificate: cannot read {self._certificate}: {wrong.strerror}; give a PEM file with the "
                "certificate first and the chain behind it"
            ) from wrong
        except ValueError:
            raise UsageError(
                f"gateway.tls_certificate: expected certificates in PEM in {self._certificate}, found none"
            ) from None
        try:
            # without a password of our own OpenSSL would ask for one at the terminal
            context.load_cert_chain(self._certificate, self._key, password=b"")
        except ssl.SSLError as wrong:
            raise UsageError(
                f"gateway.tls_key: expected the private key of {self._certificate} in PEM, not encrypted, in "
                f"{self._key}, found something else: {wrong.reason or wrong}"
            ) from None
        except OSError as wrong:
            raise UsageError(f"gateway.tls_key: cannot read {self._key}: {wrong.strerror}") from wrong
        _expires.set(chain[0].not_valid_after_utc.timestamp())
        return context


def certificate(config: Config) -> Certificate | None:
    """Load the config's certificate; None: the gateway speaks plain HTTP.

    Raises:
        UsageError: it cannot be used.
    """
    if config.tls_certificate is None or config.tls_key is None:
        return None
    return Certificate(Path(config.tls_certificate), Path(config.tls_key))


def failed(reason: BaseException) -> None:
    """Count a handshake that came to nothing; strangers cause these, so they are no news."""
    _failed.inc()
    log.debug("TLS handshake failed", reason=str(reason))
