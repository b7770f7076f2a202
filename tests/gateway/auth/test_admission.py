import time
from pathlib import Path

import pytest

from tickcast.gateway.auth.access import ANYONE, Denied, Scope
from tickcast.gateway.auth.admission import Admission, check_door, is_loopback, takes_anonymous
from tickcast.gateway.auth.config import Config
from tickcast.gateway.auth.keys import FRESH_NS, KeyFile
from tickcast.model.errors import UsageError
from tickcast.testing.tokens import NOW_S, NS, SECRET, auth_config, token

NOW = NOW_S * NS


def bearer(text: str) -> list[tuple[bytes, bytes]]:
    return [(b"host", b"localhost"), (b"authorization", f"Bearer {text}".encode())]


@pytest.fixture
def admission(tmp_path: Path) -> Admission:
    return Admission(auth_config(tmp_path), host="127.0.0.1", folder=tmp_path / "auth", wall=lambda: NOW)


def test_every_way_to_show_who_one_is_comes_to_the_same(admission: Admission, tmp_path: Path) -> None:
    key, _ = KeyFile(tmp_path / "auth").add("ann", Scope(symbols=("*",)), now_ns=NOW)
    for headers, shown in (
        (bearer(token()), {}),
        ([(b"authorization", f"bearer  {token()} ".encode())], {}),
        ([], {"token": token()}),
        ([], {"ticket": admission.issue(admission.admit(token=token()))[0]}),
    ):
        assert admission.admit(headers, **shown).subject == "jwt:ann"
    for headers, shown in ((bearer(key), {}), ([(b"x-api-key", key.encode())], {}), ([], {"token": key})):
        assert admission.admit(headers, **shown).subject == "key:ann"


def test_two_things_at_once_are_refused(admission: Admission, tmp_path: Path) -> None:
    key, _ = KeyFile(tmp_path / "auth").add("ann", Scope(symbols=("*",)), now_ns=NOW)
    for headers in (
        [*bearer(token()), *bearer(token())],
        [*bearer(token()), (b"x-api-key", key.encode())],
    ):
        with pytest.raises(Denied, match="expected one thing"):
            admission.admit(headers)


def test_who_shows_nothing_may_still_do_so(admission: Admission) -> None:
    for headers in ([], [(b"authorization", b"Basic YTpi")], [(b"cookie", b"token=x")]):
        with pytest.raises(Denied) as denied:
            admission.admit(headers)
        assert (denied.value.is_missing, denied.value.status) == (True, 401)
    with pytest.raises(Denied) as denied:
        admission.admit(bearer("x"))
    assert not denied.value.is_missing


def test_a_wrong_token_is_wrong_also_where_anybody_comes_in() -> None:
    admission = Admission(Config(), host="127.0.0.1", folder=None, wall=lambda: NOW)
    assert admission.admit() is ANYONE
    for shown in (token(), "tk_1_2"):
        with pytest.raises(Denied):
            admission.admit(token=shown)
    with pytest.raises(Denied):
        admission.admit(ticket="x")
    with pytest.raises(Denied, match="no tickets"):
        admission.issue(ANYONE)


def test_what_was_let_in_stays_while_its_key_does(admission: Admission, tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "auth")
    key, entry = file.add("ann", Scope(symbols=("*",)), now_ns=NOW)
    by_key, by_token = admission.admit(token=key), admission.admit(token=token())
    ticket, _ = admission.issue(by_key)
    assert admission.stands(by_key)
    assert admission.stands(by_token)
    assert admission.stands(ANYONE)
    before = admission.refresh()
    file.revoke(entry.id, now_ns=NOW)
    assert admission.refresh() == before + 1
    assert (admission.stands(by_key), admission.stands(by_token)) == (False, True)
    with pytest.raises(Denied, match="withdrawn"):
        admission.admit(ticket=ticket)
    (tmp_path / "secret.key").write_text(SECRET[::-1])
    assert admission.refresh() == before + 2
    with pytest.raises(Denied):
        admission.admit(token=token())


def moving(folder: Path) -> tuple[Admission, list[int]]:
    now = [NOW]
    return Admission(auth_config(folder), host="127.0.0.1", folder=folder / "auth", wall=lambda: now[0]), now


def test_a_token_that_comes_again_is_not_verified_again_and_still_ends(tmp_path: Path, verified: list[bytes]) -> None:
    admission, now = moving(tmp_path)
    text, later = token(), token(nbf=NOW_S + 100)
    first = admission.admit(bearer(text))
    now[0] += NS
    assert admission.admit(bearer(text)) is admission.admit(token=text) is first
    assert len(verified) == 1
    for passed_s in (2, 89):
        now[0] = NOW + passed_s * NS
        with pytest.raises(Denied, match="not valid yet"):
            admission.admit(bearer(later))
    now[0] = NOW + 90 * NS
    assert admission.admit(bearer(later)) is admission.admit(bearer(later))
    assert len(verified) == 4
    now[0] = NOW  # the clock is set back
    with pytest.raises(Denied, match="not valid yet"):
        admission.admit(bearer(later))
    now[0] = NOW + 610 * NS
    with pytest.raises(Denied, match="expired"):
        admission.admit(bearer(text))


def test_what_is_remembered_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verified: list[bytes]) -> None:
    monkeypatch.setattr("tickcast.gateway.auth.admission.KNOWN_MAX", 2)
    admission, _ = moving(tmp_path)
    texts = [token(sub=str(number)) for number in range(5)]
    for text in [*texts, *texts[3:]]:
        admission.admit(token=text)
    assert len(verified) == 5
    admission.admit(token=texts[0])
    assert len(verified) == 6


def test_who_is_remembered_goes_with_the_key(tmp_path: Path) -> None:
    admission, now = moving(tmp_path)
    file = KeyFile(tmp_path / "auth")
    (key, entry), (other, _) = (file.add(name, Scope(symbols=("*",)), now_ns=NOW) for name in ("ann", "bob"))
    for text in (key, other, token()):
        assert admission.admit(token=text) is admission.admit(token=text)
    file.revoke(entry.id, now_ns=NOW)
    now[0] += FRESH_NS
    with pytest.raises(Denied):
        admission.admit([(b"x-api-key", key.encode())])
    assert admission.admit(token=other).subject == "key:bob"
    (tmp_path / "secret.key").write_text(SECRET[::-1])
    now[0] += FRESH_NS
    with pytest.raises(Denied):
        admission.admit(token=token())


def test_a_token_is_no_key_also_when_it_is_known(admission: Admission) -> None:
    admission.admit(token=token())
    with pytest.raises(Denied, match="API key"):
        admission.admit([(b"x-api-key", token().encode())])


def test_a_key_that_is_said_to_be_withdrawn_is_so(tmp_path: Path) -> None:
    admission = Admission(auth_config(tmp_path), host="127.0.0.1", folder=tmp_path / "auth", wall=time.time_ns)
    file = KeyFile(tmp_path / "auth")
    for _ in range(20):
        key, entry = file.add("ann", Scope(symbols=("*",)), now_ns=NOW)
        admission.admit(token=key)
        file.revoke(entry.id, now_ns=NOW)
        with pytest.raises(Denied):
            admission.admit(token=key)


def test_what_is_told_holds_nothing_of_what_was_shown(admission: Admission) -> None:
    for shown in (token(sub="a-name", exp=1), "tk_secretid_secretsecret", "header.payload-text.signature"):
        with pytest.raises(Denied) as denied:
            admission.admit(token=shown)
        assert not any(part in denied.value.reason for part in (*shown.split("."), "secretsecret", "a-name"))


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("", False),
     ("::", False), ("10.1.2.3", False), ("prices.example", False), ("localhost.example", False)],
)  # fmt: skip
def test_anybody_comes_in_on_this_machine_only(host: str, local: bool, tmp_path: Path) -> None:
    assert is_loopback(host) is local
    assert takes_anonymous(Config(), host) is local
    assert not takes_anonymous(auth_config(tmp_path), host)
    assert takes_anonymous(Config(anonymous=True), host)
    assert not takes_anonymous(Config(anonymous=False), host)
    if local:
        check_door(Config(), host)
        return
    with pytest.raises(UsageError, match=r"gateway\.auth\.anonymous = true"):
        check_door(Config(), host)
    for config in (Config(anonymous=True), Config(anonymous=False), auth_config(tmp_path)):
        check_door(config, host)
