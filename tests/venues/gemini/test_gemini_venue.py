"""What Gemini's venue writes and reads beside its declared messages, and how its messages are read."""

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from tests.captures.replaying import Replay, replay

from tickcast.model.record import Flag, Kind, Side, State
from tickcast.venues.base import Request, VenueConfig
from tickcast.venues.declared.venue import Alive, Channel, Listed, Refused, Unknown
from tickcast.venues.gemini.names import named
from tickcast.venues.gemini.venue import GeminiVenue

NOW = 1_790_000_000_000_000_000
MS = 1_790_000_000_123


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
    assert (found.native, found.symbol) == (native.upper(), symbol)
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


def test_books_are_compared_over_rest() -> None:
    request = make(rest_url="http://here", depth_limit=7).book_request("BTCUSD", "")
    assert request is not None
    assert request.url == "http://here/v1/book/btcusd?limit_bids=7&limit_asks=7"


# ------------------------------------------------------------------ channels


def test_channels() -> None:
    assert make().channels(known("BTCUSD")) == [Channel("l2", "BTCUSD", book=True)]
    assert make().channels(known("BTCGUSDPERP"))[1:] == [Channel("mark_price", "BTCGUSDPERP")]
    assert make(streams=["trade"]).channels(known("BTCGUSDPERP")) == [Channel("l2", "BTCGUSDPERP", book=True)]
    assert make(streams=["mark"]).channels(known("BTCUSD")) == []
    assert make().quoted(known("BTCUSD")) is False


def test_one_message_for_each_feed() -> None:
    channels = [Channel("l2", "BTCUSD"), Channel("mark_price", "BTCGUSDPERP"), Channel("l2", "ETHUSD")]
    for word, frames in (("subscribe", make().subscribe(channels)), ("unsubscribe", make().unsubscribe(channels))):
        assert [msgspec.json.decode(frame) for frame in frames] == [
            {"type": word, "subscriptions": [{"name": "l2", "symbols": ["BTCUSD", "ETHUSD"]}]},
            {"type": word, "subscriptions": [{"name": "mark_price", "symbols": ["BTC-GUSD-PERP"]}]},
        ]


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (
            b'{"result":"error","reason":"InvalidSymbol","message":"no such thing as BTCFOO here"}',
            Refused("InvalidSymbol: no such thing as BTCFOO here", Channel("l2", "BTCFOO", book=True)),
        ),
        (b'{"result":"error","reason":"InvalidJson","message":"what?"}', Refused("InvalidJson: what?")),
        (b'{"id":1,"status":200}', Alive()),
        (b'{"type":"zzz"}', Unknown("message of type 'zzz'")),
    ],
)
def test_cold_messages(frame: bytes, expected: object) -> None:
    assert make().cold(frame, "") == [expected]


def test_recorded_subscriptions_name_their_instruments() -> None:
    sent = [
        '{"type":"subscribe","subscriptions":[{"name":"l2","symbols":["BTCUSD","ETHUSDCPERP"]}]}',
        '{"type":"subscribe","subscriptions":[{"name":"mark_price","symbols":["BTC-GUSD-PERP"]}]}',
        '{"type":"unsubscribe","subscriptions":[{"name":"l2","symbols":["SOLUSD"]}]}',
        "no JSON",
    ]
    assert [one.symbol for one in make().recorded((), sent, ())] == ["BTC-USD", "ETH-USDC-PERP", "BTC-GUSD-PERP"]
    assert [one.native for one in make().recorded((), (), ["BTC-USD", "BTC-GUSD-PERP"])] == ["BTCUSD", "BTCGUSDPERP"]


# ------------------------------------------------------------------ messages


def test_a_book_is_never_said_to_be_proved() -> None:
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
        {"e": "depthUpdate", "E": 1783981139947514400, "s": "btcusd", "U": 5, "u": 9, "b": [["1", "1"]], "a": []},
        {"lastUpdateId": 5, "bids": [], "asks": []},
        {"u": 1764549594389752, "E": 1784870400000000000, "s": "btcusd"},
    ],
)
def test_what_tells_nothing_is_known(frame: dict[str, Any]) -> None:
    found = told(frame)
    assert (found.dead, found.rows, found.cold) == ([], [], [])


def test_trades_and_quotes_of_the_newer_feed() -> None:
    frames = [
        {"E": 1783981140085684200, "s": "btcusd", "t": 2840141014190422, "p": "62145.38", "q": "0.0162", "m": True},
        {"u": 9, "E": 1783981140085684201, "s": "btcusd", "b": "62145.0", "B": "1.5", "a": "62146.0", "A": "2"},
    ]
    small = Listed(native="btcusd", symbol="BTC-USD", asset_class="crypto", currency="USD")
    raw = [("ws", json.dumps(frame).encode(), NOW) for frame in frames]
    found = replay(make(), [small], raw, quotes=True)
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
