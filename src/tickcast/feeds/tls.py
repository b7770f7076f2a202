"""Which certificates are trusted: those that the system trusts, and a file's of one's own. They are always verified."""

import ssl

from tickcast.model.errors import UsageError


def open_tls(feed: str, tls_ca: str | None) -> ssl.SSLContext:
    """Return what verifies the certificates of a feed's servers; made once, since reading all authorities takes long.

    Raises:
        UsageError: the file is not there, or holds no certificate.
    """
    context = ssl.create_default_context()
    if tls_ca is not None:
        try:
            context.load_verify_locations(cafile=tls_ca)
        except ssl.SSLError as wrong:
            raise UsageError(
                f"feeds.{feed}.tls_ca: expected certificates in PEM in {tls_ca}, found {wrong.reason or wrong}"
            ) from wrong
        except OSError as wrong:
            raise UsageError(f"feeds.{feed}.tls_ca: cannot read {tls_ca}: {wrong.strerror}") from wrong
    return context


def trouble_of(wrong: OSError) -> str:
    """Say what went wrong on the way to a server, and for certificates what to do."""
    if isinstance(wrong, ssl.SSLCertVerificationError):
        return (
            f"its certificate is not to be trusted: {wrong.verify_message or wrong.strerror}"
            " (tls_ca can name a file with an authority of your own)"
        )
    if isinstance(wrong, ssl.SSLError):
        return f"expected TLS, found something else or a version that is not safe: {wrong.reason or wrong}"
    return wrong.strerror or str(wrong) or type(wrong).__name__
