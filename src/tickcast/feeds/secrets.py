"""What must not be told is overwritten wherever bytes leave the feed: in captures, and in samples of messages."""

from collections.abc import Iterable

from msgspec.structs import replace

from tickcast.model.health import SAMPLE_MAX, Findings


class Hider:
    """Overwrites secrets with as many stars."""

    def __init__(self, secrets: Iterable[str]) -> None:
        """Empty secrets are none."""
        self._secrets = sorted((secret.encode() for secret in secrets if secret), key=len, reverse=True)

    def __call__(self, data: bytes) -> bytes:
        """Return the bytes without secrets."""
        for secret in self._secrets:
            data = data.replace(secret, b"*" * len(secret))
        return data

    def findings(self, found: Findings) -> Findings:
        """Return findings without secrets; samples are cut behind that, so that half a secret is none either."""
        return replace(found, unknown=[replace(one, sample=self._shown(one.sample)) for one in found.unknown])

    def _shown(self, sample: str) -> str:
        return self(sample.encode())[:SAMPLE_MAX].decode("utf-8", "ignore")
