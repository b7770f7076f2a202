"""Tokens and keys for tests: an issuer of JSON Web Tokens, and the settings of a gateway that knows it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tickcast.gateway.auth.config import Config

ISSUER: Final = "https://issuer.example"
AUDIENCE: Final = "tickcast-test"
SECRET: Final = "a secret of the tests, of more than 32 bytes, and of more than 64 as well"  # noqa: S105  a test's own
NOW_S: Final = 1_774_794_600
NS: Final = 1_000_000_000


class RsaIssuer:
    """A pair of keys for RS256."""

    def __init__(self, *, bits: int = 2048) -> None:
        self.key: Final = rsa.generate_private_key(public_exponent=65_537, key_size=bits)

    @property
    def public_pem(self) -> bytes:
        """What a gateway gets."""
        return self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    @property
    def private_pem(self) -> bytes:
        """What it must not."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def jwk(self, kid: str) -> dict[str, Any]:
        """The public key as JSON."""
        found: dict[str, Any] = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        return found | {"kid": kid}


def claims(scope: object, *, now_s: float = NOW_S, for_s: float = 600, **others: Any) -> dict[str, Any]:
    """Claims of a token; one that is given as None is left out."""
    made = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "exp": now_s + for_s, "tickcast": scope} | others
    return {name: value for name, value in made.items() if value is not None}


def signed(
    body: Mapping[str, Any],
    *,
    key: Any = SECRET,
    algorithm: str = "HS256",
    kid: str | None = "secret",
    headers: Mapping[str, Any] | None = None,
) -> str:
    """A token."""
    named = {} if kid is None else {"kid": kid}
    return jwt.encode(dict(body), key, algorithm=algorithm, headers={**named, **(headers or {})})


def token(scope: object = None, **others: Any) -> str:
    """A good token signed with :data:`SECRET`; without a scope it sees everything."""
    return signed(claims({"symbols": ["*"]} if scope is None else scope, **others))


def auth_config(folder: Path, **settings: Any) -> Config:
    """Settings that take tokens signed with :data:`SECRET`, whose file is made in ``folder``."""
    path = folder / "secret.key"
    if not path.exists():
        path.write_text(SECRET)
    return Config(jwt_keys=(str(path),), jwt_issuer=ISSUER, jwt_audience=AUDIENCE, **settings)
