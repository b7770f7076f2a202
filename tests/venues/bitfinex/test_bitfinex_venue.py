"""What Bitfinex's venue writes and reads beside its declared messages, and how its arrays are read."""

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from tests.captures.replaying import Replay, replay

from tickcast.model.record import Flag, Kind, Side, State
from tickcast.venues.base import Answer, VenueConfig
from tickcast.venues.bitfinex.dialect import FLAGS, SEQ_ALL, TIMESTAMP, dialect
from tickcast.venues.bitfinex.names import listed_from
from tickcast.venues.bitfinex.venue import LIQUIDATIONS, BitfinexVenue
from tickcast.venues.declared.session import DeclaredSession
from tickcast.venues.declared.venue import (
    Acknowledged,
    Alive,
    Channel,
    Leaving,
    Listed,
    Refused,
    Repeated,
    Status,
    Unknown,
)

NOW = 1_790_000_000_000_000_000
MS = 1_790_000_000_123


def make(**settings: object) -> BitfinexVenue:
    return BitfinexVenue(msgspec.convert({"venue": "BITFINEX", **settings}, VenueConfig))


def known(native: str) -> Listed:
    found = listed_from(native)
    assert found is not None
    return found


def event(**fields: object) -> bytes:
    return msgspec.json.encode(fields)


def subscribed(number: int, channel: str, symbol: str, **more: object) -> bytes:
    return event(event="subscribed", channel=channel, chanId=number, symbol=symbol, **more)


BTC = known("BTCUSD")
PERPETUAL = known("BTCF0:USTF0")


def told(*frames: object, flags: int = FLAGS) -> Replay:
    """Frames of one connection, read."""
    venue = make()
    venue.learn(event(event="conf", status="OK", flags=flags))
    raw = [frame if isinstance(frame, bytes) else json.dumps(frame).encode() for frame in frames]
    return replay(venue, [BTC, PERPETUAL], [("ws", frame, NOW) for frame in raw])


# ------------------------------------------------------------------ names and lists


@pytest.mark.parametrize(
    ("native", "symbol", "currency"),
    [
        ("BTCUSD", "BTC-USD", "USD"),
        ("BTCUST", "BTC-USDT", "USDT"),
        ("DUSK:USD", "DUSK-USD", "USD"),
        ("ETH2X:ETH", "ETH2-ETH", "ETH"),
        ("DSHBTC", "DASH-BTC", "BTC"),
        ("BTCF0:USTF0", "BTC-USDT-PERP", "USDT"),
        ("ETHF0:BTCF0", "ETH-BTC-PERP", "BTC"),
        ("TESTBTC:TESTUSD", "TESTBTC-TESTUSD", "TESTUSD"),
        ("1INCH:USD", "1INCH-USD", "USD"),
    ],
)
def test_names(native: str, symbol: str, currency: str) -> None:
    found = known(native)
    assert (found.native, found.symbol, found.currency) == (native, symbol, currency)


@pytest.mark.parametrize("native", ["", "BTC", "USD", "BTC:", ":USD", "f USD:USD"])
def test_what_is_no_pair_has_no_name(native: str) -> None:
    assert listed_from(native) is None


def test_perpetuals_are_in_the_base_currency() -> None:
    assert (PERPETUAL.asset_class, PERPETUAL.contract_size, PERPETUAL.settle_currency, PERPETUAL.underlying) == (
        "perpetual",
        "1",
        "USDT",
        "BTC-USDT-INDEX",
    )


def test_lists_are_asked_for_by_market() -> None:
    assert [one.url.rpartition("/")[2] for one in make().listing()] == [
        "pub:list:pair:exchange",
        "pub:list:pair:futures",
    ]
    (only,) = make(markets=["futures"], rest_url="http://here/").listing()
    assert only.url == "http://here/v2/conf/pub:list:pair:futures"
    assert [one.symbol for one in make().listed(only, b'[["BTCF0:USTF0","??"]]')] == ["BTC-USDT-PERP"]


@pytest.mark.parametrize("body", [b"<html>", b'["error",10020,"x"]', b"[]", b'[["A"],["B"]]', b"{}"])
def test_what_is_no_list_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        make().listed(make().listing()[0], body)


# ------------------------------------------------------------------ channels


def test_channels() -> None:
    assert make().channels(BTC) == [
        Channel("trades", "BTCUSD"),
        Channel("book", "BTCUSD", book=True),
        Channel("ticker", "BTCUSD"),
    ]
    assert make().channels(PERPETUAL)[-1] == Channel("status", "BTCF0:USTF0")
    quotes = make(streams=["quote"])
    assert (quotes.channels(BTC), quotes.quoted(BTC)) == ([Channel("ticker", "BTCUSD")], True)
    assert make().quoted(BTC) is False
    assert make().market_channels([BTC]) == []
    assert make().market_channels([PERPETUAL]) == [Channel(LIQUIDATIONS)]


@pytest.mark.parametrize(("depth", "length"), [(0, "25"), (25, "25"), (26, "100"), (250, "250"), (1000, "250")])
def test_the_least_length_that_has_the_levels(depth: int, length: str) -> None:
    (frame,) = make(depth=depth).subscribe([Channel("book", "BTCUSD", book=True)])
    assert msgspec.json.decode(frame) == {
        "event": "subscribe",
        "channel": "book",
        "symbol": "tBTCUSD",
        "prec": "P0",
        "freq": "F0",
        "len": length,
    }


def test_the_channel_status_is_asked_for_by_keys() -> None:
    frames = make().subscribe([Channel("status", "BTCF0:USTF0"), Channel(LIQUIDATIONS)])
    assert [msgspec.json.decode(frame)["key"] for frame in frames] == ["deriv:tBTCF0:USTF0", "liq:global"]


def test_subscriptions_end_by_the_number_that_the_venue_gave() -> None:
    channels = [Channel("trades", "BTCUSD", handle="17"), Channel("ticker", "BTCUSD")]
    assert [msgspec.json.decode(frame) for frame in make().unsubscribe(channels)] == [
        {"event": "unsubscribe", "chanId": 17}
    ]


def test_flags_come_before_all_subscriptions() -> None:
    assert msgspec.json.decode(make().hello()[0]) == {"event": "conf", "flags": 32768 + 65536 + 131072}


# ------------------------------------------------------------------ events


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (event(event="conf", status="OK", flags=FLAGS), Alive()),
        (event(event="pong", ts=MS, cid=1), Alive()),
        (event(event="unsubscribed", status="OK", chanId=5), Alive()),
        (event(event="info", version=2, platform={"status": 1}), Status("", State.LIVE)),
        (event(event="info", version=2, platform={"status": 0}), Status("", State.HALTED, reason="maintenance")),
        (event(event="info", code=20060, msg="soon"), Status("", State.HALTED, reason="soon")),
        (event(event="info", code="20051", msg=""), Leaving("info 20051: the server restarts")),
        (event(event="info", msg="hello"), Alive()),
        (event(event="zzz"), Unknown("event 'zzz'")),
        (
            event(event="error", msg="symbol: invalid", code=10300, channel="book", symbol="tNONE"),
            Refused("error 10300: symbol: invalid", Channel("book", "NONE", book=True)),
        ),
        (event(event="error", msg="limit", code=10305), Refused("error 10305: limit")),
        (event(event="conf", status="ERROR", msg="no"), Refused("conf: expected OK, found ERROR", fatal=True)),
    ],
)
def test_events(frame: bytes, expected: object) -> None:
    assert make().cold(frame, "") == [expected]


@pytest.mark.parametrize(
    ("frame", "channel"),
    [
        (subscribed(5, "book", "tBTCUSD", prec="P0", pair="BTCUSD"), Channel("book", "BTCUSD", book=True)),
        (subscribed(5, "trades", "tDUSK:USD"), Channel("trades", "DUSK:USD")),
        (event(event="subscribed", channel="trades", chanId=5, pair="BTCUSD"), Channel("trades", "BTCUSD")),
        (
            event(event="subscribed", channel="status", chanId=5, key="deriv:tBTCF0:USTF0"),
            Channel("status", "BTCF0:USTF0"),
        ),
        (event(event="subscribed", channel="status", chanId=5, key="liq:global"), Channel("liq:global")),
    ],
)
def test_confirmations_have_the_channels_number(frame: bytes, channel: Channel) -> None:
    (found,) = make().cold(frame, "")
    assert isinstance(found, Acknowledged)
    assert found.channels == [channel]
    assert found.channels[0].handle == "5"


def test_a_repeated_subscription_is_told() -> None:
    frame = event(event="error", msg="subscribe: dup", code=10301, channel="trades", symbol="tBTCUSD")
    reason = "trades tBTCUSD: the number of the channel was lost"
    assert make().cold(frame, "") == [Repeated(reason, Channel("trades", "BTCUSD"))]


def test_recorded_subscriptions_name_their_pairs() -> None:
    sent = [
        '{"event":"conf","flags":65536}',
        '{"event":"subscribe","channel":"book","symbol":"tETH2X:ETH","len":"100"}',
        '{"event":"subscribe","channel":"ticker","symbol":"tETH2X:ETH"}',
        '{"event":"subscribe","channel":"trades","pair":"BTCUSD"}',
        '{"event":"subscribe","channel":"status","key":"deriv:tBTCF0:USTF0"}',
        '{"event":"subscribe","channel":"status","key":"liq:global"}',
        '{"event":"subscribe","channel":"ticker","symbol":"fUSD"}',
        "no JSON",
    ]
    assert [one.native for one in make().recorded([], sent, [])] == ["ETH2X:ETH", "BTCUSD", "BTCF0:USTF0"]


def test_symbols_alone_name_their_pairs() -> None:
    symbols = ["BTC-USD", "DUSK-USD", "DASH-USDT", "BTC-USDT-PERP", "ETH2-ETH", "BTC-USD-20260327", "BTC-*"]
    found = make().recorded((), (), symbols)
    assert [one.native for one in found] == ["BTCUSD", "DUSK:USD", "DSHUST", "BTCF0:USTF0", "ETH2X:ETH"]
    assert [one.symbol for one in found] == symbols[:5]


# ------------------------------------------------------------------ arrays


def test_a_book_its_changes_and_its_checksum() -> None:
    found = told(
        subscribed(7, "book", "tBTCUSD", prec="P0"),
        [7, [[100, 2, 1.5], [99, 1, 2], [101, 1, -3]], 1, MS],
        [7, "cs", -1277266110, 2, MS],
        [7, [100, 0, 1], 3, MS],
        [7, [101, 4, -0.5], 4, MS + 1],
    )
    assert (found.dead, [one.reason for one in found.breaks]) == ([], ["checksum"])
    found = told(
        subscribed(7, "book", "tBTCUSD", prec="P0"),
        [7, [[100, 2, 1.5], [99, 1, 2], [101, 1, -3]], 1, MS],
        [7, "hb", 2, MS],
        [7, [100, 0, 1], 3, MS],
        [7, [101, 4, -0.5], 4, MS + 1],
    )
    assert (found.dead, found.breaks) == ([], [])
    assert found.book("BTC-USD") == ({Decimal(99): Decimal(2)}, {Decimal(101): Decimal("0.5")})
    assert {row.ts_event for row in found.of(Kind.ASK)} == {MS * 1_000_000, (MS + 1) * 1_000_000}


def test_small_and_empty_books_are_whole() -> None:
    for levels in ([], [[100, 1, 1]], [[100, 1, 1], [101, 1, -1]]):
        found = told(
            subscribed(7, "book", "tBTCUSD", prec="P0"), [7, [[90, 1, 1], [91, 1, 1], [99, 1, -1]], 1], [7, levels, 2]
        )
        assert (found.dead, found.breaks) == ([], [])
        assert sum(map(len, found.book("BTC-USD"))) == len(levels)


@pytest.mark.parametrize("wrong", [[7, "what", 2, MS], [7, [100, 1], 2, MS], [7, ["a", 1, 1], 2, MS], [7, 5, 2, MS]])
def test_what_is_no_book_breaks_it(wrong: list[Any]) -> None:
    found = told(subscribed(7, "book", "tBTCUSD"), [7, [[90, 1, 1], [91, 1, 1], [99, 1, -1]], 1, MS], wrong)
    assert [(one.reason, one.scope) for one in found.breaks] == [("malformed", "instrument")]
    assert len(found.dead) == 1


def test_a_lost_message_breaks_the_connection() -> None:
    found = told(
        subscribed(7, "book", "tBTCUSD"),
        subscribed(8, "book", "tBTCF0:USTF0"),
        [7, [[90, 1, 1], [91, 1, 1], [99, 1, -1]], 1, MS],
        [8, [[90, 1, 1], [91, 1, 1], [99, 1, -1]], 2, MS],
        [8, "hb", 4, MS],
    )
    assert {(found.symbols[one.instrument], one.reason, one.scope) for one in found.breaks} == {
        ("BTC-USD", "counter", "connection"),
        ("BTC-USDT-PERP", "counter", "connection"),
    }


def test_trades_come_once_and_history_is_told_so() -> None:
    found = told(
        subscribed(9, "trades", "tBTCUSD"),
        [9, [[3, MS - 1, -0.5, 100.5], [2, MS - 2, 0.25, 100]], 1, MS],
        [9, "te", [4, MS, -0.0001, 101], 2, MS],
        [9, "tu", [4, MS, -0.0001, 101], 3, MS],
        [9, [], 4, MS],
    )
    assert (found.dead, found.breaks) == ([], [])
    rows = [(row.id, row.price, row.size, row.side, row.ts_event) for row in found.of(Kind.TRADE)]
    assert rows == [
        (2, Decimal(100), Decimal("0.25"), Side.BUYER, (MS - 2) * 1_000_000),
        (3, Decimal("100.5"), Decimal("0.5"), Side.SELLER, (MS - 1) * 1_000_000),
        (4, Decimal(101), Decimal("0.0001"), Side.SELLER, MS * 1_000_000),
    ]
    assert [bool(row.flags & Flag.HISTORY) for row in found.of(Kind.TRADE)] == [True, True, False]


def test_the_status_of_a_derivative() -> None:
    row = [MS, None, 9166.3, 9169.35, None, 1372762.95, None, MS + 1, -1.415e-05, 533, None, 0.001]
    row += [None, None, 9170.3525, None, None, 3005.25851857, None, None, None, 0.0005, 0.0025]
    found = told(event(event="subscribed", channel="status", chanId=3, key="deriv:tBTCF0:USTF0"), [3, row, 1, MS])
    assert found.dead == []
    kinds = (Kind.MARK, Kind.INDEX, Kind.FUNDING, Kind.FUNDING_NEXT, Kind.OPEN_INTEREST)
    assert {one.kind: one.price for one in found.of(*kinds)} == {
        Kind.MARK: Decimal("9170.3525"),
        Kind.INDEX: Decimal("9169.35"),
        Kind.FUNDING: Decimal("0.001"),
        Kind.FUNDING_NEXT: Decimal("-0.00001415"),
        Kind.OPEN_INTEREST: Decimal("3005.25851857"),
    }
    assert {one.symbol for one in found.of(*kinds)} == {"BTC-USDT-PERP"}


def test_liquidations_as_they_were_matched() -> None:
    def row(amount: float, is_match: int, price: float | None) -> list[Any]:
        return ["pos", 145, MS, None, "tBTCF0:USTF0", amount, 9000.5, None, is_match, 1, None, price]

    found = told(
        event(event="subscribed", channel="status", chanId=3, key="liq:global"),
        [3, [row(0.5, 0, None)], 1, MS],
        [3, [row(0.5, 1, 8990), row(-0.25, 1, 9100.5)], 2, MS],
    )
    assert found.dead == []
    assert [(one.price, one.size, one.side) for one in found.of(Kind.LIQUIDATION)] == [
        (Decimal(8990), Decimal("0.5"), Side.SELLER),
        (Decimal("9100.5"), Decimal("0.25"), Side.BUYER),
    ]


@pytest.mark.parametrize(
    ("asked", "frame"),
    [
        (subscribed(5, "ticker", "fUSD"), [5, [0.0002, 0.0002, 30, 1, 0.0002, 2, 1, 0, 0, 0.0002, 1, 1, 1], 1, MS]),
        (subscribed(5, "trades", "fUSD"), [5, "fte", [1, MS, 5, 0.0002, 2], 1, MS]),
        (subscribed(5, "book", "fUSD", prec="P0"), [5, [0.0002, 30, 1, -5], 1, MS]),
        (subscribed(5, "book", "tBTCUSD", prec="R0"), [5, [[34753002978, 7294.7, 1.5]], 1, MS]),
        (subscribed(5, "book", "tBTCUSD", prec="R0"), [5, "cs", 5, 1, MS]),
        (subscribed(5, "book", "tBTCUSD", prec="P3"), [5, [7294, 3, 1.5], 1, MS]),
        (event(event="subscribed", channel="candles", chanId=5, key="trade:1m:tBTCUSD"), [5, [MS, 1, 1, 1, 1, 1], 1]),
        (b'{"event":"info"}', [77, [1, 2, 3], 1, MS]),
    ],
)
def test_what_is_not_read_is_known(asked: bytes, frame: list[Any]) -> None:
    found = told(asked, frame)
    assert (found.dead, found.breaks, found.rows) == ([], [], [])
    assert all(isinstance(one, Acknowledged | Alive) for one in found.cold)


def test_arrays_that_name_themselves() -> None:
    """As Tardis records them."""
    found = told(
        [23918, [[9163.7, 1, 1], [9164, 1, 2], [9170, 1, -1]], 1, MS, "book", "BTCF0:USTF0"],
        [23918, [9163.7, 0, 1], 2, MS, "book", "BTCF0:USTF0"],
        [23917, [45761787004, 9170, -0.06], 3, MS, "raw_book", "BTCF0:USTF0"],
        [
            147794,
            [71741, 0.2, 71760, 1.2, 647, 0.009, 71754, 900.8715945, 73120, 70434, None],
            4,
            MS,
            "ticker",
            "BTCUSD",
        ],
        [129136, [*range(15), 14121.7], 5, MS, "ticker", "BTC"],
        [5, "te", [1, MS, 0.5, 9164.5], 6, MS, "trades", "BTCF0:USTF0"],
    )
    assert (found.dead, found.breaks, found.cold) == ([], [], [])
    assert found.book("BTC-USDT-PERP") == ({Decimal(9164): Decimal(2)}, {Decimal(9170): Decimal(1)})
    assert [(row.symbol, row.price) for row in found.of(Kind.TRADE)] == [("BTC-USDT-PERP", Decimal("9164.5"))]
    assert [(row.symbol, row.size or row.price) for row in found.of(Kind.VOLUME_24H)] == [
        ("BTC-USD", Decimal("900.8715945"))
    ]


@pytest.mark.parametrize("flags", [0, SEQ_ALL, TIMESTAMP, SEQ_ALL | TIMESTAMP])
def test_flags_move_what_stands_at_the_end(flags: int) -> None:
    end = [1] * bool(flags & SEQ_ALL) + [MS] * bool(flags & TIMESTAMP)
    found = told(subscribed(7, "book", "tBTCUSD"), [7, [[90, 1, 1], [91, 1, 1], [99, 1, -1]], *end], flags=flags)
    assert (found.dead, found.breaks) == ([], [])
    times = {row.ts_event for row in found.of(Kind.BID, Kind.ASK)}
    assert times == {MS * 1_000_000 if flags & TIMESTAMP else NOW}
    assert found.states("BTC-USD")[-1] == (State.LIVE if flags & SEQ_ALL else State.UNVERIFIED)
    assert (dialect(flags).counter is None) == (flags == TIMESTAMP)


# ------------------------------------------------------------------ a session


def opened() -> tuple[DeclaredSession, str]:
    """A session of one book whose link is open and has asked."""
    config = VenueConfig(venue="BITFINEX", symbols=("BTC-USD",), streams=("book",))
    session = DeclaredSession(BitfinexVenue(config), feed="b", config=config, securities={}, previous_close={})
    requests = session.start(NOW).requests
    links = [
        link
        for request, body in zip(requests, (b'[["BTCUSD"]]', b'[["BTCF0:USTF0"]]'), strict=True)
        for link in session.answered(request, Answer(status=200, body=body, received_ns=NOW)).links
    ]
    (link,) = links
    asked = [msgspec.json.decode(frame) for _, frame in session.opened(link.name, NOW).send]
    assert [one["event"] for one in asked] == ["conf", "subscribe"]
    return session, link.name


@pytest.mark.parametrize("confirmed", [True, False])
def test_a_link_whose_channels_number_was_lost_is_opened_anew(confirmed: bool) -> None:
    session, link = opened()
    if confirmed:
        session.received(link, [subscribed(41, "book", "tBTCUSD", prec="P0")], [NOW])
    again = event(event="error", msg="subscribe: dup", code=10301, channel="book", symbol="tBTCUSD")
    assert (link in session.received(link, [again], [NOW]).drop) is not confirmed


def test_a_broken_book_is_subscribed_anew_by_its_number() -> None:
    session, link = opened()
    frames = [subscribed(41, "book", "tBTCUSD", prec="P0"), b"[41,[[90,1,1],[91,1,1],[99,1,-1]],1,5]", b"[41,[1],2,6]"]
    step = session.received(link, frames, [NOW] * 3)
    sent = [msgspec.json.decode(frame) for _, frame in step.send]
    while len(sent) < 2:
        assert session.wake_ns, "the repair waits for its time"
        sent += [msgspec.json.decode(frame) for _, frame in session.wake(session.wake_ns).send if b"ping" not in frame]
    assert sent[0] == {"event": "unsubscribe", "chanId": 41}
    assert (sent[1]["event"], sent[1]["channel"]) == ("subscribe", "book")
