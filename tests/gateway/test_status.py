"""Channel ``status``: notes of what changed, and who gets them."""

from collections.abc import Sequence
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tickcast.gateway import messages
from tickcast.gateway.auth.access import ANYONE
from tickcast.gateway.status import StatusBoard, StatusSource
from tickcast.model.ledger import LedgerEntry
from tickcast.ports import Completeness, GapQuery


class World:
    """Feeds, a ledger and a rung that the test changes."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.entries: dict[str, LedgerEntry] = {}
        self.rung = (0, "normal")
        self.source = StatusSource(self, self, lambda: self.rung)

    def feeds(self) -> Sequence[dict[str, Any]]:
        return list(self.rows.values())

    def latency(self) -> dict[str, Any]:
        return {}

    def ready(self) -> tuple[bool, dict[str, Any]]:
        return True, {}

    def gaps(self, query: GapQuery) -> tuple[Sequence[LedgerEntry], str | None]:
        return [one for one in self.entries.values() if bool(one.ended_ns) != bool(query.is_open)], None

    def completeness(self, symbol: str, from_ns: int, to_ns: int) -> Completeness | None:
        del symbol, from_ns, to_ns
        return None

    def feed(self, name: str, state: str) -> None:
        self.rows[name] = {"name": name, "venue": name.upper(), "state": state, "rate": len(self.rows)}

    def gap(self, identity: str, feed: str, *, ended_ns: int = 0) -> None:
        self.entries[identity] = LedgerEntry(
            id=identity,
            venue=feed.upper(),
            feed=feed,
            kind="gap",
            scope="instrument",
            reason="",
            began_ns=1,
            ended_ns=ended_ns,
        )


def test_only_what_changed_makes_a_note() -> None:
    world = World()
    world.feed("xnas", "connected")
    first = world.source.notes(10)
    assert [note.__struct_config__.tag for note in first] == ["feed", "delivery"]
    assert [note.seq for note in first] == [1, 2]
    assert all(b'"channel":"status"' in msgspec.json.encode(note) for note in first)
    assert world.source.notes(11) == []
    world.rows["xnas"]["rate"] = 99
    assert world.source.notes(12) == [], "a rate alone is no news"
    world.feed("xnas", "failed")
    world.gap("a", "xnas")
    world.rung = (1, "held longer")
    notes = world.source.notes(13)
    assert [note.seq for note in notes] == [3, 4, 5]
    assert isinstance(notes[1], messages.GapNote)
    assert notes[1].gap["ended"] is None
    world.gap("a", "xnas", ended_ns=50)
    (ended,) = world.source.notes(60)
    assert isinstance(ended, messages.GapNote)
    assert ended.gap["ended"] is not None
    assert world.source.notes(61) == []


def test_watchers_get_a_snapshot_and_then_what_concerns_them() -> None:
    world, told = World(), []
    board = StatusBoard(lambda client, note: told.append((client, note)))
    world.feed("xnas", "connected")
    world.feed("bats", "connected")
    world.gap("a", "bats")
    board.put(world.source.notes(10))
    ack, snapshot = board.watch(1, ["xnas", "nope"], 7, access=ANYONE)
    assert (ack.id, ack.symbols["xnas"].state, ack.symbols["nope"].state) == (7, "connected", "no_such_symbol")
    assert ([row["name"] for row in snapshot.feeds], snapshot.gaps, snapshot.seq) == (["xnas"], [], 4)
    _, everything = board.watch(2, ["*"], None, access=ANYONE)
    assert ([row["name"] for row in everything.feeds], len(everything.gaps)) == (["xnas", "bats"], 1)
    world.feed("bats", "stale")
    board.put(world.source.notes(11))
    assert [client for client, _ in told] == [2]
    world.rung = (2, "at most 5 updates a second")
    board.put(world.source.notes(12))
    assert [client for client, _ in told] == [2, 1, 2], "delivery concerns everybody"
    assert board.forget(1, ["xnas", "bats"]) == ["xnas"]
    assert board.forget(2, ["*"]) == ["*"]
    assert len(board) == 0


@given(
    steps=st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(["connected", "stale", "gap", "end"])), max_size=30
    )
)
def test_snapshot_and_notes_agree_with_the_source(steps: list[tuple[str, str]]) -> None:
    """A board in another process that began with ``state()`` in the middle ends like the first one."""
    world, told = World(), []
    first = StatusBoard(lambda _client, _note: None)
    second = StatusBoard(lambda _client, note: told.append(note))
    for place, (name, what) in enumerate(steps):
        if what == "gap":
            world.gap(name, name)
        elif what == "end" and name in world.entries:
            world.gap(name, name, ended_ns=place + 2)
        elif what != "end":
            world.feed(name, what)
        notes = world.source.notes(place + 3)
        first.put(notes)
        if place == len(steps) // 2:
            second.replace(first.state())
        elif place > len(steps) // 2:
            second.put(notes)
    if steps:
        assert first.watch(1, ["*"], None, access=ANYONE)[1] == second.watch(1, ["*"], None, access=ANYONE)[1]


def test_notes_of_another_process_are_numbered_with_those_of_this_one() -> None:
    told: list[tuple[int, messages.Reply]] = []
    board = StatusBoard(lambda client, note: told.append((client, note)))
    feed = messages.FeedNote(channel="status", seq=70, feed={"name": "xnas", "state": "connected"})
    theirs = messages.DeliveryNote(channel="status", seq=71, delivery={"rung": 3, "word": "cap_1"})
    board.take([feed, theirs], is_whole=True)
    _, snapshot = board.watch(5, ["*"], None, access=ANYONE)
    assert (snapshot.feeds, snapshot.delivery) == ([feed.feed], {"rung": 0, "word": "normal"})
    board.tell_rung(2, "cap_5")
    board.take([feed, theirs], is_whole=False)
    assert [(client, type(note).__name__, getattr(note, "seq", 0)) for client, note in told] == [
        (5, "DeliveryNote", snapshot.seq + 1),
        (5, "FeedNote", snapshot.seq + 2),
    ]
    board.take([], is_whole=True)
    assert board.watch(5, ["*"], None, access=ANYONE)[1].delivery == {"rung": 2, "word": "cap_5"}


def test_without_its_source_every_feed_is_stale_until_it_is_told_of_again() -> None:
    world, told = World(), []
    board = StatusBoard(lambda client, note: told.append((client, note)))
    world.feed("xnas", "connected")
    world.feed("bats", "stale")
    board.put(world.source.notes(1))
    board.watch(5, ["*"], None, access=ANYONE)
    told.clear()
    board.lose("the core is gone", "2026-03-29T14:30:01.234Z")
    ((client, note),) = told
    assert client == 5
    assert isinstance(note, messages.FeedNote)
    assert note.feed["name"] == "xnas", "the other one is stale already"
    assert (note.feed["state"], note.feed["last_error"]) == ("stale", "the core is gone")
    told.clear()
    board.take([messages.FeedNote(channel="status", seq=1, feed=world.rows["xnas"])], is_whole=True)
    ((_, whole),) = told
    assert isinstance(whole, messages.StatusSnapshot)
    assert [row["state"] for row in whole.feeds] == ["connected"]
    assert whole.seq > note.seq
