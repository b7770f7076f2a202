"""Trades, books and bars from the client's side: sessions alone, then streams against the real gateway."""

import json
import zlib
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickcast.client.bars import BarsSession
from tickcast.client.books import BooksSession
from tickcast.client.errors import RequestError
from tickcast.client.trades import Lost, Trade, TradesSession


def text(*frames: dict[str, Any]) -> str:
    return json.dumps(list(frames))


def acknowledged(channel: str, **symbols: tuple[int, int]) -> dict[str, Any]:
    standings = {name: {"state": "live", "epoch": epoch, "seq": seq} for name, (epoch, seq) in symbols.items()}
    return {"type": "subscribed", "channel": channel, "symbols": standings}


def trade(seq: int, **more: Any) -> dict[str, Any]:
    return {
        "type": "trade", "symbol": "A", "channel": "trades", "seq": seq, "id": str(seq), "price": "185.40", "size": "7",
        "side": "buy", "timestamp": "2026-03-29T14:30:01.234Z", "conditions": [], **more,
    }  # fmt: skip


def test_trades_are_exact_and_losses_counted() -> None:
    session = TradesSession(("A",))
    assert json.loads(session.connected()[0]) == {"action": "subscribe", "symbols": ["A"], "channel": "trades", "id": 1}
    first, lost, third = session.receive(text(acknowledged("trades", A=(7, 10)), trade(11), trade(14)))
    assert isinstance(first, Trade)
    assert str(first.price) == "185.40"
    assert lost == Lost(symbol="A", count=2, reason="not delivered")
    assert isinstance(third, Trade)
    assert third.seq == 14
    (told,) = session.receive(
        text({"type": "lost", "symbol": "A", "channel": "trades", "count": 3, "epoch": 7, "seq": 17})
    )
    assert isinstance(told, Lost)
    assert told.count == 3
    assert len(session.receive(text(trade(17), trade(18)))) == 1, "17 is known to be lost, 18 is news"


def test_trades_go_on_after_a_break_and_say_what_cannot_be_proved() -> None:
    session = TradesSession(("A", "B"))
    session.receive(text(acknowledged("trades", A=(7, 10), B=(8, 4)), trade(11)))
    assert json.loads(session.connected()[0])["resume"] == {"A": {"epoch": 7, "seq": 11}, "B": {"epoch": 8, "seq": 4}}
    outcome = {"A": {"recovered": True}, "B": {"recovered": False, "reason": "epoch_changed"}}
    made = session.receive(
        text(acknowledged("trades", A=(7, 13), B=(9, 0)), {"type": "resumed", "symbols": outcome}, trade(12), trade(13))
    )
    assert made[0] == Lost(symbol="B", count=None, reason="epoch_changed")
    assert [one.seq for one in made[1:] if isinstance(one, Trade)] == [12, 13]


def digest(bids: list[tuple[str, str]], asks: list[tuple[str, str]]) -> int:
    return zlib.crc32(",".join(f"{price}:{size}" for price, size in bids + asks).encode())


def book(kind: str, seq: int, bids: Any = (), asks: Any = (), **more: Any) -> dict[str, Any]:
    head = {"type": kind, "symbol": "A", "channel": "book", "seq": seq, "bids": list(bids), "asks": list(asks)}
    if kind == "snapshot":
        head |= {"epoch": 7, "state": "live", "depth": 5, "last": True}
    return head | more


def test_a_book_is_kept_by_price_and_proved() -> None:
    session = BooksSession(("A",), depth=5, rate=20)
    assert json.loads(session.connected()[0])["depth"] == 5
    (whole,) = session.receive(text(book("snapshot", 4, [["10.0", "1"], ["9.5", "2.50"]], [["10.5", "3"]])))
    assert whole.bids == ((Decimal("10.0"), Decimal(1)), (Decimal("9.5"), Decimal("2.50")))
    changed = digest([("9.75", "4"), ("9.5", "2.50")], [("10.5", "3")])
    (news,) = session.receive(text(book("update", 7, [["10.0", "0"], ["9.75", "4"]], digest=changed)))
    assert (news.bids[0], news.merged, session.proofs.digests, session.proofs.digests_failed) == (
        (Decimal("9.75"), Decimal(4)),
        2,
        1,
        0,
    )
    (gone,) = session.disconnected()
    assert (gone.state, len(gone.bids)) == ("stale", 2)
    assert session.disconnected() == []


def test_a_book_that_is_not_proved_is_asked_for_again() -> None:
    session = BooksSession(("A",), depth=5, rate=20)
    session.receive(text(book("snapshot", 4, [["10.0", "1"]])))
    (told,) = session.receive(text(book("update", 5, [["9.0", "1"]], digest=1)))
    assert (told.state, session.proofs.digests_failed) == ("repairing", 1)
    end, begin = (json.loads(one) for one in session.requests())
    assert (end["action"], begin["action"], begin["symbols"]) == ("unsubscribe", "subscribe", ["A"])
    assert session.requests() == []
    assert session.receive(text(book("update", 6, [["9.0", "1"]]))) == [], "nothing to put it on"


def test_a_snapshot_in_parts_counts_when_its_last_is_there() -> None:
    session = BooksSession(("A",), depth=50, rate=20)
    assert session.receive(text(book("snapshot", 4, [["10", "1"]], last=False))) == []
    (whole,) = session.receive(
        text(book("snapshot", 4, [["9", "1"]], [["11", "1"]], digest=digest([("10", "1"), ("9", "1")], [("11", "1")])))
    )
    assert (len(whole.bids), len(whole.asks), session.proofs.digests) == (2, 1, 1)


LEVELS = st.dictionaries(st.integers(1, 30), st.integers(0, 9), max_size=8)


@given(steps=st.lists(st.tuples(LEVELS, LEVELS), max_size=12))
def test_any_changes_end_in_the_book_that_they_describe(steps: list[tuple[dict[int, int], dict[int, int]]]) -> None:
    session = BooksSession(("A",), depth=50, rate=20)
    truth: tuple[dict[int, int], dict[int, int]] = ({}, {})
    session.receive(text(book("snapshot", 0)))
    for seq, changes in enumerate(steps, 1):
        for side, news in zip(truth, changes, strict=True):
            side.update(news)
            for price in [price for price, size in side.items() if not size]:
                del side[price]
        bids = [(str(price), str(truth[0][price])) for price in sorted(truth[0], reverse=True)]
        asks = [(str(price), str(truth[1][price])) for price in sorted(truth[1])]
        sides = ([[str(price), str(size)] for price, size in news.items()] for news in changes)
        (made,) = session.receive(text(book("update", seq, *sides, digest=digest(bids, asks))))
        assert made.state == "live"
        assert [(str(price), str(size)) for price, size in made.bids] == bids
        assert [(str(price), str(size)) for price, size in made.asks] == asks


def bar(start: int, close: str = "10", **more: Any) -> dict[str, Any]:
    return {
        "start": f"2026-03-29T14:30:{start:02d}Z", "open": "10", "high": "11", "low": "9", "close": close,
        "volume": "5", "notional": "50", "trades": 2, "final": True, **more,
    }  # fmt: skip


def test_bars_are_told_once_and_again_when_they_changed() -> None:
    session = BarsSession(("A",), interval="1s", rate=1)
    head = {"symbol": "A", "channel": "bars", "interval": "1s", "seq": 1}
    whole = {"type": "snapshot", **head, "epoch": 7, "state": "live"}
    assert [one.start[-3:-1] for one in session.receive(text(whole | {"bars": [bar(1), bar(2)]}))] == ["01", "02"]
    (news,) = session.receive(text({"type": "bar", **head, **bar(2, "10.5", corrected=True)}))
    assert (str(news.close), news.corrected, news.final) == ("10.5", True, True)
    session.connected()
    again = session.receive(text(whole | {"bars": [bar(1), bar(2, "10.5", corrected=True), bar(3)]}))
    assert [one.start[-3:-1] for one in again] == ["03"], "after a break only what is not known"


@pytest.mark.parametrize("session", [TradesSession(("A",)), BooksSession(("A",), depth=5, rate=1)])
def test_a_refusal_ends_the_stream(session: TradesSession | BooksSession) -> None:
    with pytest.raises(RequestError, match="4003: no"):
        session.receive(text({"type": "error", "code": 4003, "reason": "no"}))
    assert session.receive(text({"type": "error", "code": 4501, "reason": "later"}, {"type": "hb"})) == []


def test_unknown_symbols_are_told_once_and_asked_for_again() -> None:
    session = BooksSession(("A", "NOPE"), depth=5, rate=1)
    unknown = {"type": "subscribed", "channel": "book", "symbols": {"NOPE": {"state": "no_such_symbol"}}}
    (told,) = session.receive(text(unknown))
    assert (told.symbol, told.state) == ("NOPE", "no_such_symbol")
    assert session.receive(text(unknown)) == []
    assert [json.loads(one)["symbols"] for one in session.care()] == [["NOPE"]]
    session.receive(text(acknowledged("book", NOPE=(7, 0))))
    assert session.care() == []
