"""The captured Bitfinex session, against counts with ``json`` and dicts alone."""

import json
import re
import zlib
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from tests.captures.replaying import Replay, received, replay
from tests.venues.captures import session

from tickcast.model.record import Flag, Kind, Side, State
from tickcast.venues.base import VenueConfig
from tickcast.venues.bitfinex.venue import BitfinexVenue
from tickcast.venues.declared.venue import Acknowledged, Alive, Listed, Status

pytestmark = pytest.mark.captures

FILE = "cryptofeed/BITFINEX/BITFINEX_20210405T172647Z_part1.jsonl.xz"
Frames = list[tuple[str, bytes, int]]
Sides = tuple[dict[Decimal, tuple[str, str]], dict[Decimal, tuple[str, str]]]
"""Price to price and amount as written."""
SYMBOLS = {
    "tETH2X:ETH": "ETH2-ETH",
    "tREQUSD": "REQ-USD",
    "tGTXUST": "GTX-USDT",
    "tCHZUST": "CHZ-USDT",
    "tKNCBTC": "KNC-BTC",
    "tETHJPY": "ETH-JPY",
    "tZRXETH": "ZRX-ETH",
    "tLRCBTC": "LRC-BTC",
}


@pytest.fixture(scope="module")
def records() -> list[dict[str, Any]]:
    return list(session(FILE))


@pytest.fixture(scope="module")
def frames(records: list[dict[str, Any]]) -> Frames:
    return received(records)


def venue() -> BitfinexVenue:
    return BitfinexVenue(VenueConfig(venue="BITFINEX"))


@pytest.fixture(scope="module")
def listed(records: list[dict[str, Any]]) -> list[Listed]:
    return list(venue().recorded([], [one["data"] for one in records if one["t"] == "send"], []))


@pytest.fixture(scope="module")
def done(frames: Frames, listed: list[Listed]) -> Replay:
    return replay(venue(), listed, frames)


def channels(frames: Frames) -> dict[int, tuple[str, str]]:
    """Number to channel and house symbol."""
    events = [json.loads(raw) for _, raw, _ in frames if raw.startswith(b"{")]
    return {one["chanId"]: (one["channel"], SYMBOLS[one["symbol"]]) for one in events if one["event"] == "subscribed"}


def texts(raw: bytes) -> Any:
    return json.loads(raw, parse_float=str, parse_int=str)


class PlainBooks:
    """Books as the venue's page says, and every change of a best level."""

    def __init__(self, frames: Frames) -> None:
        self.books: dict[str, Sides] = {}
        self.quotes: list[tuple[int, str, Kind, Decimal, Decimal]] = []
        self.rows = 0
        self._told: dict[tuple[str, Kind], tuple[Decimal, Decimal] | None] = {}
        known = channels(frames)
        for place, (_, raw, _) in enumerate(frames):
            message = texts(raw)
            if isinstance(message, list) and known[int(message[0])][0] == "book" and message[1] != "hb":
                levels = message[1] if isinstance(message[1][0], list) else [message[1]]
                self.take(place, known[int(message[0])][1], levels, isinstance(message[1][0], list))

    def take(self, place: int, name: str, levels: list[list[str]], whole: bool) -> None:
        if whole:
            self.books[name] = {}, {}
        sides = self.books[name]
        for price, count, amount in levels:
            side = sides[amount.startswith("-")]
            if count == "0":
                del side[Decimal(price)]
            else:
                side[Decimal(price)] = price, amount
        self.rows += 1
        for kind, side, best in ((Kind.BID, sides[0], max), (Kind.ASK, sides[1], min)):
            level = (best(side), abs(Decimal(side[best(side)][1])))
            if self._told.get((name, kind)) != level:
                self._told[name, kind] = level
                self.quotes.append((place, name, kind, *level))


@pytest.fixture(scope="module")
def plain(frames: Frames) -> PlainBooks:
    return PlainBooks(frames)


def test_the_recorders_subscriptions_name_the_pairs(records: list[dict[str, Any]], listed: list[Listed]) -> None:
    asked = {name for names in records[0]["config"].values() for name in names}
    assert {f"t{one.native}": one.symbol for one in listed} == SYMBOLS
    assert {one.symbol.replace("USDT", "UST") for one in listed} == {name.replace("USDT", "UST") for name in asked}


def test_every_frame_is_understood(done: Replay, frames: Frames) -> None:
    assert (done.dead, done.breaks, done.feed.drift()) == ([], [], [])
    known = channels(frames)
    kinds: Counter[str] = Counter()
    for _, raw, _ in frames:
        message = json.loads(raw)
        if isinstance(message, dict):
            kinds["event"] += 1
        elif isinstance(message[1], str):
            kinds[message[1]] += 1
        else:
            kinds[known[message[0]][0]] += 1
    statistics = done.feed.statistics()
    assert statistics["book"]["frames"] + statistics["small book"]["frames"] == kinds["book"] == 11_736
    assert statistics["heartbeat"]["frames"] == kinds["hb"] == 38
    assert statistics["te"]["frames"] == statistics["tu"]["frames"] == kinds["te"] == kinds["tu"] == 5
    assert statistics["trades"]["frames"] == kinds["trades"] == 8
    assert statistics["ticker"]["frames"] == kinds["ticker"] == 33
    assert statistics["unbound"]["frames"] == 0
    assert Counter(type(one) for one in done.cold) == {Acknowledged: 24, Alive: 1, Status: 1}
    assert len(done.cold) == kinds["event"] == 26


def test_best_bid_and_offer_and_the_whole_books(done: Replay, plain: PlainBooks) -> None:
    found = [(row.frame, row.symbol, row.kind, row.price, row.size) for row in done.of(Kind.BID, Kind.ASK)]
    assert found == plain.quotes
    for name, sides in plain.books.items():
        assert done.book(name) == tuple({price: abs(Decimal(one[1])) for price, one in side.items()} for side in sides)
        assert done.states(name) == [State.SYNCING, State.LIVE]
    assert len(plain.books) == 8
    assert all(max(sides[0]) < min(sides[1]) for sides in plain.books.values())


def test_trades_are_those_of_the_venue(done: Replay, frames: Frames) -> None:
    known, expected = channels(frames), []
    for place, (_, raw, _) in enumerate(frames):
        message = texts(raw)
        if isinstance(message, dict) or known[int(message[0])][0] != "trades" or message[1] in ("hb", "tu"):
            continue
        is_history = message[1] != "te"
        for ident, time, amount, price in reversed(message[1]) if is_history else [message[2]]:
            side = Side.SELLER if amount.startswith("-") else Side.BUYER
            told = (int(ident), Decimal(price), abs(Decimal(amount)), side, int(time) * 1_000_000, is_history)
            expected.append((place, known[int(message[0])][1], *told))
    found = [
        (row.frame, row.symbol, row.id, row.price, row.size, row.side, row.ts_event, bool(row.flags & Flag.HISTORY))
        for row in done.of(Kind.TRADE)
    ]
    assert found == expected
    assert sum(not row[-1] for row in found) == 5


def test_figures_of_the_day(done: Replay, frames: Frames) -> None:
    known, places = channels(frames), {Kind.VOLUME_24H: 7, Kind.HIGH_24H: 8, Kind.LOW_24H: 9}
    last: dict[tuple[str, Kind], Decimal] = {}
    for _, raw, _ in frames:
        message = texts(raw)
        if isinstance(message, list) and known[int(message[0])][0] == "ticker" and message[1] != "hb":
            last |= {(known[int(message[0])][1], kind): Decimal(message[1][place]) for kind, place in places.items()}
    found = {(row.symbol, row.kind): row.size if row.price is None else row.price for row in done.of(*places)}
    assert found == last
    assert len(found) == 24


def test_one_lost_message_breaks_all_books_of_the_connection(frames: Frames, listed: list[Listed]) -> None:
    lost = next(place for place, (_, raw, _) in enumerate(frames) if place > 5000 and raw.startswith(b"["))
    found = replay(venue(), listed, frames[:lost] + frames[lost + 1 :])
    assert {(one.reason, one.scope) for one in found.breaks} == {("counter", "connection")}
    assert {found.symbols[one.instrument] for one in found.breaks} == set(SYMBOLS.values())
    assert len(found.breaks) == 8
    for name in SYMBOLS.values():
        assert found.states(name) == [State.SYNCING, State.LIVE, State.GAP]


def crc(sides: Sides) -> int:
    """The documented checksum over numbers as the venue wrote them: what it wrote is what JavaScript writes."""
    bids = [sides[0][price] for price in sorted(sides[0], reverse=True)[:25]]
    asks = [sides[1][price] for price in sorted(sides[1])[:25]]
    parts = [text for place in range(25) for side in (bids, asks) if place < len(side) for text in side[place]]
    value = zlib.crc32(":".join(parts).encode())
    return value - (1 << 32) if value >= 1 << 31 else value


def with_checksums(frames: Frames) -> tuple[Frames, int]:
    """Put the checksum behind every change of a book, as the venue does when it is asked to; numbers are given anew."""
    known, told, number, count = channels(frames), list[tuple[str, bytes, int]](), 0, 0
    books = PlainBooks([])
    for place, (conn, raw, time) in enumerate(frames):
        if raw.startswith(b"{"):
            told.append((conn, raw, time))
            continue
        number += 1
        told.append((conn, re.sub(rb",\d+\]$", b",%d]" % number, raw), time))
        message = texts(raw)
        channel, name = known[int(message[0])]
        if channel == "book" and message[1] != "hb":
            whole = isinstance(message[1][0], list)
            books.take(place, name, message[1] if whole else [message[1]], whole)
            number, count = number + 1, count + 1
            told.append((conn, f'[{message[0]},"cs",{crc(books.books[name])},{number}]'.encode(), time))
    return told, count


def test_checksums_of_the_recorded_books_agree_at_every_message(frames: Frames, listed: list[Listed]) -> None:
    told, count = with_checksums(frames)
    found = replay(venue(), listed, told)
    assert (found.dead, found.breaks) == ([], [])
    assert found.feed.statistics()["checksums"] == {"verified": count, "failed": 0, "zero": 0}
    assert count == 11_736
    small = [raw for _, raw, _ in frames if b"e-" in raw and b"[[" not in raw]
    assert small, "there are numbers with exponents"


def test_a_wrong_checksum_breaks_its_book_alone(frames: Frames, listed: list[Listed]) -> None:
    told, _ = with_checksums(frames)
    place = next(place for place, (_, raw, _) in enumerate(told) if place > 9000 and b'"cs",' in raw)
    conn, raw, time = told[place]
    told[place] = conn, re.sub(rb'"cs",(-?)', rb'"cs",\g<1>1', raw), time
    found = replay(venue(), listed, told)
    assert [(one.reason, one.scope) for one in found.breaks] == [("checksum", "instrument")]
