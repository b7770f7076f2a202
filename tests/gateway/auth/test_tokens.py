"""Tokens that are good, and every way to be bad: none of these may come in."""

import base64
import hashlib
import hmac
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tickcast.gateway.auth.access import Denied
from tickcast.gateway.auth.config import Config
from tickcast.gateway.auth.tokens import KeyRing
from tickcast.model.errors import UsageError
from tickcast.testing.tokens import AUDIENCE, ISSUER, NOW_S, NS, SECRET, RsaIssuer, auth_config, claims, signed, token

NOW_NS = NOW_S * NS
ALL = {"symbols": ["*"]}


@pytest.fixture(scope="module")
def issuer() -> RsaIssuer:
    return RsaIssuer()


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory, issuer: RsaIssuer) -> KeyRing:
    folder = tmp_path_factory.mktemp("keys")
    (folder / "rsa.pem").write_bytes(issuer.public_pem)
    config = auth_config(folder)
    return KeyRing(msgspec.structs.replace(config, jwt_keys=(*config.jwt_keys, str(folder / "rsa.pem"))))


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def by_hand(header: dict[str, Any], body: dict[str, Any], key: bytes = b"") -> str:
    """A token that no library would make; without a key it has no signature."""
    text = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(body).encode())}"
    return f"{text}.{b64(hmac.digest(key, text.encode(), hashlib.sha256)) if key else ''}"


def test_good_tokens_of_both_kinds_come_in(ring: KeyRing, issuer: RsaIssuer) -> None:
    scope = {"symbols": ["XNAS:*"], "channels": ["price"], "depth": 10, "rate": 5, "connections": 3, "delayed": True}
    for text in (
        signed(claims(scope)),
        signed(claims(scope), key=issuer.private_pem, algorithm="RS256", kid="rsa"),
        signed(claims(scope, aud=["other", AUDIENCE], nbf=NOW_S - 5, iat=NOW_S + 100)),
    ):
        access = ring.admit(text, NOW_NS)
        assert access.subject == "jwt:ann"
        assert access.until_ns == (NOW_S + 600 + 10) * NS
        assert msgspec.json.decode(msgspec.json.encode(access.scope)) == scope
        assert ring.stands(access)


BAD: dict[str, tuple[str, Callable[[RsaIssuer], str]]] = {
    "expired": ("expired", lambda _: token(for_s=-11)),
    "not yet": ("not valid yet", lambda _: token(nbf=NOW_S + 11)),
    "other issuer": ("issuer", lambda _: token(iss="https://other.example")),
    "no issuer": ("lacks the claim iss", lambda _: token(iss=None)),
    "other audience": ("audience", lambda _: token(aud="other")),
    "no audience": ("aud", lambda _: token(aud=None)),
    "no end": ("lacks the claim exp", lambda _: token(exp=None)),
    "end is no time": ("no time|not valid", lambda _: token(exp="tomorrow")),
    "end is true": ("no time|not valid", lambda _: token(exp=True)),
    "end is huge": ("no time", lambda _: token(exp=1 << 60)),
    "end is endless": ("no time|not valid", lambda _: token(exp=float("inf"))),
    "no subject": ("lacks the claim sub", lambda _: token(sub=None)),
    "subject is empty": ("sub", lambda _: token(sub="")),
    "subject is long": ("sub", lambda _: token(sub="x" * 201)),
    "subject is a number": ("not valid", lambda _: by_hand(
        {"alg": "HS256", "kid": "secret"}, claims(ALL) | {"sub": 7}, SECRET.encode())),
    "no scope": ("claim 'tickcast'", lambda _: signed(claims(None))),
    "scope is a text": ("claim 'tickcast'", lambda _: signed(claims("*"))),
    "scope with a typo": ("unknown field", lambda _: token({"symbols": ["*"], "delyed": True})),
    "none": ("not valid", lambda _: by_hand({"alg": "none", "kid": "secret"}, claims(ALL))),
    "None": ("not valid", lambda _: by_hand({"alg": "None", "kid": "rsa"}, claims(ALL))),
    "none without kid": ("not valid", lambda _: by_hand({"alg": "none"}, claims(ALL))),
    "unsigned": ("not valid", lambda _: token().rpartition(".")[0] + "."),
    "two parts": ("not valid", lambda _: token().rpartition(".")[0]),
    "signature of another": ("not valid", lambda _: signed(claims(ALL), key="another secret of more than 32 bytes!")),
    "payload of another": ("not valid", lambda _: ".".join(
        (token().split(".")[0], token(sub="bob").split(".")[1], token().split(".")[2]))),
    # the public key, which everybody may know, used as a secret
    "confusion": ("not valid", lambda issuer: by_hand(
        {"alg": "HS256", "kid": "rsa"}, claims(ALL), issuer.public_pem)),
    "confusion, stripped": ("not valid", lambda issuer: by_hand(
        {"alg": "HS256", "kid": "rsa"}, claims(ALL), issuer.public_pem.strip())),
    "other family": ("not valid", lambda _: signed(claims(ALL), algorithm="HS512")),
    "RS512": ("not valid", lambda issuer: signed(
        claims(ALL), key=issuer.private_pem, algorithm="RS512", kid="rsa")),
    "kid of the other key": ("not valid", lambda _: signed(claims(ALL), kid="rsa")),
    "unknown kid": ("not valid", lambda _: signed(claims(ALL), kid="nope")),
    "no kid, two keys": ("not valid", lambda _: signed(claims(ALL), kid=None)),
    "kid is a path": ("not valid", lambda _: signed(claims(ALL), kid="../../dev/null")),
    "kid is a list": ("not valid", lambda _: by_hand(
        {"alg": "HS256", "kid": ["secret"]}, claims(ALL), SECRET.encode())),
    "key in the header": ("not valid", lambda issuer: signed(
        claims(ALL), key=issuer.private_pem, algorithm="RS256", kid="own", headers={"jwk": issuer.jwk("own")})),
    "crit": ("not valid", lambda _: signed(claims(ALL), headers={"crit": ["exp"]})),
    "oversize": ("too long", lambda _: token(padding="x" * 9000)),
    "empty": ("not valid", lambda _: ""),
    "dots": ("not valid", lambda _: ".."),
    "no JSON": ("not valid", lambda _: f"{b64(b'{')}.{b64(b'{}')}.x"),
    "deep JSON": ("not valid", lambda _: f"{b64(b'[' * 4000)}.{b64(b'{}')}.x"),
    "not ASCII": ("not valid", lambda _: "\u00e4.\u00f6.\u00fc"),
    "encrypted": ("not valid", lambda _: "a.b.c.d.e"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_token_does_not_come_in(ring: KeyRing, issuer: RsaIssuer, name: str) -> None:
    says, make = BAD[name]
    text = make(issuer)
    with pytest.raises(Denied, match=says) as denied:
        ring.admit(text, NOW_NS)
    assert (denied.value.status, denied.value.is_missing) == (401, False)
    assert not text or text not in denied.value.reason


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(
    st.one_of(st.text(max_size=200), st.binary(max_size=100).map(lambda data: f"{b64(data)}.{b64(data)}.{b64(data)}"))
)
def test_whatever_is_sent_is_denied_and_breaks_nothing(ring: KeyRing, text: str) -> None:
    with pytest.raises(Denied):
        ring.admit(text, NOW_NS)


@given(st.integers(min_value=0, max_value=len(token()) - 1), st.characters(codec="ascii"))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
def test_a_changed_token_is_another_or_denied(ring: KeyRing, place: int, character: str) -> None:
    good = token()
    changed = good[:place] + character + good[place + 1 :]
    try:
        found = ring.admit(changed, NOW_NS)
    except Denied:
        return
    # base64 has bits that count for nothing at the end of a part
    assert found == ring.admit(good, NOW_NS)


def test_clocks_may_differ_by_the_leeway(ring: KeyRing) -> None:
    assert ring.admit(token(for_s=-9), NOW_NS).until_ns == (NOW_S + 1) * NS
    assert ring.admit(token(nbf=NOW_S + 9), NOW_NS).subject == "jwt:ann"


# ------------------------------------------------------------------ keys


def ring_of(*paths: Path) -> KeyRing:
    return KeyRing(Config(jwt_keys=tuple(map(str, paths)), jwt_issuer=ISSUER, jwt_audience=AUDIENCE))


def test_a_key_set_holds_keys_of_both_kinds(tmp_path: Path, issuer: RsaIssuer) -> None:
    secret = {"kty": "oct", "k": b64(SECRET.encode()), "kid": "s", "alg": "HS256"}
    (tmp_path / "set.json").write_text(json.dumps({"keys": [issuer.jwk("r"), secret]}))
    ring = ring_of(tmp_path / "set.json")
    assert ring.admit(signed(claims(ALL), key=issuer.private_pem, algorithm="RS256", kid="r"), NOW_NS)
    assert ring.admit(signed(claims(ALL), kid="s"), NOW_NS)


def test_keys_rotate_without_a_restart(tmp_path: Path) -> None:
    old, new = tmp_path / "old.key", tmp_path / "new.key"
    old.write_text(SECRET)
    new.write_text(SECRET[::-1])
    ring = ring_of(old, new)
    first = ring.admit(signed(claims(ALL), kid="old"), NOW_NS)
    second = ring.admit(signed(claims(ALL), kid="new", key=SECRET[::-1]), NOW_NS)
    assert not ring.refresh()
    old.unlink()
    assert ring.refresh()
    assert (ring.stands(first), ring.stands(second)) == (False, True)
    with pytest.raises(Denied):
        ring.admit(signed(claims(ALL), kid="old"), NOW_NS)
    old.write_text("another secret, also of more than 32 bytes")
    assert ring.refresh()
    assert ring.admit(signed(claims(ALL), kid="old", key="another secret, also of more than 32 bytes"), NOW_NS)


def test_a_file_that_breaks_leaves_the_keys_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    path.write_text(SECRET)
    ring = ring_of(path)
    path.write_text("half")
    assert not ring.refresh()
    assert ring.admit(signed(claims(ALL), kid="a"), NOW_NS)


def test_a_key_alone_needs_no_kid(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    path.write_text(SECRET)
    assert ring_of(path).admit(signed(claims(ALL), kid=None), NOW_NS)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "found 0 bytes"),
        (b"short", "at least 32 bytes"),
        (b"-----BEGIN PUBLIC KEY-----\nnope\n-----END PUBLIC KEY-----", "expected a public key"),
        (b"{}", "kid|JWK"),
        (b'{"keys":[]}', "at least one key"),
        (b'{"keys":[{"kty":"oct","k":"YQ","kid":"a"},{"kty":"oct","k":"YQ","kid":"b"}]}', "at least 32 bytes"),
        (b'{"keys":[{"kty":"EC","kid":"a"}]}', "expected public RSA keys"),
        (b'{"keys":[{"kty":"oct","k":"YQ"},{"kty":"oct","k":"YQ"}]}', "expected a kid"),
        (b'{"keys":[{"kty":"RSA","kid":"a"}]}', "is broken"),
        (b"{broken", "JWK Set"),
        (b"x" * 300_000, "at most 262144 bytes"),
    ],
)
def test_a_file_that_is_no_key_is_said(tmp_path: Path, data: bytes, says: str) -> None:
    path = tmp_path / "key"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=says) as said:
        ring_of(path)
    assert str(path) in str(said.value)


def test_private_and_short_keys_are_refused(tmp_path: Path, issuer: RsaIssuer) -> None:
    private, short, twice = tmp_path / "a.pem", tmp_path / "b.pem", tmp_path / "twice" / "b.pem"
    private.write_bytes(issuer.private_pem)
    with pytest.raises(UsageError, match="holds a private key"):
        ring_of(private)
    short.write_bytes(RsaIssuer(bits=1024).public_pem)
    with pytest.raises(UsageError, match="at least 2048 bits"):
        ring_of(short)
    twice.parent.mkdir()
    for path in (short, twice):
        path.write_bytes(issuer.public_pem)
    with pytest.raises(UsageError, match="'b' is that of another key"):
        ring_of(short, twice)
    with pytest.raises(UsageError, match="No such file"):
        ring_of(tmp_path / "nope")


def test_settings_that_would_take_tokens_for_others_are_refused() -> None:
    for missing in ("jwt_issuer", "jwt_audience"):
        table = {"jwt_keys": ["x"], "jwt_issuer": "i", "jwt_audience": "a"}
        del table[missing]
        with pytest.raises(msgspec.ValidationError, match=missing):
            msgspec.convert(table, Config)


def test_the_library_knows_the_attack_too() -> None:
    """The confusion of keys would work on a verifier that lets the token choose: so the tests above mean something."""
    secret = os.urandom(32)
    text = jwt.encode(claims(ALL), secret, algorithm="HS256")
    assert jwt.decode(text, secret, algorithms=["HS256", "RS256"], audience=AUDIENCE, options={"verify_exp": False})


def by_the_library(text: str, issuer: RsaIssuer) -> dict[str, Any]:
    """What another reader of tokens takes, with the same keys."""
    kid = jwt.get_unverified_header(text)["kid"]
    keys: dict[str, tuple[Any, str]] = {"secret": (SECRET, "HS256"), "rsa": (issuer.key.public_key(), "RS256")}
    key, algorithm = keys[kid]
    options: jwt.types.Options = {
        "require": ["exp", "iss", "aud", "sub"], "verify_exp": False, "verify_nbf": False, "verify_iat": False,
    }  # fmt: skip
    taken = jwt.decode(text, key, algorithms=[algorithm], audience=AUDIENCE, issuer=ISSUER, options=options)
    return dict(taken)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)
@given(data=st.data())
def test_what_comes_in_the_library_takes_too_and_reads_the_same(
    ring: KeyRing, issuer: RsaIssuer, data: st.DataObject
) -> None:
    body = claims(
        {"symbols": data.draw(st.lists(st.sampled_from(["*", "AAPL", "XNAS:*"]), max_size=3))},
        sub=data.draw(st.text(min_size=1, max_size=20).filter(str.isprintable)),
        exp=data.draw(st.one_of(st.integers(NOW_S + 1, NOW_S + 10**6), st.floats(NOW_S + 1, NOW_S + 10**6))),
        aud=data.draw(st.sampled_from([AUDIENCE, [AUDIENCE], ["x", AUDIENCE]])),
        extra=data.draw(st.recursive(st.one_of(st.none(), st.booleans(), st.text(max_size=5)), st.lists, max_leaves=5)),
    )
    text = data.draw(st.sampled_from([signed(body), signed(body, key=issuer.key, algorithm="RS256", kid="rsa")]))
    for place in data.draw(st.lists(st.integers(0, len(text) - 1), max_size=3)):
        text = text[:place] + data.draw(st.characters(codec="ascii")) + text[place + 1 :]
    try:
        access = ring.admit(text, NOW_NS)
    except Denied:
        with pytest.raises((jwt.PyJWTError, KeyError, ValueError)):
            by_the_library(text, issuer)
        return
    taken = by_the_library(text, issuer)
    assert access.subject == f"jwt:{taken['sub']}"
    assert access.until_ns == int(taken["exp"] * NS) + 10 * NS
    assert list(access.scope.symbols) == taken["tickcast"]["symbols"]


def test_padding_may_be_written_and_nothing_else_is_overlooked(ring: KeyRing) -> None:
    head, body, signature = token().split(".")
    for part in (head, body, signature):
        assert ring.admit(token(), NOW_NS), part
    assert ring.admit(f"{head}.{body}.{signature}=", NOW_NS)
    for wrong in (
        f"{head}.{body}.{signature} ", f" {head}.{body}.{signature}", f"{head}.{body}.{signature}.", f"{head}.{body}.",
        f"{head}.{body}.{signature}=x", f"{head}..{body}.{signature}", f"{head}.{body}.{signature}\n",
        f"{head}.{body}.+/{signature[2:]}",
    ):  # fmt: skip
        with pytest.raises(Denied, match="not valid"):
            ring.admit(wrong, NOW_NS)
