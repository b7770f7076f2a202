"""What the tests of the door share."""

import hmac

import pytest

from tickcast.testing.tokens import SECRET


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What was verified under the secret so far: the signed part of each token."""
    signed: list[bytes] = []
    digest = hmac.digest

    def counted(key: bytes, text: bytes, name: str) -> bytes:
        if key == SECRET.encode() and text.count(b".") == 1:
            signed.append(text)
        return digest(key, text, name)

    monkeypatch.setattr("tickcast.gateway.auth.tokens.hmac.digest", counted)
    return signed
