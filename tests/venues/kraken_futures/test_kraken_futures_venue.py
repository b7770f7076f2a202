"""What Kraken Futures' venue writes and reads beside its declared messages, and single messages through the core."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from tests.captures.replaying import Replay, replay

from tickcast.model.record import Flag, Kind, Side, State
from tickcast.venues.base import VenueConfig
from tickcast.venues.declared.venue import (
    Acknowledged,
    Alive,
    Channel,
    Listed,
    Refused,
    Status,
    Unknown,
)
from tickcast.venues.kraken_futures.names import named
from tickcast.venues.kraken_futures.venue import NO_CHANNEL, KrakenFuturesVenue

XBT = "PF_XBTUSD"
MS = 1_000_000


def make(**settings: object) -> KrakenFuturesVenue:
    return KrakenFuturesVenue(msgspec.convert({"venue": "KRAKEN_FUTURES", **settings}, VenueConfig))


def instruments(*entries: dict[str, object]) -> list[Listed]:
    venue = make()
    body = msgspec.json.encode({"result": "success", "instruments": entries})
    return list(venue.listed(venue.listing()[0], body))


def one_of(native: str) -> Listed:
    found = named(native)
    assert found is not None
    return found


def heard(*frames: dict[str, Any], native: str = XBT, quotes: bool = False) -> Replay:
    raw = [("ws", msgspec.json.encode(frame), 1 + place) for place, frame in enumerate(frames)]
    return replay(make(), [one_of(native)], raw, quotes=quotes)


def snapshot(seq: int) -> dict[str, Any]:
    levels = {"bids": [{"price": 100.5, "qty": 2}, {"price": 100, "qty": 5.0}], "asks": [{"price": 101, "qty": 1}]}
    return {"feed": "book_snapshot", "product_id": XBT, "timestamp": 1000, "seq": seq, "tickSize": None, **levels}


def level(seq: int, side: str, price: float, size: float) -> dict[str, Any]:
    where = {"feed": "book", "product_id": XBT, "side": side, "seq": seq}
    return {**where, "price": price, "qty": size, "timestamp": 1001}


def trade(seq: int, kind: str = "fill", side: str = "buy") -> dict[str, Any]:
    where = {"feed": "trade", "product_id": XBT, "uid": "df029bc0-1e27-4c19-8dd7-d6dc89217508", "side": side}
    return {**where, "type": kind, "seq": seq, "time": 1646472684700, "qty": 0.25, "price": 39054.5}


def ticker(**more: object) -> dict[str, Any]:
    base = {
        "time": 1676393235406, "product_id": XBT, "feed": "ticker", "bid": 21978.5, "ask": 21987.0, "bid_size": 2536.0,
        "ask_size": 13948.0, "volume": 31403908.0, "dtm": 0, "leverage": "50x", "index": 21984.54, "premium": -0.0,
        "last": 21983.5, "change": 1.99, "suspended": False, "tag": "perpetual", "pair": "XBT:USD",
        "openInterest": 30072580.0, "markPrice": 21979.68641534714, "maturityTime": 0, "post_only": False,
        "volumeQuote": 31403909.0, "open": 21968.5, "high": 22123.0, "low": 21456.0,
        "next_funding_rate_time": 1676394000000,
    }  # fmt: skip
    return {**base, **more}


# ------------------------------------------------------------------ names and lists


@pytest.mark.parametrize(
    ("native", "symbol", "settled", "kind"),
    [
        ("PI_XBTUSD", "BTC-USD-PERP", "BTC", "perpetual"),
        ("PF_XBTUSD", "BTC-USD-PERP-LINEAR", "USD", "perpetual"),
        ("FI_ETHUSD_211231", "ETH-USD-20211231", "ETH", "future"),
        ("FF_XBTUSD_251128", "BTC-USD-20251128-LINEAR", "USD", "future"),
        ("PV_XRPXBT", "XRP-BTC-PERP", "BTC", "perpetual"),
        ("FV_XRPXBT_180615", "XRP-BTC-20180615", "BTC", "future"),
        ("PF_1INCHUSD", "1INCH-USD-PERP-LINEAR", "USD", "perpetual"),
        ("PF_XDGUSD", "DOGE-USD-PERP-LINEAR", "USD", "perpetual"),
        ("pi_bchusd", "BCH-USD-PERP", "BCH", "perpetual"),
    ],
)
def test_names(native: str, symbol: str, settled: str, kind: str) -> None:
    found = one_of(native)
    assert (found.symbol, found.settle_currency, found.asset_class) == (symbol, settled, kind)
    assert found.native == native.upper()
    assert found.underlying == "-".join(symbol.split("-")[:2])


@pytest.mark.parametrize("native", ["in_xbtusd", "rr_ethusd", "PI_XBTUSD_210924", "FI_XBTUSD", "XBT/USD", "", "PF_USD"])
def test_what_is_no_product(native: str) -> None:
    assert named(native) is None


def test_todays_list() -> None:
    common = {"tradeable": True, "contractSize": 1, "postOnly": False, "quote": "USD", "mtf": True, "marginLevels": []}
    found = instruments(
        {**common, "symbol": "PI_XBTUSD", "type": "futures_inverse", "tickSize": 0.5, "base": "BTC",
         "contractValueTradePrecision": 0},
        {**common, "symbol": "PF_PEPEUSD", "type": "flexible_futures", "tickSize": 1e-10, "base": "PEPE",
         "contractValueTradePrecision": -3},
        {**common, "symbol": "PF_AAPLxUSD", "type": "flexible_futures", "tickSize": 0.01, "base": "AAPLx",
         "contractValueTradePrecision": 2, "tradeable": False},
        {**common, "symbol": "FF_ETHUSD_251128", "type": "flexible_futures", "tickSize": 0.1, "base": "ETH",
         "contractValueTradePrecision": 3, "lastTradingTime": "2025-11-28T08:00:00.000Z", "postOnly": True},
    )  # fmt: skip
    assert [(one.native, one.symbol, one.tick_size, one.lot_size, one.state) for one in found] == [
        ("PI_XBTUSD", "BTC-USD-PERP", "0.5", "1", State.LIVE),
        ("PF_PEPEUSD", "PEPE-USD-PERP-LINEAR", "0.0000000001", "1000", State.LIVE),
        ("PF_AAPLxUSD", "AAPLX-USD-PERP-LINEAR", "0.01", "0.01", State.HALTED),
        ("FF_ETHUSD_251128", "ETH-USD-20251128-LINEAR", "0.1", "0.001", State.HALTED),
    ]
    assert [one.contract_size for one in found] == ["1"] * 4
    assert [one.expiry for one in found] == [None, None, None, "2025-11-28T08:00:00Z"]
    assert {one.time_precision for one in found} == {3}


def test_a_list_of_former_years() -> None:
    found = instruments(
        {"symbol": "fi_xbtusd_210924", "type": "futures_inverse", "underlying": "rr_xbtusd", "tickSize": 0.5,
         "lastTradingTime": "2021-09-24T15:00:00.000Z", "contractSize": 1, "tradeable": True},
        {"symbol": "in_xbtusd", "type": "spot index", "tradeable": False},
    )  # fmt: skip
    (one,) = found
    assert (one.native, one.symbol, one.lot_size, one.expiry) == (
        "FI_XBTUSD_210924",
        "BTC-USD-20210924",
        "1",
        "2021-09-24T15:00:00Z",
    )


def test_the_venues_error_is_no_list() -> None:
    for body in (b'{"result":"error","error":"apiLimitExceeded"}', b"<html>", b"[]"):
        with pytest.raises(ValueError, match=r"\w"):
            make().listed(make().listing()[0], body)


# ------------------------------------------------------------------ what is sent


def test_a_message_for_each_feed() -> None:
    venue = make()
    channels = [*venue.channels(one_of(XBT)), *venue.channels(one_of("PI_ETHUSD"))]
    both = [XBT, "PI_ETHUSD"]
    for word, frames in (("subscribe", venue.subscribe(channels)), ("unsubscribe", venue.unsubscribe(channels))):
        assert [msgspec.json.decode(frame) for frame in frames] == [
            {"event": word, "feed": feed, "product_ids": both} for feed in ("trade", "book", "ticker")
        ]
    assert [one.name for one in channels if one.book] == ["book", "book"]
    assert venue.hello() == [venue.ping()]


@pytest.mark.parametrize(
    ("streams", "names"),
    [
        (["liquidation"], ["trade"]),
        (["book"], ["book"]),
        (["quote"], ["ticker"]),
        (["book", "quote"], ["book"]),
        (["funding"], ["ticker"]),
        (["greeks"], []),
    ],
)
def test_channels_follow_the_streams(streams: list[str], names: list[str]) -> None:
    venue = make(streams=streams)
    assert [one.name for one in venue.channels(one_of(XBT))] == names
    assert venue.quoted(one_of(XBT)) == (streams == ["quote"])


def test_addresses() -> None:
    venue = make(rest_url="http://127.0.0.1:1/")
    assert venue.listing()[0].url == "http://127.0.0.1:1/derivatives/api/v3/instruments"
    probe = venue.probe_request()
    assert probe is not None
    assert probe.url.endswith("/derivatives/api/v3/tickers/PF_XBTUSD")
    assert venue.target("", []) == "wss://futures.kraken.com/ws/v1"


def test_what_a_recorder_subscribed_to() -> None:
    sent = ['{"event":"subscribe","feed":"book","product_ids":["fi_ethusd_211231","PF_XBTUSD"]}', "{", "[]"]
    found = make().recorded([], sent, ["ETH-USD-21Z31"])
    assert [(one.native, one.symbol) for one in found] == [
        ("FI_ETHUSD_211231", "ETH-USD-20211231"),
        (XBT, "BTC-USD-PERP-LINEAR"),
    ]


# ------------------------------------------------------------------ answers


@pytest.mark.parametrize(
    ("frame", "happening"),
    [
        (b'{"event":"info","version":1}', Alive()),
        (b'{"event":"subscribed","feed":"heartbeat"}', Alive()),
        (b'{"event":"unsubscribed","feed":"book","product_ids":["PF_XBTUSD"]}', Alive()),
        (b'{"event":"challenge","message":"226aee50-88fc-4618-a42a-34f7709570b2"}', Alive()),
        (b'{"event":"alert","message":"Already subscribed to feed, re-requesting"}', Alive()),
        (b'{"event":"subscribed ","feed":"trade","product_ids":["A"]}', Acknowledged([Channel("trade", "A")])),
        (
            b'{"event":"subscribed","feed":"book","product_ids":["A","B"]}',
            Acknowledged([Channel("book", "A", book=True), Channel("book", "B", book=True)]),
        ),
        (
            b'{"event":"subscribed_failed","feed":"ticker","product_ids":["A"]}',
            Refused("subscribed_failed", Channel("ticker", "A")),
        ),
        (b'{"event":"error","message":"Invalid product id"}', Refused("Invalid product id")),
        (
            b'{"event":"alert","message":"Failed to subscribe to authenticated feed"}',
            Refused("Failed to subscribe to authenticated feed", NO_CHANNEL),
        ),
        (b'{"feed":"ticker","product_id":"A","suspended":true}', Status("A", State.HALTED, reason="suspended")),
        (b'{"feed":"ticker","product_id":"A","post_only":true}', Status("A", State.HALTED, reason="post only")),
        (b'{"feed":"ticker","product_id":"A","suspended":false}', Status("A", State.LIVE)),
        (b'{"feed":"candles","product_id":"A"}', Unknown("feed 'candles', event ''")),
    ],
)
def test_answers(frame: bytes, happening: object) -> None:
    assert make().cold(frame, "") == [happening]


@pytest.mark.parametrize("frame", [b"[]", b"1", b"\xff", b'{"event":1}'])
def test_what_is_no_message(frame: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        make().cold(frame, "")


# ------------------------------------------------------------------ books


def test_a_difference_is_one_level() -> None:
    found = heard(snapshot(7), level(8, "buy", 100.75, 3), level(9, "sell", 101, 0), level(10, "sell", 102, 4.5))
    assert (found.dead, found.breaks, found.feed.drift()) == ([], [], [])
    bids = {Decimal("100.75"): Decimal(3), Decimal("100.5"): Decimal(2), Decimal(100): Decimal(5)}
    assert found.book("BTC-USD-PERP-LINEAR") == (bids, {Decimal(102): Decimal("4.5")})
    assert found.states("BTC-USD-PERP-LINEAR") == [State.SYNCING, State.LIVE]
    assert {row.ts_event for row in found.of(Kind.BID, Kind.ASK)} == {1000 * MS, 1001 * MS}


@pytest.mark.parametrize("seqs", [(9,), (8, 10), (6,)])
def test_a_jump_breaks_the_book(seqs: tuple[int, ...]) -> None:
    found = heard(snapshot(7), *(level(seq, "buy", 100.75, 3) for seq in seqs))
    assert [(one.reason, one.scope) for one in found.breaks] == [("chain", "instrument")]
    assert found.states("BTC-USD-PERP-LINEAR")[-1] == State.GAP
    mended = heard(snapshot(7), level(9, "buy", 100.75, 3), snapshot(20), level(21, "buy", 100.75, 3))
    assert mended.states("BTC-USD-PERP-LINEAR")[-1] == State.LIVE


@pytest.mark.parametrize("wrong", [{"side": "none"}, {"side": None}, {"price": "x"}, {"qty": -1}, {"seq": "x"}])
def test_a_level_that_cannot_be_read_breaks_the_book(wrong: dict[str, object]) -> None:
    found = heard(snapshot(7), {**level(8, "buy", 100.75, 3), **wrong})
    assert len(found.dead) == 1
    assert [one.reason for one in found.breaks] == ["malformed"]


# ------------------------------------------------------------------ trades


def test_history_is_told_from_the_oldest_and_a_hole_is_a_gap() -> None:
    history = {"feed": "trade_snapshot", "product_id": XBT, "trades": [trade(4, side="sell"), trade(3, "liquidation")]}
    found = heard(history, trade(5), trade(8), history)
    assert [(row.id, row.side, bool(row.flags & Flag.HISTORY)) for row in found.of(Kind.TRADE)] == [
        (3, Side.BUYER, True),
        (4, Side.SELLER, True),
        (5, Side.BUYER, False),
        (8, Side.BUYER, False),
    ]
    assert [(gap.id, gap.frame) for gap in found.of(Kind.GAP)] == [(2, 2)]
    assert found.of(Kind.LIQUIDATION) == []
    assert {(row.price, row.size, row.ts_event) for row in found.of(Kind.TRADE)} == {
        (Decimal("39054.5"), Decimal("0.25"), 1646472684700 * MS)
    }
    assert found.feed.drift() == []


@pytest.mark.parametrize(
    ("kind", "forced"),
    [("fill", 0), ("block", 0), ("assignment", 0), ("liquidation", 1), ("termination", 1)],
)
def test_forced_trades_are_trades_and_liquidations(kind: str, forced: int) -> None:
    found = heard(trade(4), trade(5, kind), trade(6))
    assert [row.id for row in found.of(Kind.TRADE)] == [4, 5, 6]
    assert [(row.id, row.side) for row in found.of(Kind.LIQUIDATION)] == [(5, Side.BUYER)] * forced
    assert found.of(Kind.GAP) == []


# ------------------------------------------------------------------ tickers


def test_figures_of_a_ticker() -> None:
    rates = {"relative_funding_rate": -1.380384722222e-6, "relative_funding_rate_prediction": -8.05e-6}
    found = heard(ticker(**rates, funding_rate=-6.26e-11, funding_rate_prediction=-3.6e-10))
    told = {row.kind: row.price for row in found.rows if row.kind >= Kind.MARK}
    assert told == {
        Kind.MARK: Decimal("21979.68641534714"),
        Kind.INDEX: Decimal("21984.54"),
        Kind.OPEN_INTEREST: Decimal(30072580),
        Kind.OPEN_24H: Decimal("21968.5"),
        Kind.HIGH_24H: Decimal(22123),
        Kind.LOW_24H: Decimal(21456),
        Kind.VOLUME_24H: Decimal(31403908),
        Kind.TURNOVER_24H: Decimal(31403909),
        Kind.FUNDING: Decimal("-0.000001380384722222"),
        Kind.FUNDING_NEXT: Decimal("-0.00000805"),
        Kind.FUNDING_TIME: Decimal(1676394000),
    }
    assert {row.ts_event for row in found.rows if row.kind >= Kind.MARK} == {1676393235406 * MS}
    assert found.feed.drift() == []
    assert found.of(Kind.BID) == []


def test_a_rate_of_nothing_is_left_away_and_means_zero() -> None:
    found = heard(ticker(relative_funding_rate=0.0001), ticker())
    assert [row.price for row in found.of(Kind.FUNDING)] == [Decimal("0.0001"), 0]
    assert [row.price for row in found.of(Kind.FUNDING_NEXT)] == [0]


def test_a_dated_future_has_no_funding() -> None:
    dated = ticker(tag="month", maturityTime=1656082800000, dtm=22)
    del dated["next_funding_rate_time"]
    found = heard(dated)
    assert found.of(Kind.FUNDING, Kind.FUNDING_NEXT, Kind.FUNDING_TIME) == []
    assert len(found.of(Kind.MARK)) == 1


def test_quotes_where_there_is_no_book() -> None:
    found = heard(ticker(), {**ticker(bid=None), "feed": "ticker_lite"}, quotes=True)
    assert [(row.kind, row.price, row.size) for row in found.of(Kind.BID, Kind.ASK)] == [
        (Kind.BID, Decimal("21978.5"), Decimal(2536)),
        (Kind.ASK, Decimal(21987), Decimal(13948)),
        (Kind.BID, None, None),
    ]


def test_the_venue_class_sees_a_ticker_when_its_product_halts_and_goes_on() -> None:
    found = heard(
        ticker(),
        ticker(last=2),
        ticker(suspended=True),
        ticker(suspended=True, last=3),
        ticker(),
        ticker(post_only=True),
    )
    live, halted = Status(XBT, State.LIVE), Status(XBT, State.HALTED, reason="suspended")
    assert found.cold == [live, halted, live, Status(XBT, State.HALTED, reason="post only")]


def test_heartbeats_tell_nothing() -> None:
    found = heard({"feed": "heartbeat", "time": 1534262350627})
    assert (found.rows, found.cold, found.dead) == ([], [], [])
