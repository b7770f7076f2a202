from pathlib import Path

import pytest

from tickcast.gateway.auth.access import ANYONE, Access, Denied, Scope
from tickcast.gateway.auth.admission import Admission
from tickcast.gateway.auth.guests import IDLE_MAX, OVER, WITHDRAWN, Guests
from tickcast.gateway.auth.keys import KeyFile
from tickcast.testing.tokens import NOW_S, NS, auth_config, token

NOW = NOW_S * NS


class World:
    """Guests with clocks that the test moves."""

    def __init__(self, folder: Path, **settings: int) -> None:
        self.now_ns = NOW
        self.folder = folder
        config = auth_config(folder, **settings)
        self.admission = Admission(config, host="127.0.0.1", folder=folder / "auth", wall=self.clock)
        self.guests = Guests(self.admission, clock=self.clock, wall=self.clock)
        self.ended: list[str] = []

    def clock(self) -> int:
        return self.now_ns

    def access(self, **scope: object) -> Access:
        return self.admission.admit(token=token({"symbols": ["*"], **scope}))


def test_a_user_holds_so_many_and_opens_them_so_fast(tmp_path: Path) -> None:
    world = World(tmp_path, connections_per_user_max=3, handshakes_per_second_per_user=5)
    held = [world.guests.enter(world.access(), world.ended.append) for _ in range(3)]
    with pytest.raises(Denied, match="holds 3 streams") as denied:
        world.guests.enter(world.access(), world.ended.append)
    assert (denied.value.status, denied.value.headers) == (429, {"retry-after": "5"})
    world.guests.leave(held[0])
    world.guests.leave(held[0])
    world.guests.enter(world.access(), world.ended.append)
    with pytest.raises(Denied, match="faster"):
        world.guests.enter(world.access(), world.ended.append)
    other = world.admission.admit(token=token(sub="bob"))
    world.guests.enter(other, world.ended.append)
    world.now_ns += NS
    with pytest.raises(Denied, match="holds 3"):
        world.guests.enter(world.access(), world.ended.append)
    assert len(world.guests) == 4


def test_the_scope_says_another_number(tmp_path: Path) -> None:
    world = World(tmp_path, connections_per_user_max=3)
    world.guests.enter(world.access(connections=1), world.ended.append)
    with pytest.raises(Denied, match="holds 1 streams"):
        world.guests.enter(world.access(connections=1), world.ended.append)


def test_requests_of_all_streams_are_paid_together(tmp_path: Path) -> None:
    world = World(tmp_path, requests_per_second_per_user=10)
    access = world.access()
    assert [world.guests.pay(access) for _ in range(12)] == [True] * 10 + [False] * 2
    world.now_ns += NS // 10 + 1
    assert [world.guests.pay(access) for _ in range(2)] == [True, False]
    assert all(world.guests.pay(ANYONE) for _ in range(100))


def test_who_is_over_is_sent_away_once(tmp_path: Path) -> None:
    world = World(tmp_path)
    first = world.guests.enter(world.access(), world.ended.append)
    later = world.guests.enter(world.admission.admit(token=token(sub="bob", for_s=900)), world.ended.append)
    world.now_ns += 609 * NS
    world.guests.sweep()
    assert world.ended == []
    world.now_ns += NS
    world.guests.sweep()
    world.guests.sweep()
    assert world.ended == [OVER]
    world.guests.leave(first)
    world.guests.leave(later)
    world.now_ns += 10_000 * NS
    world.guests.sweep()
    assert (world.ended, len(world.guests)) == ([OVER], 0)


def test_a_newer_token_moves_the_end(tmp_path: Path) -> None:
    world = World(tmp_path)
    guest = world.guests.enter(world.access(), world.ended.append)
    world.guests.renew(guest, world.admission.admit(token=token(for_s=1200)))
    world.now_ns += 700 * NS
    world.guests.sweep()
    assert world.ended == []
    for other in (token(sub="bob", for_s=2000), token({"symbols": ["*"], "depth": 5}, for_s=2000)):
        with pytest.raises(Denied, match="same user"):
            world.guests.renew(guest, world.admission.admit(token=other))
    world.now_ns += 600 * NS
    world.guests.sweep()
    assert world.ended == [OVER]
    with pytest.raises(Denied):
        world.guests.renew(guest, world.admission.admit(token=token(for_s=2000)))


def test_a_withdrawn_key_ends_its_connections_and_no_other(tmp_path: Path) -> None:
    world = World(tmp_path)
    file = KeyFile(tmp_path / "auth")
    made = [file.add(name, Scope(symbols=("*",)), now_ns=NOW) for name in ("ann", "bob")]
    ended: list[str] = []
    others: list[str] = []
    world.guests.enter(world.admission.admit(token=made[0][0]), ended.append)
    world.guests.enter(world.admission.admit(token=made[1][0]), others.append)
    world.guests.enter(world.access(), world.ended.append)
    file.revoke("ann", now_ns=NOW)
    world.guests.sweep()
    assert (ended, others, world.ended) == ([WITHDRAWN], [], [])


def test_nobody_is_nobody(tmp_path: Path) -> None:
    world = World(tmp_path, connections_per_user_max=1)
    guests = [world.guests.enter(ANYONE, world.ended.append) for _ in range(5)]
    assert len({id(guest) for guest in guests}) == 1
    for guest in guests:
        world.guests.leave(guest)
    assert len(world.guests) == 0
    with pytest.raises(Denied, match="without a token"):
        world.guests.renew(guests[0], world.access())


def test_tables_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert IDLE_MAX > 10
    monkeypatch.setattr("tickcast.gateway.auth.guests.IDLE_MAX", 10)
    world = World(tmp_path)
    held = world.guests.enter(world.access(), world.ended.append)
    for number in range(50):
        access = Access(subject=f"jwt:{number}", scope=Scope(), until_ns=NOW + 3600 * NS)
        world.guests.leave(world.guests.enter(access, world.ended.append))
    assert len(world.guests._users) == 11
    for _ in range(3000):
        world.now_ns += NS // 10
        world.guests.leave(world.guests.enter(world.access(), world.ended.append))
    assert len(world.guests._ends) < 2000
    world.guests.leave(held)
