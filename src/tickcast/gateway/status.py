"""Channel ``status``: how the feeds are, what is less than whole, and how hard delivery works.

The core makes the notes (:class:`StatusSource`, from what it knows of feeds, ledger and ladder); every gateway hands
them to its watchers (:class:`StatusBoard`), in the core itself or in a worker. There are few notes, so this is Python.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import msgspec

from tickcast.gateway import messages
from tickcast.gateway.auth.access import ANYONE, NOT_ENTITLED, Access
from tickcast.gateway.gaps import shown
from tickcast.model.ledger import LedgerEntry
from tickcast.ports import GapLedger, GapQuery, Insight

GAPS_MAX: Final = 200
"""Open entries of the ledger that are told of at most."""
STATUS: Final = "status"
EVERYTHING: Final = "*"
_NEWS: Final = ("state", "since", "pid", "restarts", "last_error")
"""Of a feed: what makes a note when it changes; counts and rates alone do not."""


_decode: Final = msgspec.json.Decoder(messages.FeedNote | messages.GapNote | messages.DeliveryNote).decode


def encode_note(note: messages.StatusNote) -> str:
    """Write a note as JSON, for another process."""
    return msgspec.json.encode(note).decode()


def decode_note(text: str) -> messages.StatusNote:
    """Read a note that another process made.

    Raises:
        msgspec.DecodeError: it is none.
    """
    note: messages.FeedNote | messages.GapNote | messages.DeliveryNote = _decode(text)
    return note


class StatusSource:
    """Compares what is with what was told, and makes notes of the difference. Pure: called now and then."""

    def __init__(self, insight: Insight, ledger: GapLedger, rung: Callable[[], tuple[int, str]]) -> None:
        """``rung()`` is the ladder's rung and its word."""
        self._insight = insight
        self._ledger = ledger
        self._rung = rung
        self._feeds: dict[str, tuple[object, ...]] = {}
        self._gaps: dict[str, LedgerEntry] = {}
        self._told_rung: tuple[int, str] | None = None
        self._seq = 0

    def notes(self, now_ns: int) -> list[messages.StatusNote]:
        """What changed since the last call."""
        return [*self._feed_notes(), *self._gap_notes(now_ns), *self._rung_notes()]

    def _next(self) -> int:
        self._seq += 1
        return self._seq

    def _feed_notes(self) -> Iterable[messages.StatusNote]:
        rows = {str(row["name"]): row for row in self._insight.feeds()}
        for name, row in rows.items():
            key = tuple(row.get(part) for part in _NEWS)
            if self._feeds.get(name) != key:
                self._feeds[name] = key
                yield messages.FeedNote(channel=STATUS, seq=self._next(), feed=dict(row))

    def _gap_notes(self, now_ns: int) -> Iterable[messages.StatusNote]:
        found, _ = self._ledger.gaps(GapQuery(is_open=True, limit=GAPS_MAX))
        open_now = {entry.id: entry for entry in found}
        for identity, entry in open_now.items():
            if self._gaps.get(identity) != entry:
                yield messages.GapNote(channel=STATUS, seq=self._next(), gap=shown(entry, now_ns))
        ended = [entry for identity, entry in self._gaps.items() if identity not in open_now]
        self._gaps = open_now
        for entry in ended:
            yield messages.GapNote(channel=STATUS, seq=self._next(), gap=shown(self._last(entry), now_ns))

    def _last(self, entry: LedgerEntry) -> LedgerEntry:
        """An entry as it ended."""
        found, _ = self._ledger.gaps(GapQuery(since_ns=entry.began_ns, feed=entry.feed, is_open=False, limit=GAPS_MAX))
        return next((one for one in found if one.id == entry.id), entry)

    def _rung_notes(self) -> Iterable[messages.StatusNote]:
        now = self._rung()
        if now != self._told_rung:
            self._told_rung = now
            yield messages.DeliveryNote(channel=STATUS, seq=self._next(), delivery={"rung": now[0], "word": now[1]})


class StatusBoard:
    """What was told last, and who watches it."""

    def __init__(self, tell: Callable[[int, messages.Reply], None]) -> None:
        """``tell(client, note)`` sends a note to a client."""
        self._tell = tell
        self._seq = 0
        self._feeds: dict[str, dict[str, Any]] = {}
        self._gaps: dict[str, dict[str, Any]] = {}
        self._delivery: dict[str, Any] = {"rung": 0, "word": "normal"}
        self._watchers: dict[int, frozenset[str]] = {}
        self._limited: dict[int, Access] = {}
        """Watchers who may not see all feeds."""

    def __len__(self) -> int:
        """Clients that watch."""
        return len(self._watchers)

    def watch(
        self, client: int, names: Sequence[str], request_id: messages.RequestId | None, *, access: Access
    ) -> tuple[messages.Subscribed, messages.StatusSnapshot]:
        """Begin to tell a client about the feeds in its scope; returns what it gets now."""
        if not access.sees_everything:
            self._limited[client] = access
        known = {name: self._standing(name, access) for name in dict.fromkeys(names)}
        wanted = {name for name, standing in known.items() if standing.state not in {"no_such_symbol", NOT_ENTITLED}}
        watched = self._watchers.get(client, frozenset()) | wanted
        if watched:
            self._watchers[client] = watched
        subscribed = messages.Subscribed(id=request_id, channel=STATUS, symbols=known, rate=0, mode="all")
        return subscribed, self._snapshot(watched, access)

    def forget(self, client: int, names: Iterable[str]) -> list[str]:
        """Stop telling a client; returns the names that it watched. ``*`` ends all."""
        watched = self._watchers.get(client, frozenset())
        gone = [name for name in dict.fromkeys(names) if name in watched]
        rest = frozenset() if EVERYTHING in names else watched - set(gone)
        if rest:
            self._watchers[client] = rest
        else:
            self._watchers.pop(client, None)
            self._limited.pop(client, None)
        return gone

    def put(self, notes: Iterable[messages.StatusNote]) -> None:
        """Take notes of the source in and hand them to those whom they concern."""
        for note in notes:
            self._seq = note.seq
            feed = self._keep(note)
            for client, watched in list(self._watchers.items()):
                if (not feed or EVERYTHING in watched or feed in watched) and self._may_see(client, note):
                    self._tell(client, note)

    def replace(self, notes: Iterable[messages.StatusNote]) -> None:
        """Forget what was told (another source begins); watchers get a whole snapshot of these notes."""
        self._feeds.clear()
        self._gaps.clear()
        for note in notes:
            self._seq = note.seq
            self._keep(note)
        for client, watched in list(self._watchers.items()):
            self._tell(client, self._snapshot(watched, self._limited.get(client, ANYONE)))

    def take(self, notes: Iterable[messages.StatusNote], *, is_whole: bool) -> None:
        """Take in notes that another process made; ``is_whole``: earlier ones are void.

        They are numbered anew, with those of this process; how hard delivery works, each process says for itself.
        """
        others = (note for note in notes if not isinstance(note, messages.DeliveryNote))
        ours = [msgspec.structs.replace(note, seq=seq) for seq, note in enumerate(others, self._seq + 1)]
        if is_whole:
            self.replace(ours)
        else:
            self.put(ours)

    def lose(self, reason: str, since: str) -> None:
        """Nobody tells of the feeds any more: all are ``stale`` for this reason until notes come again."""
        now = {"state": "stale", "since": since, "last_error": reason, "rate": 0.0}
        others = [row for row in self._feeds.values() if row["state"] != "stale"]
        self.put(
            messages.FeedNote(channel=STATUS, seq=seq, feed=row | now) for seq, row in enumerate(others, self._seq + 1)
        )

    def tell_rung(self, rung: int, word: str) -> None:
        """Tell how hard this process works on delivery."""
        delivery = {"rung": rung, "word": word}
        self.put([messages.DeliveryNote(channel=STATUS, seq=self._seq + 1, delivery=delivery)])

    def state(self) -> list[messages.StatusNote]:
        """Everything that is in force, as notes: for a board in another process."""
        notes: list[messages.StatusNote] = [
            messages.FeedNote(channel=STATUS, seq=self._seq, feed=row) for row in self._feeds.values()
        ]
        notes += [messages.GapNote(channel=STATUS, seq=self._seq, gap=row) for row in self._gaps.values()]
        notes.append(messages.DeliveryNote(channel=STATUS, seq=self._seq, delivery=self._delivery))
        return notes

    def _keep(self, note: messages.StatusNote) -> str:
        """The feed that a note is about; empty: it is about all."""
        match note:
            case messages.FeedNote():
                self._feeds[str(note.feed["name"])] = note.feed
                return str(note.feed["name"])
            case messages.GapNote():
                if note.gap.get("ended") is None:
                    self._gaps[str(note.gap["id"])] = note.gap
                else:
                    self._gaps.pop(str(note.gap["id"]), None)
                return str(note.gap["feed"])
            case messages.DeliveryNote():
                self._delivery = note.delivery
        return ""

    def _may_see(self, client: int, note: messages.StatusNote) -> bool:
        access = self._limited.get(client)
        if access is None or isinstance(note, messages.DeliveryNote):
            return True
        if isinstance(note, messages.FeedNote):
            return _shows_feed(access, note.feed)
        return isinstance(note, messages.GapNote) and _shows_gap(access, note.gap)

    def _standing(self, name: str, access: Access) -> messages.Standing:
        """State of a feed; for those who may not see all of them, others are as good as those that are not there."""
        row = self._feeds.get(name)
        if not access.may_use(STATUS) or (
            not access.sees_everything and name != EVERYTHING and (row is None or not _shows_feed(access, row))
        ):
            return messages.Standing(NOT_ENTITLED)
        if name == EVERYTHING:
            return messages.Standing("live")
        return messages.Standing("no_such_symbol" if row is None else str(row["state"]))

    def _snapshot(self, watched: frozenset[str], access: Access) -> messages.StatusSnapshot:
        everything = EVERYTHING in watched
        limited = not access.sees_everything
        return messages.StatusSnapshot(
            channel=STATUS,
            seq=self._seq,
            feeds=[
                row
                for name, row in self._feeds.items()
                if (everything or name in watched) and not (limited and not _shows_feed(access, row))
            ],
            gaps=[
                row
                for row in self._gaps.values()
                if (everything or row["feed"] in watched) and not (limited and not _shows_gap(access, row))
            ],
            delivery=self._delivery,
        )


def _shows_feed(access: Access, row: dict[str, Any]) -> bool:
    return access.may_know(str(row["venue"]))


def _shows_gap(access: Access, row: dict[str, Any]) -> bool:
    return access.may_know(str(row["venue"]), row.get("instruments", ()), int(row.get("instruments_count", 0)))
