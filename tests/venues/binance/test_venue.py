"""Binance spot on the declared engine, from frames and answers to records; hand-made and recorded."""

import json
from collections import defaultdict
from decimal import Decimal
from typing import Any

import pytest
from tests.venues.captures import session as recorded
from tests.venues.decoding import Row, rows, states

from tickcast import _native
from tickcast.model.record import Kind, Side, State
from tickcast.venues.base import Answer, Request, Step, VenueConfig
from tickcast.venues.binance.venue import BinanceVenue
from tickcast.venues.declared.session import DeclaredSession

NOW = 1_700_000_000_000_000_000
CONFIRMED = b'{"result":null,"id":1}'
BTC = _native.instrument_id("BINANCE:BTC-USDT")


def make(**settings: Any) -> DeclaredSession:
    config = VenueConfig(
        venue="BINANCE", url="ws://host", rest_url="http://host", **{"clock_interval_s": 0.0, **settings}
    )
    return DeclaredSession(
        BinanceVenue(config), feed="b", config=config, securities={}, previous_close={"BTC-USDT": "63000.5"}
    )


def info(*symbols: tuple[str, str, str]) -> bytes:
    return json.dumps(
        {
            "timezone": "UTC",
            "symbols": [
                {
                    "symbol": base + quote,
                    "status": status,
                    "baseAsset": base,
                    "quoteAsset": quote,
                    "filters": [
                        {"filterType": "PRICE_FILTER", "tickSize": "0.01"},
                        {"filterType": "LOT_SIZE", "stepSize": "0.00001"},
                        {"filterType": "NOTIONAL", "minNotional": "5"},
                    ],
                }
                for base, quote, status in symbols
            ],
        }
    ).encode()


def answer(body: bytes, status: int = 200, now: int = NOW) -> Answer:
    return Answer(status=status, body=body, received_ns=now)


def listed(session: DeclaredSession, *symbols: tuple[str, str, str]) -> Step:
    (request,) = session.start(NOW).requests
    assert request.url == "http://host/api/v3/exchangeInfo"
    return session.answered(request, answer(info(*(symbols or (("BTC", "USDT", "TRADING"),)))))


def frame(stream: str, **data: Any) -> bytes:
    return json.dumps({"stream": stream, "data": data}, separators=(",", ":")).encode()


def depth(first: int, last: int, bids: list[tuple[str, str]], asks: list[tuple[str, str]]) -> bytes:
    return frame(
        "btcusdt@depth@100ms", e="depthUpdate", E=1_700_000_000_123, s="BTCUSDT", U=first, u=last, b=bids, a=asks
    )


def snapshot(last: int, bids: list[tuple[str, str]], asks: list[tuple[str, str]]) -> Answer:
    return answer(json.dumps({"lastUpdateId": last, "bids": bids, "asks": asks}).encode())


def feed(session: DeclaredSession, *frames: bytes, link: str = "streams-1") -> Step:
    return session.received(link, frames, [NOW + place for place in range(len(frames))])


def started(**settings: Any) -> tuple[DeclaredSession, Request]:
    """A session whose link is open, and its request for a book."""
    session = make(**settings)
    listed(session)
    return session, opened(session)


def opened(session: DeclaredSession) -> Request:
    """Open the link and confirm what is subscribed to; the request for a book that follows."""
    session.closed("streams-1", NOW)
    (sent,) = session.opened("streams-1", NOW).send
    assert json.loads(sent[1])["method"] == "SUBSCRIBE"
    step = feed(session, CONFIRMED)
    if not step.requests:  # the book was kept: it has some time to prove that it missed nothing
        step = session.wake(NOW + 2_000_000_000)
    (request,) = step.requests
    return request


def book(session: DeclaredSession) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    return session.core.book(BTC, 1)


def kinds(step: Step) -> list[Kind]:
    return [row.kind for row in rows(step.records)]


def test_instruments_become_definitions_and_links() -> None:
    session = make()
    step = listed(session, ("BTC", "USDT", "TRADING"), ("AAPL", "USD", "HALT"), ("OLD", "BTC", "BREAK"))
    assert [one.name for one in step.definitions] == ["BINANCE:BTC-USDT", "BINANCE:AAPL-USD"]
    btc = step.definitions[0]
    assert (btc.native_symbol, btc.tick_size, btc.lot_size, btc.currency) == ("BTCUSDT", "0.01", "0.00001", "USDT")
    assert btc.time_precision == 3
    (link,) = step.links
    assert link.target == "ws://host/stream"
    (sent,) = session.opened(link.name, NOW).send
    assert json.loads(sent[1])["params"] == [
        f"{native}@{stream}"
        for native in ("btcusdt", "aaplusd")
        for stream in ("trade", "bookTicker", "depth@100ms", "ticker")
    ]
    assert [(row.kind, row.price, row.detail) for row in rows(step.records)] == [
        (Kind.STATUS, 0, State.EMPTY),
        (Kind.PREV_CLOSE, Decimal("63000.5"), 0),
        (Kind.STATUS, 0, State.HALTED),
    ]


def test_more_symbols_than_a_connection_may_carry_take_further_links() -> None:
    session = make(channels_max=9, streams=("trade", "quote", "book"))
    step = listed(session, *[(f"C{number}", "USDT", "TRADING") for number in range(7)])
    assert [link.name for link in step.links] == ["streams-1", "streams-2", "streams-3"]
    sent = [json.loads(session.opened(link.name, NOW).send[0][1])["params"] for link in step.links]
    assert [len(names) for names in sent] == [9, 9, 3]
    assert [{name.partition("@")[0] for name in names} for names in sent] == [
        {"c0usdt", "c1usdt", "c2usdt"},
        {"c3usdt", "c4usdt", "c5usdt"},
        {"c6usdt"},
    ]


def test_symbols_of_the_config_are_a_filter_and_misspelt_ones_are_said() -> None:
    session = make(symbols=("ETH-USDT", "ETH-USD"))
    step = listed(session, ("BTC", "USDT", "TRADING"), ("ETH", "USDT", "TRADING"))
    assert [one.symbol for one in step.definitions] == ["ETH-USDT"]
    assert (step.unlisted, step.dead) == (["ETH-USD"], [])


def test_a_venue_without_a_list_is_taken_at_the_config_s_word() -> None:
    session = make(symbols=("ZIL-USDT",))
    (request,) = session.start(NOW).requests
    step = session.answered(request, answer(b"not found", status=404))
    assert [one.native_symbol for one in step.definitions] == ["ZILUSDT"]


@pytest.mark.parametrize("body", [b"<html>busy</html>", b"", b'{"symbols":[{"symbol":1}]}', b"\xff\xfe"])
def test_a_list_that_is_none_is_asked_for_again(body: bytes) -> None:
    session = make()
    (request,) = session.start(NOW).requests
    step = session.answered(request, answer(body))
    assert step.repeat == [request]
    assert step.dead_count == 1
    assert not step.links


def test_trades_say_the_aggressor() -> None:
    session, _ = started()
    trade = {"e": "trade", "E": 1_700_000_000_200, "s": "BTCUSDT", "t": 7, "p": "64000.10", "q": "0.00200000"}
    step = feed(
        session,
        frame("btcusdt@trade", **trade, T=1_700_000_000_199, m=True, M=True),
        frame("btcusdt@trade", **{**trade, "t": 8}, T=1_700_000_000_201, m=False, M=True),
    )
    assert step.messages == 2
    sell, buy = rows(step.records)
    assert (sell.kind, sell.price, sell.size, sell.side) == (
        Kind.TRADE,
        Decimal("64000.10"),
        Decimal("0.00200000"),
        Side.SELLER,
    )
    assert (sell.ident, sell.ts_event, sell.ts_recv) == (7, 1_700_000_000_199_000_000, NOW)
    assert (buy.side, buy.ident, buy.ts_recv) == (Side.BUYER, 8, NOW + 1)
    assert sell.instrument == buy.instrument == BTC


def test_missing_trade_ids_are_a_gap_before_the_trade() -> None:
    session, _ = started()
    data = {"e": "trade", "E": 1, "s": "BTCUSDT", "p": "1", "q": "1", "T": 1, "m": True}
    step = feed(session, frame("btcusdt@trade", **data, t=7), frame("btcusdt@trade", **data, t=11))
    assert [(row.kind, row.ident) for row in rows(step.records)] == [
        (Kind.TRADE, 7),
        (Kind.GAP, 3),
        (Kind.STATUS, 0),
        (Kind.TRADE, 11),
    ]


def test_book_ticker_publishes_what_changed_as_one_event() -> None:
    session, _ = started()

    def ticker(update: int, bid: str, ask: str) -> bytes:
        return frame("btcusdt@bookTicker", u=update, s="BTCUSDT", b=bid, B="1.5", a=ask, A="2")

    def seen(*frames: bytes) -> list[tuple[Kind, Decimal | None, int, bool]]:
        return [(row.kind, row.price, row.seq, row.last) for row in rows(feed(session, *frames).records)]

    assert seen(ticker(5, "10.0", "10.1")) == [
        (Kind.BID, Decimal("10.0"), 5, False),
        (Kind.ASK, Decimal("10.1"), 5, True),
    ]
    assert seen(ticker(6, "10.0", "10.2")) == [(Kind.ASK, Decimal("10.2"), 6, True)]
    assert seen(ticker(7, "9.9", "10.2")) == [(Kind.BID, Decimal("9.9"), 7, True)]
    assert seen(ticker(8, "9.9", "10.2")) == []
    assert seen(ticker(9, "0.00000000", "10.2")) == [(Kind.BID, None, 9, True)]


def test_a_book_without_book_ticker_gives_the_best() -> None:
    session, request = started(streams=("book",))
    assert feed(session, depth(100, 104, [("10", "1")], [])).records == []
    step = session.answered(request, snapshot(102, [("9", "5"), ("8", "5")], [("11", "3")]))
    told = [(row.kind, row.price, row.size, row.seq) for row in rows(step.records)]
    assert sorted(told)[:2] == [
        (Kind.BID, Decimal(10), Decimal(1), 104),
        (Kind.ASK, Decimal(11), Decimal(3), 104),
    ]
    assert states(step.records) == [State.LIVE]


def test_with_book_ticker_only_a_newer_book_gives_the_best() -> None:
    session, request = started()
    step = session.answered(request, snapshot(10, [("9", "5")], [("11", "3")]))
    told = [(row.kind, row.price, row.seq) for row in rows(step.records)]
    assert told == [(Kind.BID, Decimal(9), 10), (Kind.ASK, Decimal(11), 10), (Kind.STATUS, Decimal(0), 0)]
    ticker = frame("btcusdt@bookTicker", u=12, s="BTCUSDT", b="10", B="1", a="11", A="3")
    assert [row.seq for row in rows(feed(session, ticker).records)] == [12]
    assert feed(session, depth(11, 12, [("10", "1")], [])).records == [], "no news"
    # the bookTicker of 13 was lost: the book says what it said
    lost = rows(feed(session, depth(13, 14, [("10", "0")], [])).records)
    assert [(row.kind, row.price, row.seq) for row in lost] == [(Kind.BID, Decimal(9), 14)]
    late = frame("btcusdt@bookTicker", u=13, s="BTCUSDT", b="8", B="1", a="11", A="3")
    assert feed(session, late).records == [], "the book is newer"


def test_a_snapshot_older_than_what_was_seen_is_asked_for_again() -> None:
    session, request = started()
    session.answered(request, snapshot(1000, [("9", "5")], [("11", "3")]))
    request = opened(session)
    old = snapshot(990, [("7", "5")], [("8", "3")])
    for _ in range(2):
        step = session.answered(request, old)
        assert (step.repeat, step.records) == ([request], [])
    # it stays lower: the venue has begun its numbers anew
    step = session.answered(request, snapshot(991, [("7", "5")], [("8", "3")]))
    assert states(step.records) == [State.LIVE]
    assert book(session) == ([("7", "5")], [("8", "3")])
    assert states(feed(session, depth(992, 992, [], [])).records) == []


def test_levels_are_published_when_asked_for() -> None:
    session, request = started(depth=5)
    session.answered(request, snapshot(10, [("9", "5")], [("11", "3")]))
    step = feed(session, depth(11, 12, [("10", "1"), ("9", "0")], []))
    told = rows(step.records)
    assert {(row.kind, row.price, row.size) for row in told} == {
        (Kind.BOOK_BID, Decimal(10), Decimal(1)),
        (Kind.BOOK_BID, Decimal(9), Decimal(0)),
        (Kind.BID, Decimal(10), Decimal(1)),  # no bookTicker said so yet
    }
    assert told[-1].last


def test_a_break_concerns_one_instrument_and_is_repaired() -> None:
    session, request = started(streams=("book",))
    session.answered(request, snapshot(10, [("9", "5")], [("11", "3")]))
    step = feed(session, depth(11, 12, [("10", "1")], []), depth(15, 16, [], [("10.5", "1")]))
    told = rows(step.records)
    assert [row.kind for row in told] == [Kind.BID, Kind.GAP, Kind.STATUS, Kind.STATUS]
    assert told[1].ident == 2
    assert states(step.records) == [State.GAP, State.REPAIRING]
    (again,) = step.requests
    assert again.purpose == "book BTC-USDT"
    # too old: the buffered difference begins behind it
    step = session.answered(again, snapshot(13, [("9", "5")], [("11", "3")]))
    assert step.repeat == [again]
    assert step.records == []
    step = session.answered(again, snapshot(14, [("9", "5")], [("11", "3")]))
    assert states(step.records) == [State.LIVE]
    assert book(session) == ([("9", "5")], [("10.5", "1")])


def test_a_book_that_crosses_is_repaired() -> None:
    session, request = started(streams=("book",))
    session.answered(request, snapshot(10, [("9", "5")], [("11", "3")]))
    step = feed(session, depth(11, 11, [("12", "1")], []))
    assert states(step.records) == [State.GAP, State.REPAIRING]
    assert len(step.requests) == 1


def test_a_level_that_is_no_number_is_a_dead_letter_and_the_book_is_repaired() -> None:
    session, request = started(streams=("book",))
    session.answered(request, snapshot(10, [("9", "5")], [("11", "3")]))
    step = feed(session, depth(11, 11, [("ten", "1")], []))
    assert step.dead_count == 1
    assert states(step.records) == [State.GAP, State.REPAIRING]


def test_a_link_that_comes_back_proves_that_nothing_was_missed() -> None:
    session, request = started()
    session.answered(request, snapshot(10, [("9", "5")], [("11", "3")]))
    lost = session.closed("streams-1", NOW)
    assert states(lost.records) == [State.STALE]
    assert [(one.kind, one.instruments) for one in lost.incidents] == [("reconnect", (BTC,))]
    assert not session.opened("streams-1", NOW).new_session, "trades that are told again are the same trades"
    feed(session, CONFIRMED)
    assert states(feed(session, depth(11, 12, [], [])).records) == [State.LIVE]
    assert session.wake(NOW + 2_000_000_000).requests == [], "its chain has proved it"
    assert book(session) == ([("9", "5")], [("11", "3")])


def test_after_a_break_a_quiet_instrument_is_set_right_by_its_snapshot() -> None:
    session, request = started()
    session.answered(request, snapshot(10, [("9", "5")], [("11", "3")]))
    request = opened(session)
    step = session.answered(request, snapshot(20, [("9", "5")], [("10", "3")]))
    told = [(row.kind, row.price, row.seq) for row in rows(step.records)]
    assert told == [(Kind.ASK, Decimal(10), 20), (Kind.STATUS, Decimal(0), 0)]
    assert states(feed(session, depth(19, 21, [], [])).records) == []


def test_a_venue_that_restarts_with_lower_numbers_is_followed() -> None:
    session, request = started()
    session.answered(request, snapshot(1000, [("9", "5")], [("11", "3")]))
    request = opened(session)
    step = feed(session, depth(3, 4, [], []))
    assert states(step.records) == [State.GAP, State.REPAIRING]
    step = session.answered(request, snapshot(4, [("7", "5")], [("8", "3")]))
    assert states(step.records) == [State.LIVE]
    assert book(session) == ([("7", "5")], [("8", "3")])


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"<html>", "expected JSON, found at byte 0"),
        (b"\xff\xfe\x00", "expected JSON, found at byte 0"),
        (b"[]", "Expected `object`, got `array`"),
        (b"{}", "found another object"),
        (b'{"stream":"ethusdt@trade","data":{}}', "'ethusdt@trade', which was not asked for"),
        (b'{"stream":"btcusdt@trade","data":{}}', "message of stream 'btcusdt@trade'"),
        (b'{"stream":"btcusdt@trade","data":{"e":"trade","s":"BTCUSDT","t":1,"q":"1","m":true}}', "expected"),
        (b'{"stream":"x@trade","data":{"e":"trade","s":"X","t":1,"p":"1","q":"1","T":1,"m":true}}', "X"),
        (b'{"stream":"btcusdt@trade","data":{"e":"trade","s":"BTCUSDT","t":1,"p":"x","q":"1","T":1,"m":true}}', "x"),
    ],
)
def test_what_is_not_understood_is_a_dead_letter_with_its_reason(raw: bytes, reason: str) -> None:
    session, _ = started()
    step = feed(session, raw, frame("btcusdt@trade", e="trade", s="BTCUSDT", t=1, p="1", q="1", T=1, m=True))
    assert step.dead_count == 1
    assert reason in step.dead[0][0]
    assert step.dead[0][1] == raw
    assert [row.kind for row in rows(step.records)] == [Kind.TRADE]


def test_another_spelling_of_the_same_is_understood() -> None:
    session, _ = started()
    raw = b'{ "data": {"t":1,"p":"1","q":"1","T":1,"m":true,"s":"BTCUSDT","e":"trade"}, "stream": "btcusdt@trade" }'
    step = feed(session, raw, b'{"result":null,"id":1}')
    assert step.dead_count == 0
    assert len(step.records) == 1


def test_an_error_in_answer_to_a_subscription_is_an_incident() -> None:
    session = make()
    listed(session)
    session.opened("streams-1", NOW)
    step = feed(session, b'{"error":{"code":2,"msg":"Invalid request"},"id":1}')
    (incident,) = step.incidents
    # refused as a whole: the venue does not say which of the channels it means, so they are asked for in parts
    assert (incident.kind, incident.scope, incident.instruments) == ("refused", "connection", ())
    assert "Invalid request" in incident.reason


def test_an_announced_shutdown_opens_another_link_first() -> None:
    session, _ = started()
    step = feed(session, b'{"e":"serverShutdown","E":1770123456789}')
    assert (list(step.drop), [link.name for link in step.links]) == ([], ["streams-1.2"])


# ------------------------------------------------------------------ recorded

RECORDINGS = {
    "cryptofeed/BINANCE/BINANCE_20210405T183323Z.jsonl.xz": 10,
    "cryptofeed/BINANCE/BINANCE_20211012T002832Z.jsonl.xz": 4,
}


class Reference:
    """An independent count: plain dicts and Decimals."""

    def __init__(self) -> None:
        self.trades: dict[str, list[tuple[int, Decimal, Decimal]]] = defaultdict(list)
        self.ticker: dict[str, tuple[Decimal, Decimal]] = {}
        self.books: dict[str, dict[str, dict[Decimal, Decimal]]] = {}
        self.diffs: dict[str, list[Any]] = defaultdict(list)

    def message(self, stream: str, data: dict[str, Any]) -> None:
        symbol, kind = stream.split("@", 1)
        symbol = symbol.upper()
        if kind == "aggTrade":
            self.trades[symbol].append((data["a"], Decimal(data["p"]), Decimal(data["q"])))
        elif kind == "bookTicker":
            self.ticker[symbol] = (Decimal(data["b"]), Decimal(data["a"]))
        elif kind.startswith("depth"):
            self.diffs[symbol].append(data)

    def best(self, symbol: str, answer: dict[str, Any]) -> tuple[Decimal, Decimal]:
        book = {side: {Decimal(p): Decimal(q) for p, q in answer[side]} for side in ("bids", "asks")}
        for diff in self.diffs[symbol]:
            if diff["u"] <= answer["lastUpdateId"]:
                continue
            for side, key in (("bids", "b"), ("asks", "a")):
                for price, size in diff[key]:
                    book[side][Decimal(price)] = Decimal(size)
        bids = [price for price, size in book["bids"].items() if size]
        asks = [price for price, size in book["asks"].items() if size]
        return max(bids), min(asks)


@pytest.mark.captures
@pytest.mark.parametrize("name", list(RECORDINGS))
def test_a_recorded_session_equals_an_independent_count(name: str) -> None:
    lines = list(recorded(name))
    symbols = tuple(lines[0]["config"]["l2_book"])
    session = make(symbols=symbols, aggregate_trades=True, streams=("trade", "quote", "book"))
    (request,) = session.start(NOW).requests
    session.answered(request, answer(b"", status=404))
    begin = round(lines[1]["ts"] * 1e9)
    session.opened("streams-1", begin)
    asked = {
        one.url.partition("symbol=")[2].partition("&")[0]: one
        for one in session.received("streams-1", [CONFIRMED], [begin]).requests
    }
    reference = Reference()
    told: list[Row] = []
    answers: dict[str, dict[str, Any]] = {}
    dead = 0
    for line in lines[1:]:
        now = round(line["ts"] * 1e9)
        if line["t"] == "recv":
            step = session.received("streams-1", [line["data"].encode()], [now])
            message = json.loads(line["data"])
            reference.message(message["stream"], message["data"])
        elif line["t"] == "http" and "symbol=" in line["url"]:
            symbol = line["url"].partition("symbol=")[2].partition("&")[0]
            step = session.answered(asked[symbol], answer(line["data"].encode(), now=now))
            answers[symbol] = json.loads(line["data"])
        else:
            continue
        dead += step.dead_count
        told.extend(rows(step.records))
        assert not step.incidents
    assert dead == 0
    assert len(session.instruments) == RECORDINGS[name]
    for one in session.instruments:
        native, mine = one.listed.native, [row for row in told if row.instrument == one.id]
        trades = [(row.ident, row.price, row.size) for row in mine if row.kind == Kind.TRADE]
        assert trades == reference.trades[native]
        assert not [row for row in mine if row.kind == Kind.GAP]
        assert session.core.state(one.id) == State.LIVE
        (bid,), (ask,) = session.core.book(one.id, 1)
        assert (Decimal(bid[0]), Decimal(ask[0])) == reference.best(native, answers[native])
        quotes = {row.kind: row.price for row in mine if row.kind in (Kind.BID, Kind.ASK)}
        if native in reference.ticker:
            assert (quotes[Kind.BID], quotes[Kind.ASK]) == reference.ticker[native]
