"""The Binance session, from frames and answers to records; hand-made and recorded."""

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
from tickcast.venues.binance.session import BinanceSession

NOW = 1_700_000_000_000_000_000
BTC = _native.instrument_id("BINANCE:BTC-USDT")


def make(**settings: Any) -> BinanceSession:
    config = VenueConfig(venue="BINANCE", url="ws://host", rest_url="http://host", **settings)
    return BinanceSession(feed="b", config=config, securities={}, previous_close={"BTC-USDT": "63000.5"})


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


def listed(session: BinanceSession, *symbols: tuple[str, str, str]) -> Step:
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


def feed(session: BinanceSession, *frames: bytes, link: str = "streams-1") -> Step:
    return session.received(link, frames, [NOW + place for place in range(len(frames))])


def started(**settings: Any) -> tuple[BinanceSession, Request]:
    """A session whose link is open, and its request for a depth snapshot."""
    session = make(**settings)
    listed(session)
    (request,) = session.opened("streams-1", NOW).requests
    return session, request


def test_instruments_become_definitions_and_links() -> None:
    session = make()
    step = listed(session, ("BTC", "USDT", "TRADING"), ("AAPL", "USD", "HALT"), ("OLD", "BTC", "BREAK"))
    assert [one.name for one in step.definitions] == ["BINANCE:BTC-USDT", "BINANCE:AAPL-USD"]
    btc = step.definitions[0]
    assert (btc.native_symbol, btc.tick_size, btc.lot_size, btc.currency) == ("BTCUSDT", "0.01", "0.00001", "USDT")
    assert btc.time_precision == 3
    (link,) = step.links
    assert link.target == (
        "ws://host/stream?streams=btcusdt@trade/btcusdt@bookTicker/btcusdt@depth@100ms"
        "/aaplusd@trade/aaplusd@bookTicker/aaplusd@depth@100ms"
    )
    kinds = [(row.kind, row.price, row.detail) for row in rows(step.records)]
    assert kinds == [
        (Kind.STATUS, 0, State.SYNCING),
        (Kind.PREV_CLOSE, Decimal("63000.5"), 0),
        (Kind.STATUS, 0, State.HALTED),
    ]


def test_more_symbols_than_a_connection_may_carry_take_further_links() -> None:
    session = make(streams_max=7)
    step = listed(session, *[(f"C{number}", "USDT", "TRADING") for number in range(5)])
    assert [link.name for link in step.links] == ["streams-1", "streams-2", "streams-3"]
    assert [link.target.count("@trade") for link in step.links] == [2, 2, 1]


def test_addresses_stay_below_what_servers_take() -> None:
    step = listed(make(), *[(f"COIN{number}", "USDT", "TRADING") for number in range(500)])
    assert max(len(link.target) for link in step.links) <= 7_000
    assert sum(link.target.count("@depth") for link in step.links) == 500


def test_symbols_of_the_config_are_a_filter_and_misspelt_ones_are_said() -> None:
    session = make(symbols=("ETH-USDT", "ETH-USD"))
    step = listed(session, ("BTC", "USDT", "TRADING"), ("ETH", "USDT", "TRADING"))
    assert [one.symbol for one in step.definitions] == ["ETH-USDT"]
    assert step.dead == [("symbol ETH-USD of the config is not in the venue's list", b"")]


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
    data = {"e": "trade", "s": "BTCUSDT", "p": "1", "q": "1", "T": 1, "m": True}
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
    session, request = started(streams=("depth",))
    assert feed(session, depth(100, 104, [("10", "1")], [])).records == []
    step = session.answered(request, snapshot(102, [("9", "5"), ("8", "5")], [("11", "3")]))
    told = [(row.kind, row.price, row.size, row.seq) for row in rows(step.records)]
    assert told == [
        (Kind.BID, Decimal(9), Decimal(5), 102),
        (Kind.ASK, Decimal(11), Decimal(3), 102),
        (Kind.BID, Decimal(10), Decimal(1), 104),
        (Kind.STATUS, Decimal(0), Decimal(0), 0),
    ]
    assert states(step.records) == [State.LIVE]
    assert rows(step.records)[2].ts_event == 1_700_000_000_123_000_000


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
    (request,) = session.opened("streams-1", NOW).requests
    old = snapshot(990, [("7", "5")], [("8", "3")])
    for _ in range(2):
        step = session.answered(request, old)
        assert (step.repeat, step.records) == ([request], [])
    # it stays lower: the venue has begun its numbers anew
    step = session.answered(request, snapshot(991, [("7", "5")], [("8", "3")]))
    assert states(step.records) == [State.LIVE]
    assert session.markets["BTCUSDT"].book.best() == (("7", "5"), ("8", "3"))
    assert states(feed(session, depth(992, 992, [], [])).records) == []


def test_levels_are_published_when_asked_for() -> None:
    session, request = started(depth=5)
    session.answered(request, snapshot(10, [("9", "5")], [("11", "3")]))
    step = feed(session, depth(11, 12, [("10", "1"), ("9", "0")], []))
    told = rows(step.records)
    assert {(row.kind, row.price, row.size) for row in told[:2]} == {
        (Kind.BOOK_BID, Decimal(10), Decimal(1)),
        (Kind.BOOK_BID, Decimal(9), Decimal(0)),
    }
    assert (told[2].kind, told[2].price) == (Kind.BID, Decimal(10)), "no bookTicker said so yet"
    assert [row.last for row in told] == [False, True, True]


def test_a_break_concerns_one_instrument_and_is_repaired() -> None:
    session, request = started(streams=("depth",))
    session.answered(request, snapshot(10, [("9", "5")], [("11", "3")]))
    step = feed(session, depth(11, 12, [("10", "1")], []), depth(15, 16, [], [("10.5", "1")]))
    told = rows(step.records)
    assert [row.kind for row in told] == [Kind.BID, Kind.GAP, Kind.STATUS, Kind.STATUS]
    assert told[1].ident == 2
    assert states(step.records) == [State.GAP, State.REPAIRING]
    (again,) = step.requests
    assert again.purpose == "depth BTCUSDT"
    # too old: the buffered difference begins behind it
    step = session.answered(again, snapshot(13, [("9", "5")], [("11", "3")]))
    assert step.repeat == [again]
    assert step.records == []
    step = session.answered(again, snapshot(14, [("9", "5")], [("11", "3")]))
    assert states(step.records) == [State.LIVE]
    assert session.markets["BTCUSDT"].book.best() == (("9", "5"), ("10.5", "1"))


def test_a_book_that_crosses_is_repaired() -> None:
    session, request = started(streams=("depth",))
    session.answered(request, snapshot(10, [("9", "5")], [("11", "3")]))
    step = feed(session, depth(11, 11, [("12", "1")], []))
    assert states(step.records) == [State.GAP, State.REPAIRING]
    assert len(step.requests) == 1


def test_a_level_that_is_no_number_is_a_dead_letter_and_the_book_is_repaired() -> None:
    session, request = started(streams=("depth",))
    session.answered(request, snapshot(10, [("9", "5")], [("11", "3")]))
    step = feed(session, depth(11, 11, [("ten", "1")], []))
    assert step.dead_count == 1
    assert states(step.records) == [State.GAP, State.REPAIRING]


def test_a_link_that_comes_back_proves_that_nothing_was_missed() -> None:
    session, request = started()
    session.answered(request, snapshot(10, [("9", "5")], [("11", "3")]))
    session.closed("streams-1", NOW)
    step = session.opened("streams-1", NOW)
    assert step.new_session
    assert states(feed(session, depth(11, 12, [], [])).records) == []
    assert session.answered(step.requests[0], snapshot(11, [], [])).records == []
    assert session.markets["BTCUSDT"].book.best() == (("9", "5"), ("11", "3"))


def test_after_a_break_a_quiet_instrument_is_set_right_by_its_snapshot() -> None:
    session, request = started()
    session.answered(request, snapshot(10, [("9", "5")], [("11", "3")]))
    (request,) = session.opened("streams-1", NOW).requests
    step = session.answered(request, snapshot(20, [("9", "5")], [("10", "3")]))
    told = [(row.kind, row.price, row.seq) for row in rows(step.records)]
    assert told == [(Kind.ASK, Decimal(10), 20), (Kind.STATUS, Decimal(0), 0)]
    assert states(feed(session, depth(19, 21, [], [])).records) == []


def test_a_venue_that_restarts_with_lower_numbers_is_followed() -> None:
    session, request = started()
    session.answered(request, snapshot(1000, [("9", "5")], [("11", "3")]))
    (request,) = session.opened("streams-1", NOW).requests
    step = feed(session, depth(3, 4, [], []))
    assert states(step.records) == [State.GAP, State.REPAIRING]
    step = session.answered(request, snapshot(4, [("7", "5")], [("8", "3")]))
    assert states(step.records) == [State.LIVE]
    assert session.markets["BTCUSDT"].book.best() == (("7", "5"), ("8", "3"))


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"<html>", "expected a combined stream's message, found something else"),
        (b"\xff\xfe\x00", "expected a combined stream's message, found something else"),
        (b"[]", "expected a combined stream's message"),
        (b"{}", "found another object"),
        (b'{"stream":"ethusdt@trade","data":{}}', "'ethusdt@trade', which was not asked for"),
        (b'{"stream":"btcusdt@trade","data":{}}', "BINANCE:BTC-USDT: Object missing required field"),
        (b'{"stream":"btcusdt@trade","data":{"t":1,"p":"x","q":"1","T":1,"m":true}}', "BINANCE:BTC-USDT"),
        (b'{"error":{"code":2,"msg":"bad"},"id":1}', "the venue answers with an error"),
    ],
)
def test_what_is_not_understood_is_a_dead_letter_with_its_reason(raw: bytes, reason: str) -> None:
    session, _ = started()
    step = feed(session, raw, frame("btcusdt@trade", t=1, p="1", q="1", T=1, m=True))
    assert step.dead_count == 1
    assert reason in step.dead[0][0]
    assert step.dead[0][1] == raw
    assert [row.kind for row in rows(step.records)] == [Kind.TRADE]


def test_another_spelling_of_the_same_is_understood() -> None:
    session, _ = started()
    raw = b'{ "data": {"t":1,"p":"1","q":"1","T":1,"m":true}, "stream": "btcusdt@trade" }'
    step = feed(session, raw, b'{"result":null,"id":1}')
    assert step.dead_count == 0
    assert len(step.records) == 1


def test_an_announced_shutdown_drops_the_link() -> None:
    session, _ = started()
    assert list(feed(session, b'{"e":"serverShutdown","E":1770123456789}').drop) == ["streams-1"]


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
    session = make(symbols=symbols, streams=("aggTrade", "bookTicker", "depth"))
    (request,) = session.start(NOW).requests
    session.answered(request, answer(b"", status=404))
    session.opened("streams-1", NOW)
    reference = Reference()
    told: list[Row] = []
    answers: dict[str, dict[str, Any]] = {}
    dead = 0
    for line in lines:
        now = round(line.get("ts", 0) * 1e9)
        if line["t"] == "recv":
            step = session.received("streams-1", [line["data"].encode()], [now])
            message = json.loads(line["data"])
            reference.message(message["stream"], message["data"])
        elif line["t"] == "http" and "symbol=" in line["url"]:
            symbol = line["url"].partition("symbol=")[2].partition("&")[0]
            request = Request(purpose=f"depth {symbol}", url=line["url"])
            step = session.answered(request, answer(line["data"].encode(), now=now))
            answers[symbol] = json.loads(line["data"])
        else:
            continue
        dead += step.dead_count
        told.extend(rows(step.records))
    assert dead == 0
    assert len(session.markets) == RECORDINGS[name]
    for native, market in session.markets.items():
        mine = [row for row in told if row.instrument == market.instrument]
        trades = [(row.ident, row.price, row.size) for row in mine if row.kind == Kind.TRADE]
        assert trades == reference.trades[native]
        assert not [row for row in mine if row.kind == Kind.GAP]
        assert market.sync.phase == "live"
        bid, ask = market.book.best()
        assert bid is not None
        assert ask is not None
        assert (Decimal(bid[0]), Decimal(ask[0])) == reference.best(native, answers[native])
        quotes = {row.kind: row.price for row in mine if row.kind in (Kind.BID, Kind.ASK)}
        if native in reference.ticker:
            assert (quotes[Kind.BID], quotes[Kind.ASK]) == reference.ticker[native]
