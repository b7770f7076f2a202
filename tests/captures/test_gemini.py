"""The captured Gemini sessions, against counts with ``json`` and dicts alone."""

import json
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from tests.captures.replaying import Replay, received, replay
from tests.venues.captures import session

from tickcast.model.record import Flag, Kind, Side, State
from tickcast.venues.base import Request, VenueConfig
from tickcast.venues.declared.venue import Listed
from tickcast.venues.gemini.venue import GeminiVenue

pytestmark = pytest.mark.captures

FILES = {
    "GEMINI_20210405T175407Z": 1804,
    "GEMINI_20210624T001426Z": 678,
    "GEMINI_20260809T220633Z_v2": 287,
}
"""Frames of each."""
Frames = list[tuple[str, bytes, int]]
Session = tuple[list[dict[str, Any]], Frames, Replay]


def venue() -> GeminiVenue:
    return GeminiVenue(VenueConfig(venue="GEMINI"))


@pytest.fixture(scope="module", params=FILES)
def played(request: pytest.FixtureRequest) -> Session:
    records = list(session(f"cryptofeed/GEMINI/{request.param}.jsonl.xz"))
    frames = received(records)
    assert len(frames) == FILES[request.param]
    sent = [one["data"] for one in records if one["t"] == "send"]
    return records, frames, replay(venue(), venue().recorded([], sent, []), frames)


def test_every_frame_is_understood(played: Session) -> None:
    _, frames, done = played
    assert (done.dead, done.breaks, done.cold, done.feed.drift()) == ([], [], [], [])
    kinds = Counter(json.loads(raw)["type"] for _, raw, _ in frames)
    statistics = done.feed.statistics()
    books = ("l2_updates", "l2_updates whole", "l2_updates whole, without tid")
    assert sum(statistics[f"{name} (recorded)"]["frames"] for name in books) == kinds["l2_updates"]
    assert statistics["heartbeat"]["frames"] == kinds["heartbeat"]
    assert statistics["trade of v2 (recorded)"]["frames"] == kinds["trade"]
    assert set(kinds) <= {"l2_updates", "heartbeat", "trade"}


def test_books_are_those_of_the_venue_and_never_said_to_be_proved(played: Session) -> None:
    _, frames, done = played
    books: dict[str, tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]]] = {}
    for _, raw, _ in frames:
        message = json.loads(raw)
        if message["type"] != "l2_updates":
            continue
        if "auction_events" in message:
            books[message["symbol"]] = {}, {}
        sides = books[message["symbol"]]
        for word, price, size in message["changes"]:
            side = sides[word == "sell"]
            if Decimal(size):
                side[Decimal(price)] = Decimal(size)
            else:
                side.pop(Decimal(price), None)
        assert max(sides[0]) < min(sides[1])
    names = {one.native: one.symbol for one in listed_of(played)}
    assert books
    for native, sides in books.items():
        assert done.book(names[native]) == sides
        assert done.states(names[native]) == [State.SYNCING, State.UNVERIFIED]


def listed_of(played: Session) -> list[Listed]:
    return list(venue().recorded([], [one["data"] for one in played[0] if one["t"] == "send"], []))


def test_trades_are_those_of_the_venue(played: Session) -> None:
    _, frames, done = played
    names = {one.native: one.symbol for one in listed_of(played)}
    sides = {"buy": Side.BUYER, "sell": Side.SELLER}
    expected = []
    for place, (_, raw, _) in enumerate(frames):
        message = json.loads(raw)
        rows = [message] if message["type"] == "trade" else message.get("trades", [])
        if rows and "tid" not in rows[0]:
            rows = rows[::-1]
        for row in rows:
            told = (row.get("tid", row["event_id"]), Decimal(row["price"]), Decimal(row["quantity"]))
            more = (sides[row["side"]], row["timestamp"] * 1_000_000, message["type"] != "trade")
            expected.append((place, names[row["symbol"]], *told, *more))
    found = [
        (row.frame, row.symbol, row.id, row.price, row.size, row.side, row.ts_event, bool(row.flags & Flag.HISTORY))
        for row in done.of(Kind.TRADE)
    ]
    assert found == expected
    assert len({row[1:3] for row in found}) == len(found), "an id names one trade"
    times = [row[6] for row in found if row[-1] and row[1] == found[0][1]]
    assert times[0] <= times[-1]


def test_recorded_lists_and_details(played: Session) -> None:
    answers = {one["url"]: one["data"].encode() for one in played[0] if one["t"] == "http"}
    (request,) = venue().listing()
    names = next((body for url, body in answers.items() if url.endswith("/v1/symbols")), None)
    if names is None:
        pytest.skip("the session has no list")
    by_name = {one.native: one for one in venue().listed(request, names)}
    found = 0
    for url, body in answers.items():
        if "/details/" not in url:
            continue
        detail = json.loads(body)
        (one,) = venue().listed(Request(purpose="", url=url), body)
        derived = detail.get("product_type") == "swap"
        pair = f"{detail['base_currency']}-{detail['quote_currency']}".upper()
        assert one.symbol == (f"{pair}-PERP" if derived else pair)
        assert one.tick_size is not None
        assert Decimal(one.tick_size) == Decimal(str(detail["quote_increment"]))
        assert by_name[one.native].symbol == one.symbol, "the name alone says the same"
        found += 1
    assert found > 70
