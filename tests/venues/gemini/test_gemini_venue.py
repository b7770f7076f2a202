"""What Gemini's venue writes and reads beside its declared messages, and how its messages are read."""

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from tests.captures.replaying import Replay, replay

from tickcast.model.record import Flag, Kind, Side, State
from tickcast.venues.base import Request, VenueConfig
from tickcast.venues.declared.venue import Acknowledged, Alive, Channel, Listed, Refused, Unknown
from tickcast.venues.gemini.names import named
from tickcast.venues.gemini.venue import GeminiVenue

NOW = 1_790_000_000_000_000_000
MS = 1_790_000_000_123
MARK = Channel("mark_price", "BTCGUSDPERP", endpoint="marks")


def make(**settings: object) -> GeminiVenue:
    return GeminiVenue(msgspec.convert({"venue": "GEMINI", **settings}, VenueConfig))


def known(native: str) -> Listed:
    found = named(native)
    assert found is not None
    return found


def told(*frames: dict[str, Any], listed: tuple[str, ...] = ("BTCUSD", "BTCGUSDPERP")) -> Replay:
    raw = [json.dumps(frame).encode() for frame in frames]
    return replay(make(), map(known, listed), [("ws", frame, NOW) for frame in raw])


def update(*changes: list[str], **more: Any) -> dict[str, Any]:
    return {"type": "l2_updates", "symbol": "BTCUSD", "changes": list(changes), **more}


def trade(ident: int, **more: Any) -> dict[str, Any]:
    row = {
        "type": "trade",
        "symbol": "BTCUSD",
        "event_id": ident,
        "timestamp": MS,
        "price": "100.5",
        "quantity": "0.25",
    }
    return {**row, "side": "buy", **more}


# ------------------------------------------------------------------ names and lists


@pytest.mark.parametrize(
    ("native", "symbol"),
    [
        ("btcusd", "BTC-USD"),
        ("btcgusd", "BTC-GUSD"),
        ("gusdusd", "GUSD-USD"),
        ("btcrlusd", "BTC-RLUSD"),
        ("ethusdc", "ETH-USDC"),
        ("zecltc", "ZEC-LTC"),
        ("efilfil", "EFIL-FIL"),
        ("paxgusd", "PAXG-USD"),
        ("2zusd", "2Z-USD"),
        ("ethusdcperp", "ETH-USDC-PERP"),
        ("btcgusdperp", "BTC-GUSD-PERP"),
    ],
)
def test_names(native: str, symbol: str) -> None:
    found = known(native)
    assert (found.native, found.symbol, found.also) == (native.upper(), symbol, (native,))
    assert (found.asset_class == "perpetual") == symbol.endswith("-PERP")


@pytest.mark.parametrize("native", ["", "usd", "zzz", "perp"])
def test_what_is_no_pair_has_no_name(native: str) -> None:
    assert named(native) is None


def test_details_are_asked_for_of_what_the_config_names() -> None:
    venue = make(symbols=["BTC-USD", "ETH-*"], rest_url="http://here")
    (request,) = venue.listing()
    body = b'["btcusd","ethusd","ethusdcperp","solusd"]'
    assert [one.symbol for one in venue.listed(request, body)] == ["BTC-USD", "ETH-USD", "ETH-USDC-PERP", "SOL-USD"]
    asked = []
    page = venue.next_page(request, body)
    while page is not None:
        asked.append(page.url.partition("#")[0].rpartition("/")[2])
        page = venue.next_page(page, b"{}")
    assert asked == ["btcusd", "ethusd", "ethusdcperp"]
    assert make().next_page(request, body) is None


def test_details_say_steps_and_state() -> None:
    body = (
        b'{"symbol":"PAXGUSD","base_currency":"PAXG","quote_currency":"USD","tick_size":1E-8,"quote_increment":0.01,'
        b'"min_order_size":"0.0001","status":"cancel_only","product_type":"spot"}'
    )
    (found,) = make().listed(Request(purpose="", url="http://here/v1/symbols/details/paxgusd"), body)
    assert (found.symbol, found.tick_size, found.lot_size, found.state) == (
        "PAXG-USD",
        "0.01",
        "0.00000001",
        State.HALTED,
    )


@pytest.mark.parametrize("body", [b"<html>", b'{"result":"error"}', b"[1]"])
def test_what_is_no_list_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        make().listed(make().listing()[0], body)


# ------------------------------------------------------------------ channels


def test_channels() -> None:
    spot, perpetual = known("BTCUSD"), known("BTCGUSDPERP")
    trade, quote = Channel("trade", "BTCUSD"), Channel("bookTicker", "BTCUSD")
    assert make().channels(spot) == [trade, quote, Channel("depth@100ms", "BTCUSD", book=True)]
    assert make().channels(perpetual)[3:] == [MARK]
    assert make(streams=["trade"]).channels(perpetual) == [Channel("trade", "BTCGUSDPERP")]
    assert make(streams=["mark"]).channels(spot) == []
    assert [make(streams=words).quoted(spot) for words in (["quote"], ["book"])] == [True, False]


def test_mark_prices_come_over_an_address_of_their_own() -> None:
    own, ours = make(url="ws://here/"), make()
    assert [ours.target(name, ()) for name in ours.endpoints] == [
        "wss://ws.gemini.com/?snapshot=-1",
        "wss://api.gemini.com/v2/marketdata",
    ]
    assert [own.target(name, ()) for name in own.endpoints] == ["ws://here/?snapshot=-1", "ws://here/v2/marketdata"]


def test_one_request_for_all_streams_of_an_address() -> None:
    venue = make()
    streams = [Channel("depth@100ms", "BTCUSD", book=True), Channel("trade", "ETHUSD")]
    names = ["btcusd@depth@100ms", "ethusd@trade"]
    assert [msgspec.json.decode(frame) for frame in venue.subscribe(streams)] == [
        {"id": 1, "method": "subscribe", "params": names}
    ]
    assert [msgspec.json.decode(frame) for frame in venue.unsubscribe(streams)] == [
        {"id": 2, "method": "unsubscribe", "params": names}
    ]
    for word, frames in (("subscribe", venue.subscribe([MARK])), ("unsubscribe", venue.unsubscribe([MARK]))):
        assert [msgspec.json.decode(frame) for frame in frames] == [
            {"type": word, "subscriptions": [{"name": "mark_price", "symbols": ["BTC-GUSD-PERP"]}]}
        ]


def test_answers_confirm_what_was_asked_for_by_their_number() -> None:
    venue = make()
    channels = (Channel("trade", "BTCUSD"), Channel("trade", "ETHUSD"))
    venue.subscribe(channels)
    venue.unsubscribe(channels)
    assert venue.cold(b'{"id":1,"status":200}', "") == [Acknowledged(channels)]
    assert venue.cold(b'{"id":2,"status":200}', "") == [Alive()]
    assert venue.cold(b'{"id":"9","status":200}', "") == [Alive()]


def test_one_wrong_stream_refuses_the_request_and_the_others_are_asked_for_again() -> None:
    venue = make()
    depth, trade = Channel("depth@100ms", "BTCUSD", book=True), Channel("trade", "BTCUSD")
    venue.subscribe([trade, depth])
    frame = b'{"id":1,"status":400,"error":{"code":-1013,"msg":"Invalid stream name: btcusd@depth@100ms"}}'
    reason = "-1013 Invalid stream name: btcusd@depth@100ms"
    assert venue.cold(frame, "") == [
        Refused(reason, depth),
        Refused(f"asked for together with what was refused: {reason}", among=(trade,)),
    ]
    venue.subscribe([trade, depth])
    frame = b'{"id":2,"status":429,"error":{"code":-1003,"msg":"Too many requests"}}'
    assert venue.cold(frame, "") == [Refused("-1003 Too many requests", among=(trade, depth))]


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (
            b'{"result":"error","reason":"InvalidSymbol","message":"no such thing as BTCGUSDPERP here"}',
            Refused("InvalidSymbol: no such thing as BTCGUSDPERP here", MARK),
        ),
        (b'{"result":"error","reason":"InvalidJson","message":"what?"}', Refused("InvalidJson: what?")),
        (
            b'{"type":"mark_price_updates","symbol":"BTCGUSDPERP","changes":[]}',
            Acknowledged([MARK], by_speech=True),
        ),
        (b'{"type":"zzz"}', Unknown("message of type 'zzz'", kind="zzz")),
        (b'{"e":"zzz","s":"btcusd"}', Unknown("message of type 'zzz'", kind="zzz")),
    ],
)
def test_cold_messages(frame: bytes, expected: object) -> None:
    assert make().cold(frame, "") == [expected]


def test_recorded_subscriptions_name_their_instruments() -> None:
    sent = [
        '{"type":"subscribe","subscriptions":[{"name":"l2","symbols":["BTCUSD","ETHUSDCPERP"]}]}',
        '{"type":"subscribe","subscriptions":[{"name":"mark_price","symbols":["BTC-GUSD-PERP"]}]}',
        '{"type":"unsubscribe","subscriptions":[{"name":"l2","symbols":["SOLUSD"]}]}',
        '{"id":1,"method":"SUBSCRIBE","params":["zecusd@depth@100ms","btcusd@trade"]}',
        '{"id":"2","method":"unsubscribe","params":["dogeusd@trade"]}',
        "no JSON",
    ]
    natives = ["BTCUSD", "ETHUSDCPERP", "BTCGUSDPERP", "ZECUSD"]
    assert [one.native for one in make().recorded((), sent, ())] == natives
    assert [one.native for one in make().recorded((), (), ["BTC-USD", "BTC-GUSD-PERP"])] == ["BTCUSD", "BTCGUSDPERP"]


# ------------------------------------------------------------------ messages


def depth(ids: tuple[int, int], bids: list[list[str]], asks: list[list[str]]) -> dict[str, Any]:
    """A difference; the venue writes levels in any order, with zeros behind."""
    return {"e": "depthUpdate", "E": NOW + 7, "s": "btcusd", "U": ids[0], "u": ids[1], "b": bids, "a": asks}


BEGINNING = depth((50, 50), [["100.00", "1.50"], ["99.50", "2"]], [["101.00", "2"], ["102.00", "7"]])


def test_a_subscription_begins_with_the_whole_book_and_differences_are_chained() -> None:
    found = told(
        depth((30, 40), [["1.00", "9"]], []),
        BEGINNING,
        depth((45, 55), [["99.50", "0.00"], ["100.50", "3"]], []),
        depth((55, 90), [], [["103.00", "1"], ["101.00", "0"]]),
    )
    assert (found.dead, found.breaks, found.cold, found.feed.drift()) == ([], [], [], [])
    assert found.states("BTC-USD") == [State.SYNCING, State.LIVE]
    expected = {"100": "1.5", "100.5": "3"}, {"102": "7", "103": "1"}
    bids, asks = ({Decimal(price): Decimal(size) for price, size in side.items()} for side in expected)
    assert found.book("BTC-USD") == (bids, asks)
    assert {row.ts_event for row in found.of(Kind.BID)} == {NOW + 7}


def test_a_missed_difference_breaks_its_book_alone() -> None:
    other = {**BEGINNING, "s": "btcgusdperp"}
    found = told(BEGINNING, other, depth((60, 70), [["100.50", "3"]], []))
    (broken,) = found.breaks
    assert (broken.reason, broken.scope, broken.expected, broken.found) == ("chain", "instrument", 50, 60)
    assert found.states("BTC-USD") == [State.SYNCING, State.LIVE, State.GAP]
    assert found.states("BTC-GUSD-PERP") == [State.SYNCING, State.LIVE]


def test_a_beginning_that_nobody_asked_for_is_no_whole_book() -> None:
    found = told(BEGINNING, depth((80, 80), [["90.00", "1"]], [["91.00", "1"]]))
    assert [(one.reason, one.found) for one in found.breaks] == [("chain", 80)]


def test_one_side_may_be_empty() -> None:
    found = told(depth((5, 5), [], [["0.75196", "1325.49900000"]]))
    assert found.book("BTC-USD") == ({}, {Decimal("0.75196"): Decimal("1325.499")})
    assert found.states("BTC-USD") == [State.SYNCING, State.LIVE]


def test_a_book_of_v2_is_never_said_to_be_proved() -> None:
    found = told(
        update(["buy", "100", "1.5"], ["sell", "101", "2"], trades=[], auction_events=[]),
        update(["buy", "100.5", "1"], ["buy", "100", "0"], ["sell", "101", "0.0"], ["sell", "102", "3"]),
    )
    assert (found.dead, found.breaks, found.feed.drift()) == ([], [], [])
    assert found.states("BTC-USD") == [State.SYNCING, State.UNVERIFIED]
    assert found.book("BTC-USD") == ({Decimal("100.5"): Decimal(1)}, {Decimal(102): Decimal(3)})
    assert {row.ts_event for row in found.of(Kind.BID)} == {NOW}


def test_a_snapshot_replaces_what_was_there() -> None:
    found = told(
        update(["buy", "100", "1.5"], ["buy", "90", "7"], ["sell", "101", "2"], auction_events=[]),
        update(["buy", "95", "1"], ["sell", "96", "2"], trades=[]),
    )
    assert found.breaks == []
    assert found.book("BTC-USD") == ({Decimal(95): Decimal(1)}, {Decimal(96): Decimal(2)})


def test_a_crossed_book_is_a_broken_one() -> None:
    found = told(
        update(["buy", "100", "1.5"], ["sell", "101", "2"], trades=[], auction_events=[]), update(["buy", "102", "1"])
    )
    assert [(one.reason, one.scope) for one in found.breaks] == [("crossed", "instrument")]


def test_trades_and_history_of_today_and_before() -> None:
    today = told(update(trades=[trade(5, tid=71), trade(5, tid=72)], auction_events=[]), trade(6, tid=73, side="sell"))
    rows = [(row.id, row.side, bool(row.flags & Flag.HISTORY)) for row in today.of(Kind.TRADE)]
    assert rows == [(71, Side.BUYER, True), (72, Side.BUYER, True), (73, Side.SELLER, False)]
    assert today.of(Kind.TRADE)[0].ts_event == MS * 1_000_000
    before = told(update(trades=[trade(6), trade(5)], auction_events=[]), trade(7, side="auction"))
    rows = [(row.id, row.side, bool(row.flags & Flag.HISTORY)) for row in before.of(Kind.TRADE)]
    assert rows == [(5, Side.BUYER, True), (6, Side.BUYER, True), (7, Side.UNKNOWN, False)]
    assert (today.dead, before.dead, today.feed.drift()) == ([], [], [])


def test_trades_that_are_no_list_are_a_dead_letter() -> None:
    found = told(update(["buy", "100", "1"], trades=5, auction_events=[]))
    assert {reason.partition(",")[0] for reason, _ in found.dead} == {'expected rows at "trades"'}
    assert found.book("BTC-USD") == ({Decimal(100): Decimal(1)}, {})


def test_mark_prices() -> None:
    found = told(
        {
            "type": "mark_price_updates",
            "symbol": "BTCGUSDPERP",
            "changes": [{"timestamp": 1673932381478308169, "mark_price": "21154.098", "spot_index": "21175.27333"}],
        }
    )
    assert [(row.kind, row.price, row.ts_event) for row in found.of(Kind.MARK, Kind.INDEX)] == [
        (Kind.MARK, Decimal("21154.098"), 1673932381478308169),
        (Kind.INDEX, Decimal("21175.27333"), 1673932381478308169),
    ]


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "heartbeat", "timestamp": MS},
        {"type": "auction_open", "symbol": "BTCUSD", "auction_open_ms": MS},
        {"type": "auction_indicative", "symbol": "BTCUSD", "time_ms": MS, "result": "failure"},
        {"type": "auction_result", "symbol": "BTCUSD", "time_ms": MS, "result": "success", "auction_price": "1"},
        {"type": "candles_1m_updates", "symbol": "BTCUSD", "changes": [[MS, 1, 1, 1, 1, 1]]},
        {"type": "funding_amount_updates", "symbol": "BTCGUSDPERP", "changes": []},
        {"e": "markPrice", "E": 1789456746446652397, "s": "btcgusdperp", "p": "77303.727", "i": "7725880.833"},
        {"e": "fundingAmount", "E": 1789459200000000000, "s": "btcgusdperp", "f": "7.90688", "r": "0.01000"},
        {"lastUpdateId": 5, "bids": [], "asks": []},
        {"u": 1764549594389752, "E": 1784870400000000000, "s": "btcusd"},
    ],
)
def test_what_tells_nothing_is_known(frame: dict[str, Any]) -> None:
    found = told(frame)
    assert (found.dead, found.rows, found.cold) == ([], [], [])


def test_trades_and_quotes() -> None:
    frames = [
        {"E": 1783981140085684200, "s": "btcusd", "t": 2840141014190422, "p": "62145.38", "q": "0.0162", "m": True},
        {"u": 9, "E": 1783981140085684201, "s": "btcusd", "b": "62145.0", "B": "1.5", "a": "62146.0", "A": "2"},
    ]
    raw = [("ws", json.dumps(frame).encode(), NOW) for frame in frames]
    found = replay(make(), [known("BTCUSD")], raw, quotes=True)
    (row,) = found.of(Kind.TRADE)
    assert (row.id, row.side, row.price, row.ts_event) == (
        2840141014190422,
        Side.SELLER,
        Decimal("62145.38"),
        1783981140085684200,
    )
    assert [(row.kind, row.price, row.size) for row in found.of(Kind.BID, Kind.ASK)] == [
        (Kind.BID, Decimal("62145.0"), Decimal("1.5")),
        (Kind.ASK, Decimal("62146.0"), Decimal(2)),
    ]
