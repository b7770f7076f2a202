"""What Bitstamp's venue writes and reads beside its declared messages, and single messages through the core."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from tests.captures.replaying import Replay, replay

from tickcast import _native
from tickcast.model.record import Kind, Side, State, records_from
from tickcast.venues.base import VenueConfig
from tickcast.venues.bitstamp.venue import BitstampVenue
from tickcast.venues.declared.venue import Acknowledged, Alive, Channel, Leaving, Listed, Refused, Unknown

US = 1000
T = 1_789_457_617_906_487


def make(**settings: object) -> BitstampVenue:
    return BitstampVenue(msgspec.convert({"venue": "BITSTAMP", **settings}, VenueConfig))


def markets(*entries: dict[str, object]) -> list[Listed]:
    venue = make()
    return list(venue.listed(venue.listing()[0], msgspec.json.encode(entries)))


def btc(**more: object) -> Listed:
    (one,) = markets(
        {"name": "BTC/USD", "market_symbol": "btcusd", "base_currency": "BTC", "counter_currency": "USD", **more}
    )
    return one


def perpetual() -> Listed:
    return btc(name="BTC/USD-PERP", market_symbol="btcusd-perp", market_type="PERPETUAL", contract_size="1.00000000")


def book(at: int, *, bids: Any = (), asks: Any = (), name: str = "order_book") -> dict[str, Any]:
    data = {"timestamp": str(at // 1_000_000), "microtimestamp": str(at), "bids": bids, "asks": asks}
    return {"data": data, "channel": f"{name}_btcusd", "event": "data"}


def heard(venue: BitstampVenue, *frames: dict[str, Any], one: Listed | None = None) -> Replay:
    raw = [("ws", msgspec.json.encode(frame), 1 + place) for place, frame in enumerate(frames)]
    return replay(venue, [one or btc()], raw)


# ------------------------------------------------------------------ lists


def test_todays_list() -> None:
    spot = btc(base_decimals=8, counter_decimals=0, tick_size="1", trading="Enabled", market_type="SPOT")
    assert (spot.native, spot.symbol, spot.also) == ("btcusd", "BTC-USD", ("BTC/USD",))
    assert (spot.tick_size, spot.lot_size, spot.contract_size) == ("1", "0.00000001", None)
    one = perpetual()
    assert (one.native, one.symbol, one.asset_class) == ("btcusd-perp", "BTC-USD-PERP", "perpetual")
    assert (one.contract_size, one.settle_currency, one.underlying) == ("1", "USD", "BTC-USD")
    assert btc(trading="Disabled").state is State.HALTED
    assert btc(counter_decimals=5).tick_size == "0.00001"


def test_a_list_of_former_years() -> None:
    (one,) = markets(
        {"trading": "Enabled", "base_decimals": 8, "url_symbol": "xlmgbp", "name": "XLM/GBP", "counter_decimals": 5,
         "minimum_order": "20.0 GBP", "instant_and_market_orders": "Enabled", "description": "Lumen / Pound"}
    )  # fmt: skip
    assert (one.native, one.symbol, one.currency, one.tick_size) == ("xlmgbp", "XLM-GBP", "GBP", "0.00001")


def test_what_is_no_market() -> None:
    assert markets({"name": "BTC", "market_symbol": "btc"}, {"name": "A/B"}, {"name": "?/?", "url_symbol": "x"}) == []
    for body in (b"{}", b"<html>", b'[{"market_symbol":"btcusd"}]'):
        with pytest.raises(ValueError, match=r"\w"):
            make().listed(make().listing()[0], body)


# ------------------------------------------------------------------ what is sent


def test_one_channel_a_message() -> None:
    venue = make()
    channels = venue.channels(btc())
    assert [one.name for one in channels] == ["live_trades", "order_book"]
    assert [msgspec.json.decode(frame) for frame in venue.subscribe(channels)] == [
        {"event": "bts:subscribe", "data": {"channel": "live_trades_btcusd"}},
        {"event": "bts:subscribe", "data": {"channel": "order_book_btcusd"}},
    ]
    (left,) = venue.unsubscribe(channels[1:])
    assert msgspec.json.decode(left) == {"event": "bts:unsubscribe", "data": {"channel": "order_book_btcusd"}}
    assert [one.name for one in venue.channels(perpetual())] == ["live_trades", "order_book", "funding_rate"]
    assert venue.limits.channels_per_message == 1
    assert not venue.quoted(btc())


@pytest.mark.parametrize(
    ("depth", "name", "snapshot"),
    [(0, "order_book", "every"), (100, "order_book", "every"), (101, "diff_order_book", "rest")],
)
def test_deeper_books_are_told_by_differences(depth: int, name: str, snapshot: str) -> None:
    venue = make(depth=depth, streams=["book"])
    assert venue.channels(btc()) == [Channel(name, "btcusd", book=True)]
    rules = [getattr(emit, "rule", None) for message in venue.dialect.messages for emit in message.emits]
    assert [rule.snapshot for rule in rules if rule is not None] == [snapshot]


def test_requests() -> None:
    venue = make(rest_url="http://127.0.0.1:1/")
    root = "http://127.0.0.1:1/api/v2"
    assert venue.listing()[0].url == f"{root}/markets/"
    request, probe = venue.book_request("btcusd", ""), venue.probe_request()
    assert request is not None
    assert probe is not None
    assert (request.url, probe.url) == (f"{root}/order_book/btcusd/?group=1", f"{root}/ticker/btcusd/")
    assert [one.url for one in venue.polls(btc())] == [f"{root}/ticker/btcusd/"]
    assert venue.polls(btc(trading="Disabled")) == []
    assert make(streams=["open_interest"]).polls(btc()) == []
    assert len(make(streams=["open_interest"]).polls(perpetual())) == 1
    assert venue.target("", []) == "wss://ws.bitstamp.net"


def test_what_a_recorder_subscribed_to() -> None:
    sent = [
        '{"event":"bts:subscribe","data":{"channel":"diff_order_book_sgbeur"}}',
        '{"event":"bts:subscribe","data":{"channel":"live_trades_sgbeur"}}',
        '{"event":"bts:subscribe","data":{"channel":"live_trades_btcusd-perp"}}',
        '{"event":"bts:subscribe","data":{"channel":"order_book_dogexyz"}}',
        '{"event":"bts:heartbeat"}',
        "{",
    ]
    venue = make()
    found = venue.recorded([], sent, ["SGB-EUR", "DOGE-XYZ"])
    assert [(one.native, one.symbol) for one in found] == [
        ("sgbeur", "SGB-EUR"),
        ("btcusd-perp", "BTC-USD-PERP"),
        ("dogexyz", "DOGE-XYZ"),
    ]
    assert [message.name for message in venue.dialect.messages][:2] == ["diff_order_book", "order_book"]


# ------------------------------------------------------------------ answers


@pytest.mark.parametrize(
    ("frame", "happening"),
    [
        (
            b'{"event":"bts:subscription_succeeded","channel":"diff_order_book_btcusd","data":{}}',
            Acknowledged([Channel("diff_order_book", "btcusd", book=True)]),
        ),
        (
            b'{"event":"bts:subscription_succeeded","channel":"live_trades_btcusd-perp","data":{}}',
            Acknowledged([Channel("live_trades", "btcusd-perp")]),
        ),
        (b'{"event":"bts:unsubscription_succeeded","channel":"live_trades_btcusd","data":{}}', Alive()),
        (b'{"event":"bts:heartbeat","channel":"","data":{"status":"success"}}', Alive()),
        (b'{"event":"bts:request_reconnect","channel":"","data":null}', Leaving("the venue asks to reconnect")),
        (b'{"event":"bts:request_reconnect","channel":"","data":""}', Leaving("the venue asks to reconnect")),
        (
            b'{"event":"bts:error","channel":"","data":{"code":null,"message":"Bad subscription string."}}',
            Refused("Bad subscription string."),
        ),
        (b'{"event":"bts:error","channel":"","data":{"code":4009}}', Refused("an error without a text")),
        (b'{"event":"trade","channel":"zzz_btcusd"}', Unknown("event 'trade' of channel 'zzz'")),
    ],
)
def test_answers(frame: bytes, happening: object) -> None:
    assert make().cold(frame, "") == [happening]


@pytest.mark.parametrize("frame", [b"[]", b"\xff", b'{"event":7}', b'{"event":"bts:error","data":[]}'])
def test_what_is_no_message(frame: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        make().cold(frame, "")


# ------------------------------------------------------------------ whole books


def test_every_message_is_the_whole_book() -> None:
    found = heard(
        make(),
        book(T, bids=[["77188", "0.41122"], ["77183", "0.3"]], asks=[["77189", "0.4"]]),
        book(T + 200_000, bids=[["77188", "0.5"]], asks=[["77190", "0.4"]]),
    )
    assert (found.dead, found.breaks, found.feed.drift()) == ([], [], [])
    assert found.book("BTC-USD") == ({Decimal(77188): Decimal("0.5")}, {Decimal(77190): Decimal("0.4")})
    assert found.states("BTC-USD") == [State.SYNCING, State.LIVE]
    assert {row.ts_event for row in found.of(Kind.BID, Kind.ASK)} == {T * US, (T + 200_000) * US}


def test_an_older_book_says_nothing() -> None:
    new = book(T, bids=[["2", "1"]], asks=[["3", "1"]])
    found = heard(make(), new, book(T - 1, bids=[["1", "1"]], asks=[["3", "1"]]), new)
    assert found.book("BTC-USD")[0] == {Decimal(2): 1}
    assert len(found.of(Kind.BID)) == 1


def test_books_whose_times_stay_lower_are_believed_in_the_end() -> None:
    raw = [
        ("ws", msgspec.json.encode(book(at, bids=[[str(price), "1"]])), 1 + second * 1_000_000_000)
        for at, price, second in ((T, 1, 0), (T - 9_000_000, 2, 1), (T - 8_000_000, 3, 3), (T - 6_000_000, 4, 7))
    ]
    assert replay(make(), [btc()], raw).book("BTC-USD")[0] == {Decimal(4): 1}
    assert replay(make(), [btc()], raw[:3]).book("BTC-USD")[0] == {Decimal(1): 1}


def test_a_book_over_rest_stands_in_for_the_first_one() -> None:
    venue = make()
    feed = _native.JsonFeed(msgspec.json.encode(venue.dialect))
    feed.define("", "btcusd", 7, book=True, quotes=False, state=int(State.LIVE))
    feed.open_link(0, "")
    levels = [[str(1000 - number), "1"] for number in range(150)]
    body = msgspec.json.encode(book(T, bids=levels, asks=[["1001", "1"]])["data"])
    feed.rest_book(7, body, 1)
    assert State(feed.state(7)) is State.UNVERIFIED
    assert len(feed.book(7, 1000)[0]) == 100
    feed.decode(0, [msgspec.json.encode(book(T + 1, bids=levels[:3], asks=[["1001", "1"]]))], [2])
    assert State(feed.state(7)) is State.LIVE
    assert len(feed.book(7, 1000)[0]) == 3


# ------------------------------------------------------------------ differences


LATER = 60_000_000_000
"""ns: nothing that has changed is a race with an answer any more."""


class Deep:
    """A book that is told by differences."""

    def __init__(self) -> None:
        self.feed = _native.JsonFeed(msgspec.json.encode(make(depth=500).dialect))
        self.feed.define("", "btcusd", 7, book=True, quotes=False, state=int(State.LIVE))
        self.feed.open_link(0, "")
        self.ts = 0

    def tell(self, at: int, price: str, size: str) -> Any:
        self.ts += 1
        frame = book(at, bids=[[price, size]], name="diff_order_book")
        return self.feed.decode(0, [msgspec.json.encode(frame)], [self.ts])

    def rest(self, at: int, *bids: str) -> Any:
        self.ts += 1
        body = book(at, bids=[[price, "1"] for price in bids], asks=[["900", "1"]])["data"]
        return self.feed.rest_book(7, msgspec.json.encode(body), self.ts)

    @property
    def bids(self) -> dict[str, str]:
        return dict(self.feed.book(7, 100)[0])

    def is_in(self, state: State) -> bool:
        return self.feed.state(7) == state


def test_differences_wait_for_a_book_over_rest() -> None:
    deep = Deep()
    deep.tell(T, "10", "5")
    deep.tell(T + 10, "11", "5")
    deep.tell(T + 20, "12", "5")
    assert deep.rest(T + 10, "1", "2").whole == [7]
    assert deep.bids == {"12": "5", "2": "1", "1": "1"}
    assert deep.is_in(State.UNVERIFIED)
    deep.tell(T + 30, "2", "0.00000000")
    assert deep.bids == {"12": "5", "1": "1"}
    assert deep.feed.last_id(7) == T + 30


def test_a_book_older_than_the_first_difference_is_asked_for_once_more() -> None:
    deep = Deep()
    deep.tell(T, "10", "5")
    assert deep.rest(T - 1, "1").short == [7]
    assert deep.bids == {}
    assert deep.rest(T, "1", "10").whole == [7]
    assert deep.bids == {"10": "1", "1": "1"}


def test_a_book_of_a_quiet_market_needs_no_difference() -> None:
    deep = Deep()
    assert deep.rest(T, "1").whole == [7]
    deep.tell(T - 5, "9", "1")
    assert deep.bids == {"1": "1"}


def test_a_difference_that_falls_back_is_a_break() -> None:
    deep = Deep()
    deep.rest(T, "1")
    deep.tell(T + 10, "2", "1")
    assert deep.tell(T + 10, "2", "1").breaks == []
    (broken,) = deep.tell(T + 5, "3", "1").breaks
    assert (broken.reason, broken.scope) == ("chain", "instrument")
    assert deep.is_in(State.GAP)
    assert deep.rest(T + 20, "1").whole == [7]
    assert deep.is_in(State.UNVERIFIED)


def test_nothing_joins_a_book_behind_a_lost_link() -> None:
    deep = Deep()
    deep.rest(T, "1")
    deep.tell(T + 10, "2", "1")
    deep.feed.suspend([7], int(State.STALE), 50)
    deep.feed.open_link(0, "")
    assert len(deep.tell(T + 20, "3", "1").breaks) == 1
    assert deep.is_in(State.GAP)


def test_a_book_of_the_same_microtimestamp_is_compared_strictly() -> None:
    deep = Deep()
    deep.rest(T, "1")
    deep.tell(T + 10, "2", "1")
    same = book(T + 10, bids=[["1", "1"]], asks=[["900", "1"]])["data"]
    assert "bid 2" in deep.feed.compare(7, msgspec.json.encode(same), 10, LATER)
    newer = book(T + 11, bids=[["1", "1"]], asks=[["900", "1"]])["data"]
    assert deep.feed.compare(7, msgspec.json.encode(newer), 10, LATER) == ""


# ------------------------------------------------------------------ trades and figures


def test_trades_have_the_digits_of_their_texts() -> None:
    frame = {
        "channel": "live_trades_btcusd",
        "event": "trade",
        "data": {
            "amount": 1e-08, "amount_str": "1E-8", "buy_order_id": 1341285759094784, "id": 2001939623936278528,
            "id_str": "2001939623936278528", "microtimestamp": "1616297318187000", "price": 57748.8,
            "price_str": "57748.80", "sell_order_id": 1341285698236416, "timestamp": "1616297318187", "type": 1,
        },
    }  # fmt: skip
    found = heard(make(), frame)
    (row,) = found.of(Kind.TRADE)
    assert (row.id, row.price, row.size, row.side) == (
        2001939623936278528,
        Decimal("57748.80"),
        Decimal("0.00000001"),
        Side.SELLER,
    )
    assert row.ts_event == 1616297318187000 * US
    assert found.feed.drift() == []


def test_funding_mark_and_index_of_a_perpetual() -> None:
    data = {
        "market": "btcusd-perp", "mark_price": "77186.81199586", "index_price": "77177.99454545454",
        "funding_rate": "0.000123", "timestamp": "1789457618", "next_funding_time": "1789459200",
    }  # fmt: skip
    frame = {"data": data, "channel": "funding_rate_btcusd-perp", "event": "funding_rate_saved"}
    found = heard(make(), frame, one=perpetual())
    assert {row.kind: row.price for row in found.rows if row.kind >= Kind.MARK} == {
        Kind.MARK: Decimal("77186.81199586"),
        Kind.INDEX: Decimal("77177.99454545454"),
        Kind.FUNDING: Decimal("0.000123"),
        Kind.FUNDING_TIME: Decimal(1789459200),
    }
    assert found.feed.drift() == []


def test_a_ticker_over_rest_has_another_name() -> None:
    ticker = {
        "timestamp": "1789457618", "open": "1", "high": "77500", "low": "76000", "last": "77188", "volume": "512.25",
        "vwap": "76900", "bid": "77188", "ask": "77189", "side": "0", "open_24": "76500", "percent_change_24": "0.9",
        "market_type": "PERPETUAL", "market": "BTC/USD-PERP", "open_interest": "12.5",
    }  # fmt: skip
    one = perpetual()
    feed = _native.JsonFeed(msgspec.json.encode(make().dialect))
    for name in (one.native, *one.also):
        feed.define("", name, 7, book=True, quotes=False, state=int(State.LIVE))
    feed.open_link(0, "")
    decoded = feed.decode(0, [msgspec.json.encode(ticker)], [5])
    kinds = [record["kind"] for record in _rows(decoded.records)]
    assert sorted(kinds) == [Kind.OPEN_INTEREST, Kind.OPEN_24H, Kind.HIGH_24H, Kind.LOW_24H, Kind.VOLUME_24H]
    assert decoded.dead == []


def _rows(data: bytes) -> list[Any]:
    return [one for one in records_from(data) if one["kind"] >= Kind.MARK]


@pytest.mark.parametrize("name", ["detail_order_book", "live_orders", "diff_order_book"])
def test_what_is_known_and_not_read(name: str) -> None:
    found = heard(make(), {"data": {"bids": []}, "channel": f"{name}_btcusd", "event": "data"})
    assert (found.rows, found.dead, found.cold) == ([], [], [])
