import json
import stat
import threading
from pathlib import Path

import pytest

from tickcast.gateway.auth.access import Denied, Scope
from tickcast.gateway.auth.keys import KEYS_MAX, KeyFile, KeyStore
from tickcast.model.errors import UsageError

NOW = 1_774_794_600 * 10**9
ALL = Scope(symbols=("*",))


def test_a_key_is_made_used_and_withdrawn_at_once(tmp_path: Path) -> None:
    file, store = KeyFile(tmp_path / "auth"), KeyStore(tmp_path / "auth")
    key, entry = file.add("ann", ALL, now_ns=NOW)
    access = store.admit(key, NOW)
    assert (access.subject, access.credential, access.scope, access.until_ns) == ("key:ann", f"key:{entry.id}", ALL, 0)
    assert store.stands(access, NOW)
    assert [one.id for one in file.revoke("ann", now_ns=NOW + 1)] == [entry.id]
    with pytest.raises(Denied):
        store.admit(key, NOW)
    assert not store.stands(access, NOW)
    assert file.revoke(entry.id, now_ns=NOW + 2) == []
    assert file.entries()[0].revoked_ns == NOW + 1


def test_only_a_hash_is_kept_and_nobody_else_reads_it(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "auth")
    key, _ = file.add("ann", ALL, now_ns=NOW)
    secret = key.rpartition("_")[2] if "_" not in key[14:] else key[14:]
    for path in (tmp_path / "auth").iterdir():
        assert secret.encode() not in path.read_bytes()
    assert stat.S_IMODE((tmp_path / "auth").stat().st_mode) == 0o700
    for name in ("keys.json", "pepper"):
        assert stat.S_IMODE((tmp_path / "auth" / name).stat().st_mode) == 0o600


def test_the_file_alone_confirms_no_guess(tmp_path: Path) -> None:
    """The hash is keyed: the same key under another pepper is another hash."""
    file = KeyFile(tmp_path / "auth")
    key, _ = file.add("ann", ALL, now_ns=NOW)
    (tmp_path / "auth" / "pepper").write_bytes(b"x" * 32)
    with pytest.raises(Denied):
        KeyStore(tmp_path / "auth").admit(key, NOW)


def test_wrong_keys_are_all_told_the_same(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "auth")
    key, entry = file.add("ann", ALL, now_ns=NOW)
    ended, _ = file.add("bob", ALL, now_ns=NOW, until_ns=NOW + 1)
    gone, other = file.add("eve", ALL, now_ns=NOW)
    file.revoke(other.id, now_ns=NOW)
    store = KeyStore(tmp_path / "auth")
    told = set()
    wrong = [
        "", "tk_", "tk__", f"tk_{entry.id}_", f"{key}x", key[:-1], f"tk_0000000000_{key[14:]}", "tk_\u00e4_\u00f6",
        key.replace(entry.id, other.id), ended, gone, f"tk_{entry.id}_{'x' * 5000}", "\ud800",
    ]  # fmt: skip
    for bad in wrong:
        with pytest.raises(Denied) as denied:
            store.admit(bad, NOW + 1)
        told.add((denied.value.reason, denied.value.status))
    assert len(told) == 1
    assert store.admit(key, NOW + 1).subject == "key:ann"


def test_a_change_of_the_scope_ends_what_rests_on_the_old_one(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "auth")
    key, _ = file.add("ann", ALL, now_ns=NOW)
    store = KeyStore(tmp_path / "auth")
    access = store.admit(key, NOW)
    raw = json.loads(file.path.read_bytes())
    raw["keys"][0]["scope"] = {"symbols": ["AAPL"]}
    file.path.write_text(json.dumps(raw))
    assert store.refresh()
    assert not store.stands(access, NOW)
    assert not store.admit(key, NOW).may_see("MSFT")


def test_a_broken_file_is_said_at_the_start_and_changes_nothing_later(tmp_path: Path) -> None:
    file = KeyFile(tmp_path)
    key, _ = file.add("ann", ALL, now_ns=NOW)
    store = KeyStore(tmp_path)
    good = file.path.read_bytes()
    file.path.write_bytes(b"{broken")
    assert not store.refresh()
    assert store.admit(key, NOW)
    with pytest.raises(UsageError, match="is broken"):
        KeyStore(tmp_path)
    with pytest.raises(UsageError, match="is broken"):
        file.add("bob", ALL, now_ns=NOW)
    file.path.write_bytes(good)
    (tmp_path / "pepper").unlink()
    with pytest.raises(UsageError, match="pepper"):
        KeyStore(tmp_path)
    file.path.unlink()
    assert store.refresh()
    with pytest.raises(Denied):
        store.admit(key, NOW)


def test_keys_made_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    files = [KeyFile(tmp_path / "auth") for _ in range(4)]

    def make(file: KeyFile) -> None:
        for _ in range(5):
            file.add("ann", ALL, now_ns=NOW)

    threads = [threading.Thread(target=make, args=[file]) for file in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entries = files[0].entries()
    assert (len(entries), len({entry.id for entry in entries})) == (20, 20)


@pytest.mark.parametrize("name", ["", " ann", "ann\n", "x" * 65])
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="expected a name"):
        KeyFile(tmp_path).add(name, ALL, now_ns=NOW)


def test_what_cannot_be_changed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="no key with the id or name 'ann'"):
        KeyFile(tmp_path / "none").revoke("ann", now_ns=NOW)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be changed"):
        KeyFile(tmp_path / "file" / "auth").add("ann", ALL, now_ns=NOW)
    assert KEYS_MAX > 1
    monkeypatch.setattr("tickcast.gateway.auth.keys.KEYS_MAX", 1)
    KeyFile(tmp_path).add("ann", ALL, now_ns=NOW)
    with pytest.raises(UsageError, match="the most there may be"):
        KeyFile(tmp_path).add("bob", ALL, now_ns=NOW)
