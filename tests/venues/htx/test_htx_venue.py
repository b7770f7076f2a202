"""HTX: names, lists, subscriptions, cold messages, and what its packed frames become."""

import gzip
import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from tickcast import _native
from tickcast.model.record import Flag, Kind, Side, State, records_from
from tickcast.venues.base import Request, VenueConfig
from tickcast.venues.declared.venue import (
    Acknowledged,
    Alive,
    Channel,
    Leaving,
    Listed,
    Refused,
    Reply,
    Status,
    Unknown,
)
from tickcast.venues.htx.names import from_symbol, market_of, named
from tickcast.venues.htx.venue import HtxVenue

PAIR = "btcusdt"
SWAP = "BTC-USDT"
NAMES = {
    "btcusdt": ("BTC-USDT", "spot"),
    "htxusdd": ("HTX-USDD", "spot"),
    "BTC-USDT": ("BTC-USDT-PERP", "linear"),
    "BTC-USDT-210326": ("BTC-USDT-20210326", "linear"),
    "BTC-USDT-CW": ("BTC-USDT-CW", "linear"),
    "BTC-USDT-210326-C-32000": ("BTC-USDT-20210326-32000-C", "linear"),
    "BTC-USD": ("BTC-USD-PERP", "inverse"),
    "BTC_CQ": ("BTC-USD-CQ", "inverse"),
    "BSV200626": ("BSV-USD-20200626", "inverse"),
}
DEEP = "0.12345678901234567890123456789012345678"
"""A size of 38 digits, as HTX computes amounts of coins."""


def venue(**settings: Any) -> HtxVenue:
    return HtxVenue(VenueConfig(venue="HTX", **settings))


def request(path: str) -> Request:
    return Request(purpose="instruments", url=f"https://api.huobi.pro{path}")


def said(frame: dict[str, Any]) -> Any:
    (one,) = venue().cold(json.dumps(frame).encode(), "")
    return one


def sent(frames: Any) -> list[dict[str, Any]]:
    return [json.loads(frame) for frame in frames]


# ------------------------------------------------------------------ names and lists


@pytest.mark.parametrize(("native", "expected"), NAMES.items())
def test_names_of_the_venue_are_house_symbols(native: str, expected: tuple[str, str]) -> None:
    found = named(native)
    assert found is not None
    assert (found.native, found.symbol, market_of(found)) == (native, *expected)


@pytest.mark.parametrize("native", ["", "usdt", "BTCUSDT", "btc-usdt", "x", "BTC-", "BTC-USDT-2103", "BTC_XX"])
def test_other_names_are_none_of_ours(native: str) -> None:
    assert named(native) is None


@pytest.mark.parametrize("symbol", ["BTC-USDT", "BTC-USDT-PERP", "BTC-USD-PERP"])
def test_house_symbols_are_read_back(symbol: str) -> None:
    found = from_symbol(symbol)
    assert found is not None
    assert found.symbol == symbol
    assert from_symbol("BTC-USDT-20210326") is None


def test_pairs_of_the_list() -> None:
    entry = {
        "base-currency": "btc", "quote-currency": "usdt", "price-precision": 2, "amount-precision": 6,
        "symbol": "btcusdt", "state": "online",
    }  # fmt: skip
    halted = entry | {"symbol": "xbtc", "base-currency": "x", "quote-currency": "btc", "state": "suspend"}
    gone = halted | {"state": "offline"}
    body = json.dumps({"status": "ok", "data": [entry, halted, gone]}).encode()
    first, *others = venue().listed(request("/v1/common/symbols"), body)
    assert first == Listed(
        native="btcusdt", symbol="BTC-USDT", asset_class="crypto", currency="USDT", tick_size="0.01",
        lot_size="0.000001",
    )  # fmt: skip
    assert [one.state for one in others] == [State.HALTED, State.CLOSED]


def test_contracts_of_a_list_tell_by_their_name_what_they_are() -> None:
    linear = (
        '{"symbol":"BTC","contract_code":"BTC-USDT","contract_size":0.001000000000000000,"price_tick":'
        '0.100000000000000000,"delivery_time":"","contract_status":1,"trade_partition":"USDT"}'
    )
    dated = linear.replace('"BTC-USDT"', '"BTC-USDT-210625"').replace('""', '"1624608000000"')
    inverse = (
        '{"symbol":"SHIB","contract_code":"SHIB-USD","contract_size":10.000000000000000000,"price_tick":'
        '1.0000000000E-8,"delivery_time":"","contract_status":3}'
    )
    odd = '{"contract_code":"no contract"}'
    body = f'{{"status":"ok","data":[{linear},{dated},{inverse},{odd}]}}'.encode()
    swap, future, coin = venue().listed(request("/swap-api/v1/swap_contract_info"), body)
    assert (swap.symbol, swap.contract_size, swap.tick_size, swap.lot_size) == ("BTC-USDT-PERP", "0.001", "0.1", "1")
    assert (swap.settle_currency, swap.asset_class, swap.expiry) == ("USDT", "perpetual", None)
    assert (future.symbol, future.asset_class, future.expiry) == (
        "BTC-USDT-20210625", "future", "2021-06-25T08:00:00Z",
    )  # fmt: skip
    assert (coin.symbol, coin.currency, coin.settle_currency, coin.tick_size, coin.state) == (
        "SHIB-USD-PERP", "USD", "SHIB", "0.00000001", State.HALTED,
    )  # fmt: skip


def test_no_list_is_no_list() -> None:
    with pytest.raises(ValueError, match="status error: busy"):
        venue().listed(request("/v1/common/symbols"), b'{"status":"error","err-msg":"busy"}')
    with pytest.raises(ValueError, match=r"malformed|truncated|invalid"):
        venue().listed(request("/swap-api/v1/swap_contract_info"), b"<html>")


def test_markets_of_the_config_are_listed_from_their_hosts() -> None:
    assert [one.url.partition("?")[0] for one in venue().listing()] == [
        "https://api.huobi.pro/v1/common/symbols",
        "https://api.hbdm.com/linear-swap-api/v1/swap_contract_info",
        "https://api.hbdm.com/swap-api/v1/swap_contract_info",
    ]
    (only,) = venue(markets=("inverse",), rest_url="http://127.0.0.1:1/").listing()
    assert only.url == "http://127.0.0.1:1/swap-api/v1/swap_contract_info"


# ------------------------------------------------------------------ subscriptions


def test_each_channel_is_at_its_address() -> None:
    one = venue()
    found: dict[str, list[str]] = {}
    for native in ("btcusdt", "BTC-USDT", "BTC-USD"):
        listed = named(native)
        assert listed is not None
        for channel in one.channels(listed):
            found.setdefault(one.target(channel.endpoint, [channel]), []).append(channel.name)
    common = ["trade.detail", "bbo", "detail"]
    notices = ["funding_rate", "liquidation_orders", "contract_info"]
    assert found == {
        "wss://api.huobi.pro/ws": common,
        "wss://api.huobi.pro/feed": ["mbp.150"],
        "wss://api.hbdm.com/linear-swap-ws": [*common, "depth.size_150.high_freq"],
        "wss://api.hbdm.com/swap-ws": [*common, "depth.size_150.high_freq"],
        "wss://api.hbdm.com/ws_index": ["mark_price.1min", "index.1min"] * 2,
        "wss://api.hbdm.com/linear-swap-notification": notices,
        "wss://api.hbdm.com/swap-notification": notices,
    }
    assert venue(url="ws://127.0.0.1:1").target("inverse", ()) == "ws://127.0.0.1:1/swap-ws"


def test_frames_of_subscriptions_name_themselves() -> None:
    one = venue()
    book = Channel("depth.size_150.high_freq", SWAP, book=True)
    chosen = [Channel("bbo", PAIR), book, Channel("funding_rate", SWAP)]
    assert sent(one.subscribe(chosen)) == [
        {"sub": "market.btcusdt.bbo", "id": "market.btcusdt.bbo"},
        {
            "sub": "market.BTC-USDT.depth.size_150.high_freq",
            "id": "market.BTC-USDT.depth.size_150.high_freq",
            "data_type": "incremental",
        },
        {"op": "sub", "cid": "public.BTC-USDT.funding_rate", "topic": "public.BTC-USDT.funding_rate"},
    ]
    assert sent(one.unsubscribe(chosen[2:])) == [
        {"op": "unsub", "cid": "public.BTC-USDT.funding_rate", "topic": "public.BTC-USDT.funding_rate"}
    ]


def test_spot_books_are_asked_for_and_those_of_swaps_subscribed_anew() -> None:
    asked = venue().ask_book(Channel("mbp.150", PAIR, book=True))
    assert asked is not None
    assert json.loads(asked) == {"req": "market.btcusdt.mbp.150", "id": "req market.btcusdt.mbp.150"}
    assert venue().ask_book(Channel("depth.size_150.high_freq", SWAP, book=True)) is None


def test_open_interest_of_contracts_is_polled() -> None:
    one = venue()
    urls = [request.url for native in (PAIR, SWAP, "BTC-USD") for request in one.polls(named(native))]  # type: ignore[arg-type]
    assert urls == [
        "https://api.hbdm.com/linear-swap-api/v1/swap_open_interest?contract_code=BTC-USDT",
        "https://api.hbdm.com/swap-api/v1/swap_open_interest?contract_code=BTC-USD",
    ]
    assert venue(streams=("trade",)).polls(named(SWAP)) == ()  # type: ignore[arg-type]


def test_what_a_recorder_subscribed_to() -> None:
    frames = [
        '{"sub":"market.btcusdt.depth.step0","id":1}',
        '{"op":"sub","cid":"1","topic":"public.BTC-USD.funding_rate"}',
        '{"pong":1618678073643}',
    ]
    assert [one.symbol for one in venue().recorded([], frames, [])] == ["BTC-USDT", "BTC-USD-PERP"]
    assert [one.native for one in venue().recorded([], [], ["ETH-BTC", "ATOM-USD-PERP"])] == ["ethbtc", "ATOM-USD"]


# ------------------------------------------------------------------ cold messages


def test_pings_come_back_with_their_number() -> None:
    assert said({"ping": 1492420473027}) == Reply(b'{"pong":1492420473027}')
    assert said({"op": "ping", "ts": "1492420473058"}) == Reply(b'{"op":"pong","ts":"1492420473058"}')


def test_answers_name_their_channel() -> None:
    done = {"id": "x", "status": "ok", "subbed": "market.btcusdt.mbp.150", "ts": 1}
    assert said(done) == Acknowledged([Channel("mbp.150", "btcusdt", book=True)])
    notice = {"op": "sub", "cid": "1", "topic": "public.BTC-USDT.funding_rate", "ts": 1, "err-code": 0}
    assert said(notice) == Acknowledged([Channel("funding_rate", "BTC-USDT")])
    assert said({"id": None, "status": "ok", "unsubbed": "market.btcusdt.bbo", "ts": 1}) == Alive()
    assert said({"op": "unsub", "cid": "1", "topic": "public.BTC-USDT.funding_rate", "err-code": 0}) == Alive()
    assert said({"pong": 5}) == Alive()


def test_refusals_name_what_we_sent() -> None:
    error = {"status": "error", "ts": 1, "err-code": "bad-request", "err-msg": "invalid symbol"}
    assert said({**error, "id": "market.zzz.bbo"}) == Refused(
        "error bad-request: invalid symbol", Channel("bbo", "zzz")
    )
    assert said(error) == Refused("error bad-request: invalid symbol")
    book = Channel("mbp.150", "btcusdt", book=True)
    asked = said({**error, "id": "req market.btcusdt.mbp.150"})
    assert (asked.channel, asked.too_soon) == (book, False)
    assert "invalid symbol" in asked.reason
    soon = said({**error, "id": "req market.btcusdt.mbp.150", "err-msg": "429 too many request"})
    assert (soon.channel, soon.too_soon) == (book, True)
    wrong = {"op": "sub", "cid": "c", "topic": "public.X-USDT.funding_rate", "err-code": 2011, "err-msg": "no"}
    assert said(wrong) == Refused("error 2011: no", Channel("funding_rate", "X-USDT"))
    assert said({"op": "error", "err-code": 2040, "err-msg": "Missing"}) == Refused("error 2040: Missing")


def test_notices() -> None:
    rows = [{"contract_code": "BTC-USD", "contract_status": 3}, {"contract_code": "ETH-USD", "contract_status": 1}]
    told = venue().cold(
        json.dumps({"op": "notify", "topic": "public.*.contract_info", "event": "update", "data": rows}).encode(), ""
    )
    assert [(one.native, one.state) for one in told if isinstance(one, Status)] == [
        ("BTC-USD", State.HALTED), ("ETH-USD", State.LIVE),
    ]  # fmt: skip
    assert isinstance(said({"op": "close", "ts": 1}), Leaving)
    assert isinstance(said({"op": "notify", "topic": "public.BTC-USD.zzz", "data": []}), Unknown)
    found = said({"ch": "market.btcusdt.zzz", "tick": {}})
    assert isinstance(found, Unknown)
    assert found.kind == "zzz"


@pytest.mark.parametrize("frame", [b"", b"[]", b"null", b'{"ping":"x"}', b'{"op":5}', b"\xff"])
def test_what_is_no_message_is_refused(frame: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        venue().cold(frame, "")


# ------------------------------------------------------------------ hot messages, packed


class Core:
    """A core that knows a pair and a swap."""

    def __init__(self, *natives: str) -> None:
        self.feed = _native.JsonFeed(msgspec.json.encode(HtxVenue.dialect), depth=0)
        self.ids = {}
        for native in natives or (PAIR, SWAP):
            listed = named(native)
            assert listed is not None
            self.ids[native] = _native.instrument_id(f"HTX:{listed.symbol}")
            self.feed.define("", native, self.ids[native], book=True, quotes=True, state=int(State.LIVE))
        self.feed.open_link(0, "")

    def take(self, *frames: Any) -> _native.JsonDecoded:
        raw = [frame if isinstance(frame, bytes) else gzip.compress(json.dumps(frame).encode()) for frame in frames]
        return self.feed.decode(0, raw, [1_700_000_000_000_000_000] * len(raw))

    def rows(self, *frames: Any) -> Any:
        found = self.take(*frames)
        assert not found.dead, found.dead
        return records_from(found.records)

    def state(self, native: str) -> State:
        return State(self.feed.state(self.ids[native]))


def mbp(previous: int, last: int, *bids: tuple[float, float]) -> dict[str, Any]:
    tick = {"seqNum": last, "prevSeqNum": previous, "bids": [list(one) for one in bids], "asks": []}
    return {"ch": "market.btcusdt.mbp.150", "ts": 1_700_000_000_000, "tick": tick}


def requested(last: int) -> dict[str, Any]:
    data = {"seqNum": last, "bids": [[100.5, 1]], "asks": [[101, 2.5]]}
    return {"id": "req", "rep": "market.btcusdt.mbp.150", "status": "ok", "ts": 1_700_000_000_000, "data": data}


def test_a_requested_book_joins_the_differences_that_waited() -> None:
    core = Core()
    assert core.take(mbp(4, 5, (100.0, 7)), mbp(5, 8, (100.25, 3))).breaks == []
    assert core.state(PAIR) == State.SYNCING
    core.rows(requested(5))
    assert core.state(PAIR) == State.LIVE
    assert core.feed.book(core.ids[PAIR], 0) == ([("100.5", "1"), ("100.25", "3")], [("101", "2.5")])
    assert core.feed.last_id(core.ids[PAIR]) == 8
    core.rows(mbp(8, 9, (100.5, 0)), mbp(9, 9))
    assert core.feed.book(core.ids[PAIR], 0)[0] == [("100.25", "3")]


def test_a_requested_book_that_is_too_old_is_asked_for_again() -> None:
    core = Core()
    core.take(mbp(8, 9, (100.0, 7)))
    found = core.take(requested(5))
    assert found.short == [core.ids[PAIR]]
    assert core.state(PAIR) == State.SYNCING
    core.take(requested(9))
    assert core.state(PAIR) == State.LIVE


def test_a_hole_in_the_numbers_of_a_spot_book_breaks_it() -> None:
    core = Core()
    core.take(requested(5), mbp(5, 6))
    (broken,) = core.take(mbp(7, 8, (100.0, 7))).breaks
    assert (broken.reason, broken.scope, broken.instrument) == ("chain", "instrument", core.ids[PAIR])
    assert core.state(PAIR) == State.GAP
    core.take(mbp(8, 9), requested(8))
    assert core.state(PAIR) == State.LIVE


def test_a_swap_counts_the_versions_of_its_book() -> None:
    core = Core()

    def depth(event: str, version: int, **sides: Any) -> dict[str, Any]:
        ch = "market.BTC-USDT.depth.size_150.high_freq"
        tick = {"ch": ch, "event": event, "id": 5, "mrid": 5, "ts": 1_700_000_000_000, "version": version, **sides}
        return {"ch": ch, "tick": tick, "ts": 1_700_000_000_000}

    core.rows(depth("snapshot", 7, bids=[[100, 5]], asks=[[101, 3]]), depth("update", 8, bids=[[100, 0], [99.5, 4]]))
    assert core.feed.book(core.ids[SWAP], 0) == ([("99.5", "4")], [("101", "3")])
    assert core.state(SWAP) == State.LIVE
    (broken,) = core.take(depth("update", 10, asks=[])).breaks
    assert (broken.expected, broken.found) == (9, 10)


def test_sizes_beyond_64_bits_are_rounded_and_said_to_be() -> None:
    core = Core()
    row = f'{{"id":123140716701236887569077664,"ts":1616243199156,"amount":{DEEP},"price":58911.07,"direction":"sell"}}'
    frame = f'{{"ch":"market.btcusdt.trade.detail","ts":1616243199157,"tick":{{"id":1,"ts":1,"data":[{row}]}}}}'
    found = core.take(gzip.compress(frame.encode()))
    (trade,) = records_from(found.records)[-1:]
    assert trade["kind"] == Kind.TRADE
    assert trade["flags"] & Flag.INEXACT_SIZE
    told = Decimal(int(trade["size"])).scaleb(-int(trade["size_scale"]))
    assert abs(told - Decimal(DEEP)) < Decimal("1e-17")
    assert trade["side"] == Side.SELLER
    # the id does not fit either: its hash stands for it, and its text goes with it
    assert list(found.texts.values()) == ["123140716701236887569077664"]
    again = core.take(gzip.compress(frame.encode()))
    assert records_from(again.records)[-1]["id"] == trade["id"]
    other = core.take(gzip.compress(frame.replace("7664", "7665", 1).encode()))
    assert records_from(other.records)[-1]["id"] != trade["id"]
    dedup = _native.Dedup(64)
    told_once = [len(dedup.filter(one.records[-64:])) // 64 for one in (found, again, other)]
    assert told_once == [1, 0, 1]


def test_trades_of_spot_come_newest_first_and_count_by_their_trade_id() -> None:
    rows = [
        {"id": 10**23 + n, "ts": 1_618_678_078_119, "tradeId": n, "amount": 1.98e-4, "price": 5.0, "direction": "buy"}
        for n in (7, 6, 5)
    ]
    told = Core().rows({"ch": "market.btcusdt.trade.detail", "ts": 1, "tick": {"id": 1, "ts": 1, "data": rows}})
    trades = told[told["kind"] == Kind.TRADE]
    assert trades["id"].tolist() == [5, 6, 7]
    assert (int(trades[0]["size"]), int(trades[0]["size_scale"])) == (198, 6)


def test_best_bid_and_offer_of_both_shapes() -> None:
    tick = {"seqId": 7, "ask": 52665.02, "askSize": 1.5, "bid": 52665.01, "bidSize": 0.5, "symbol": PAIR,
            "quoteTime": 1_630_994_555_539}  # fmt: skip
    contract = {"mrid": 9, "id": 1, "bid": [31781.79, 609], "ask": None, "ts": 1_654_031_781_978, "version": 9,
                "ch": "market.BTC-USDT.bbo"}  # fmt: skip
    told = Core().rows({"ch": "market.btcusdt.bbo", "ts": 1, "tick": tick},
                       {"ch": "market.BTC-USDT.bbo", "ts": 1, "tick": contract})  # fmt: skip
    quotes = told[(told["kind"] == Kind.BID) | (told["kind"] == Kind.ASK)]
    assert [(int(one["kind"]), int(one["price"]), int(one["seq"])) for one in quotes][:3] == [
        (Kind.BID, 5266501, 7), (Kind.ASK, 5266502, 7), (Kind.BID, 3178179, 9),
    ]  # fmt: skip


def test_funding_and_what_is_polled() -> None:
    row = {"symbol": "BTC", "contract_code": SWAP, "fee_asset": "USDT", "funding_time": "1617309780000",
           "funding_rate": "0.000754108135233895", "estimated_rate": "0.000429934303518805",
           "settlement_time": "1617321600000"}  # fmt: skip
    interest = {"volume": 119125, "amount": 945962.042404510442309219, "symbol": "BTC", "contract_code": SWAP,
                "trade_amount": 1.5, "trade_volume": 1295420, "trade_turnover": 12954200}  # fmt: skip
    told = Core().rows(
        {"op": "notify", "topic": f"public.{SWAP}.funding_rate", "ts": 1617309787271, "data": [row]},
        {"status": "ok", "data": [interest], "ts": 1654346524275},
    )
    values = {Kind(int(one["kind"])): int(one["price"]) for one in told if one["kind"] >= Kind.MARK}
    assert values == {
        Kind.FUNDING: 754108135233895, Kind.FUNDING_TIME: 1617321600 * 10**9, Kind.FUNDING_NEXT: 429934303518805,
        Kind.OPEN_INTEREST: 119125,
    }  # fmt: skip


def test_liquidations() -> None:
    row = {"contract_code": SWAP, "symbol": "BTC", "direction": "sell", "offset": "close", "volume": 173,
           "price": 17102.9, "created_at": 1606381842485, "amount": 1.01, "trade_turnover": 17300.5}  # fmt: skip
    told = Core().rows({"op": "notify", "topic": f"public.{SWAP}.liquidation_orders", "ts": 1, "data": [row]})
    (one,) = told[told["kind"] == Kind.LIQUIDATION]
    assert (int(one["size"]), int(one["side"]), int(one["ts_event"])) == (173, Side.SELLER, 1606381842485 * 10**6)


# ------------------------------------------------------------------ damage


def test_cold_frames_are_handed_over_unpacked() -> None:
    core = Core()
    ping = b'{"ping":1618678073643}'
    found = core.take(gzip.compress(ping), ping)
    assert [place for place, _ in found.cold] == [0, 1]
    assert found.unpacked == {0: ping}


def test_damaged_frames_are_dead_letters_and_nothing_else() -> None:
    core = Core()
    good = gzip.compress(json.dumps(mbp(4, 5)).encode())
    spoilt = bytearray(good)
    spoilt[20] ^= 0x10
    bomb = gzip.compress(b"0" * (33 << 20))
    found = core.take(good[:-9], bytes(spoilt), good + b"more", bomb, good[:3], gzip.compress(b"\xff\xfe"), good)
    assert [place for place, _ in found.dead] == [0, 1, 2, 3, 4, 5]
    reasons = [reason for _, reason in found.dead]
    assert all("gzip frame" in reason for reason in reasons[:5]), reasons
    assert "at most 33554432 bytes" in reasons[3]
    assert reasons[5].startswith("expected JSON")
    assert core.state(PAIR) == State.SYNCING


def test_frames_that_are_not_packed_are_read_too() -> None:
    core = Core()
    core.take(json.dumps(mbp(4, 5)).encode(), requested(5))
    assert core.state(PAIR) == State.LIVE


@pytest.mark.parametrize("bound", [10, 1 << 20])
def test_one_frame_unpacked(bound: int) -> None:
    text = b"x" * 1000
    packed = gzip.compress(text)
    if bound < len(text):
        with pytest.raises(ValueError, match="at most 10 bytes"):
            _native.unpack_frame(packed, bound)
    else:
        assert _native.unpack_frame(packed, bound) == text
    assert _native.unpack_frame(text, bound) == text
