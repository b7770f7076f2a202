from pathlib import Path

import pytest

from tickcast.gateway.auth.access import ANYONE, Denied, Scope
from tickcast.gateway.auth.admission import Admission, check_door, is_loopback, takes_anonymous
from tickcast.gateway.auth.config import Config
from tickcast.gateway.auth.keys import KeyFile
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
