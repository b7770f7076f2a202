"""JSON Web Tokens (RFC 7519) in the compact form (RFC 7515 section 7.1), signed by keys from files.

The key decides the algorithm, never the token: a public RSA key is for RS256 and a secret for HS256, so neither a token
with ``alg`` ``none`` nor one that is "signed" with the public key as a secret (RFC 8725 section 2.1) can be right.
The algorithms are OpenSSL's, the keys are read by PyJWT; the three parts of a token are read here, into types, for a
fraction of what a general reader costs (decision 0031), and times are compared with the clock that is given.

Rotation: several keys count at one time, and the token's ``kid`` says which it is. Whoever rotates adds the new key's
file, changes the issuer, and takes the old file away when the last token of the old key is over; connections that rest
on a key that is gone are closed.
"""

import binascii
import contextlib
import functools
import hashlib
import hmac
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import jwt
import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from msgspec import UNSET, UnsetType

from tickcast.gateway.auth.access import SUBJECT_MAX, Access, Denied, Scope, scope_of
from tickcast.gateway.auth.config import Config
from tickcast.model.errors import UsageError
from tickcast.runtime.log import get_logger

log = get_logger("gateway")

CLAIM: Final = "tickcast"
"""The claim that holds the scope."""
SECRET_MIN: Final = 32
"""Bytes of a secret for HS256 (RFC 7518 section 3.2)."""
RSA_BITS_MIN: Final = 2048
"""Of a key for RS256 (RFC 7518 section 3.3)."""
FILE_MAX: Final = 262_144
KID_MAX: Final = 128
SECONDS_MAX: Final = 1 << 33
"""Seconds since 1970 beyond which no time is meant."""
NS: Final = 1_000_000_000
INVALID: Final = "the token is not valid: expected a JSON Web Token signed by a key of this gateway"
_URL_SAFE: Final = bytes.maketrans(b"-_+/", b"+/!!")
"""To the alphabet of RFC 4648 section 4; what belongs to that one only becomes what belongs to none."""


class VerifyKey(NamedTuple):
    """A key, and the only algorithm that it is for."""

    algorithm: str
    verify: Callable[[bytes, bytes], bool]
    """Whether (signed, signature) was made with it (RFC 7518 sections 3.2 and 3.3)."""
    mark: str
    """Tells it from another key that comes to the same id later; says nothing of a secret."""


class _Header(msgspec.Struct):
    alg: str
    kid: str | None = None
    crit: msgspec.Raw | None = None


class _Claims(msgspec.Struct):
    iss: str | UnsetType = UNSET
    aud: str | list[str] | UnsetType = UNSET
    sub: str | UnsetType = UNSET
    exp: int | float | UnsetType = UNSET
    nbf: int | float = 0
    tickcast: msgspec.Raw = msgspec.Raw()


def _rsa_key(key: RSAPublicKey) -> VerifyKey:
    numbers = key.public_numbers()
    mark = hashlib.sha256(f"{numbers.n}:{numbers.e}".encode()).hexdigest()[:16]
    padding, digest = PKCS1v15(), SHA256()

    def verify(signed: bytes, signature: bytes) -> bool:
        try:
            key.verify(signature, signed, padding, digest)
        except InvalidSignature:
            return False
        return True

    return VerifyKey("RS256", verify, mark)


def _secret_key(secret: bytes) -> VerifyKey:
    mark = hmac.digest(secret, b"tickcast", hashlib.sha256).hex()[:16]

    def verify(signed: bytes, signature: bytes) -> bool:
        return hmac.compare_digest(hmac.digest(secret, signed, "sha256"), signature)

    return VerifyKey("HS256", verify, mark)


_header: Final = msgspec.json.Decoder(_Header).decode
_claims: Final = msgspec.json.Decoder(_Claims).decode


class KeyRing:
    """The keys of the config's files, read again when a file changes."""

    def __init__(self, config: Config) -> None:
        """Read them.

        Raises:
            UsageError: a file cannot be read, holds no key, or two have one id.
        """
        self._config = config
        self._paths = tuple(Path(path) for path in config.jwt_keys)
        self._stamps = [_stamp(path) for path in self._paths]
        self._keys = _read_all(self._paths)
        self.changes = 0
        """How often the keys became others: who holds connections looks at them when it grows."""

    def refresh(self) -> bool:
        """Read the files again if one is another than before; returns whether the keys changed.

        Files that are no keys (a half-written one, say) leave the keys as they are until they change again. A file that
        is gone withdraws its keys.
        """
        stamps = [_stamp(path) for path in self._paths]
        if stamps == self._stamps:
            return False
        self._stamps = stamps
        try:
            keys = _read_all([path for path, stamp in zip(self._paths, stamps, strict=True) if stamp is not None])
        except UsageError as wrong:
            log.error("keys of tokens cannot be read again: those before stay", error=str(wrong))  # noqa: TRY400  a file
            return False
        changed = {kid: key.mark for kid, key in keys.items()} != {kid: key.mark for kid, key in self._keys.items()}
        self._keys = keys
        if changed:
            self.changes += 1
            log.info("keys of tokens were read again", keys=sorted(keys))
        return changed

    def admit(self, token: str, wall_ns: int) -> Access:
        """Let a token's holder in.

        Raises:
            Denied: it is not signed by one of the keys, is for others, or not for now.
        """
        self.refresh()
        if len(token) > self._config.token_max:
            raise Denied(f"the token is too long: expected at most {self._config.token_max} bytes, found {len(token)}")
        access = self._read(token)
        if access.is_over(wall_ns):
            raise Denied("the token has expired")
        if not access.has_begun(wall_ns):
            raise Denied("the token is not valid yet")
        return access

    def _read(self, token: str) -> Access:
        """Verify a token and read what it says, whenever it is valid."""
        kid, mark, claims = self._verify(token)
        for name in ("iss", "aud", "sub", "exp"):
            if getattr(claims, name) is UNSET:
                raise Denied(f"the token lacks the claim {name}")
        if claims.iss != self._config.jwt_issuer:
            raise Denied("the token is of another issuer than this gateway's")
        named = (claims.aud,) if isinstance(claims.aud, str) else claims.aud or ()
        if self._config.jwt_audience not in named:
            raise Denied("the token is for another audience than this gateway")
        leeway_ns = int(self._config.jwt_leeway_s * NS)
        until_ns = _seconds_ns("exp", claims.exp) + leeway_ns
        since_ns = max(0, _seconds_ns("nbf", claims.nbf) - leeway_ns)
        subject = claims.sub
        if not subject or len(subject) > SUBJECT_MAX or not subject.isprintable():
            raise Denied(f"the token is not valid: expected a sub of 1 to {SUBJECT_MAX} printable characters")
        return Access(
            subject=f"jwt:{subject}",
            credential=f"jwt:{kid}:{mark}",
            scope=_scope(bytes(claims.tickcast)),
            until_ns=until_ns,
            since_ns=since_ns,
        )

    def stands(self, access: Access) -> bool:
        """Whether the key that signed an access's token is still one of ours."""
        kid, _, mark = access.credential.removeprefix("jwt:").rpartition(":")
        return kid in self._keys and self._keys[kid].mark == mark

    def _verify(self, token: str) -> tuple[str, str, _Claims]:
        """The key's id and mark, and the claims of a token with a good signature."""
        try:
            signed, _, signature = token.encode().rpartition(b".")
            head, _, body = signed.partition(b".")
            header = _header(_decoded(head))
            kid = header.kid
            if kid is None and len(self._keys) == 1:
                kid = next(iter(self._keys))
            known = None if kid is None else self._keys.get(kid)
            if known is None or header.crit is not None or header.alg != known.algorithm:
                raise Denied(INVALID)
            if not known.verify(signed, _decoded(signature)):
                raise Denied(INVALID)
            return str(kid), known.mark, _claims(_decoded(body))
        except (ValueError, RecursionError):  # of base64, of UTF-8, and of msgspec too
            raise Denied(INVALID) from None


def _decoded(part: bytes) -> bytes:
    """A part of a token: base64 in the URL-safe alphabet; the padding may be left out, and is by most."""
    bare = part.rstrip(b"=").translate(_URL_SAFE)
    return binascii.a2b_base64(bare + b"=" * (-len(bare) % 4), strict_mode=True)


@functools.lru_cache(maxsize=1024)
def _scope(raw: bytes) -> Scope:
    """The scope that a claim says; an issuer has few, and what was read once is one object."""
    if not raw.startswith(b"{"):
        raise Denied(f"the token says nothing of what may be seen: expected an object in the claim {CLAIM!r}")
    try:
        return scope_of(msgspec.json.decode(raw))
    except (ValueError, RecursionError) as wrong:
        raise Denied(f"the token's claim {CLAIM!r} is no scope: {wrong}") from None


def _seconds_ns(name: str, value: float | UnsetType) -> int:
    if value is UNSET or not math.isfinite(value) or not 0 <= value < SECONDS_MAX:
        raise Denied(f"the token's claim {name} is no time: expected seconds since 1970")
    return int(value * NS)


def _read_all(paths: Sequence[Path]) -> dict[str, VerifyKey]:
    keys: dict[str, VerifyKey] = {}
    for path in paths:
        for kid, key in _read(path).items():
            if not 0 < len(kid) <= KID_MAX:
                raise UsageError(f"{path}: expected key ids of 1 to {KID_MAX} characters, found one of {len(kid)}")
            if kid in keys:
                raise UsageError(f"{path}: the key id {kid!r} is that of another key already; each needs its own")
            keys[kid] = key
    return keys


def _read(path: Path) -> dict[str, VerifyKey]:
    """The keys of a file, by id."""
    try:
        with path.open("rb") as file:
            data = file.read(FILE_MAX + 1)
    except OSError as wrong:
        raise UsageError(f"gateway.auth.jwt_keys: cannot read {path}: {wrong.strerror or wrong}") from wrong
    if len(data) > FILE_MAX:
        raise UsageError(f"gateway.auth.jwt_keys: expected at most {FILE_MAX} bytes in {path}")
    text = data.strip()
    if text.startswith(b"{"):
        return _key_set(path, text)
    if text.startswith(b"-----BEGIN"):
        return {path.stem: _public_key(path, text)}
    if len(text) < SECRET_MIN:
        raise UsageError(
            f"gateway.auth.jwt_keys: expected a public key (PEM), a JWK Set or a secret of at least {SECRET_MIN} bytes "
            f"in {path}, found {len(text)} bytes"
        )
    return {path.stem: _secret_key(text)}


def _public_key(path: Path, text: bytes) -> VerifyKey:
    if b"PRIVATE KEY" in text:
        raise UsageError(
            f"gateway.auth.jwt_keys: {path} holds a private key, which only the issuer of tokens may have; "
            "give the gateway the public one: openssl pkey -pubout"
        )
    try:
        found = load_pem_public_key(text)
    except (ValueError, UnsupportedAlgorithm) as wrong:
        raise UsageError(f"gateway.auth.jwt_keys: expected a public key in {path}, found none") from wrong
    return _rsa_key(_rsa(path, found))


def _rsa(path: Path, key: object) -> RSAPublicKey:
    if not isinstance(key, RSAPublicKey) or key.key_size < RSA_BITS_MIN:
        found = f"one of {key.key_size} bits" if isinstance(key, RSAPublicKey) else "another kind of key"
        raise UsageError(
            f"gateway.auth.jwt_keys: expected an RSA public key of at least {RSA_BITS_MIN} bits in {path}, "
            f"found {found}"
        )
    return key


def _key_set(path: Path, text: bytes) -> dict[str, VerifyKey]:
    """The keys of a JWK Set (RFC 7517 section 5)."""
    with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
        raw = msgspec.json.decode(text)
        entries = raw.get("keys", [raw])
        if isinstance(entries, list) and entries:
            keys = [_jwk(path, entry, alone=len(entries) == 1) for entry in entries]
            if len(found := dict(keys)) == len(keys):
                return found
            raise UsageError(f"gateway.auth.jwt_keys: two keys of {path} have the same kid")
    raise UsageError(f"gateway.auth.jwt_keys: expected a JWK Set with at least one key in {path}, found none")


def _jwk(path: Path, entry: Any, *, alone: bool) -> tuple[str, VerifyKey]:
    kid = entry.get("kid", path.stem if alone else None) if isinstance(entry, dict) else None
    if not isinstance(kid, str):
        raise UsageError(f"gateway.auth.jwt_keys: expected a kid in each key of {path}")
    kind = {"RSA": "RS256", "oct": "HS256"}.get(str(entry.get("kty")))
    if kind is None or entry.get("alg", kind) != kind or "d" in entry:
        raise UsageError(
            f"gateway.auth.jwt_keys: expected public RSA keys for RS256 and oct keys for HS256 in {path}, "
            f"found another (kid {kid[:KID_MAX]!r})"
        )
    try:
        key = jwt.PyJWK(entry, algorithm=kind).key
    except (jwt.PyJWTError, ValueError, TypeError) as wrong:
        raise UsageError(f"gateway.auth.jwt_keys: the key {kid[:KID_MAX]!r} of {path} is broken") from wrong
    if kind == "RS256":
        return kid, _rsa_key(_rsa(path, key))
    if not isinstance(key, bytes) or len(key) < SECRET_MIN:
        raise UsageError(
            f"gateway.auth.jwt_keys: expected a secret of at least {SECRET_MIN} bytes in the key {kid[:KID_MAX]!r} "
            f"of {path}"
        )
    return kid, _secret_key(key)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116  at each client that comes: without another object
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
