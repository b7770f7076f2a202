"""Gate.io's recorded sessions and single frames, against counts and books made by plain JSON."""

import json
from collections import defaultdict
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.captures.replayed import FOLDER, Replayed, lines, needs_captures, received

from tickcast.model.record import Kind, Side, State
from tickcast.venues.base import Request, VenueConfig
from tickcast.venues.declared.venue import Acknowledged, Listed
from tickcast.venues.gateio.names import named
from tickcast.venues.gateio.venue import GateioVenue

pytestmark = needs_captures
SPOT = "cryptofeed/GATEIO/GATEIO_20210422T121212Z_v4.jsonl.xz"
FUTURES = "cryptofeed/GATEIO_FUTURES/GATEIO_FUTURES_20230524T120925Z_v4.jsonl.xz"
MARKETS = {SPOT: "spot", FUTURES: "usdt"}
SIDES = {"buy": Side.BUYER, "sell": Side.SELLER}
NAMES = ("currency_pair", "contract", "s")


def answers(name: str) -> list[tuple[str, float, str]]:
    """Books over REST: instrument, time, body."""
    found = []
    for one in lines(name):
        if one["t"] == "http" and "order_book" in one["url"]:
            query = parse_qs(urlsplit(one["url"]).query)
            found.append((next(query[key][0] for key in NAMES if key in query), one["ts"], one["data"]))
    return found


def list_of(name: str, venue: GateioVenue) -> dict[tuple[str, str], Listed]:
    record = next(one for one in lines(name) if one["t"] == "http" and "order_book" not in one["url"])
    found = venue.listed(Request(purpose="instruments", url=record["url"]), record["data"].encode())
    return {(one.market, one.native): one for one in found}


def conn_of(name: str) -> str:
    return str(next(one["conn"] for one in lines(name) if one["t"] == "connect"))


def session(name: str, *, skip: frozenset[int] = frozenset()) -> Replayed:
    """Decode a session, with the recorded books where they came."""
    venue = GateioVenue(VenueConfig(venue="GATEIO", depth=5))
    one = Replayed(venue, list_of(name, venue), market=MARKETS[name])
    for record in lines(name):
        if record["t"] == "http" and "order_book" in record["url"]:
            query = parse_qs(urlsplit(record["url"]).query)
            native = next(query[key][0] for key in NAMES if key in query)
            one.feed.rest_book(one.id(native), record["data"].encode(), round(record["ts"] * 1e9))
        elif record["t"] == "recv":
            if one.frames in skip:
                one.frames += 1
            else:
                one.take(record["data"], round(record["ts"] * 1e9))
    return one


def levels(side: list[Any]) -> list[tuple[Decimal, Decimal]]:
    return [
        (Decimal(one["p"]), Decimal(str(one["s"]))) if isinstance(one, dict) else (Decimal(one[0]), Decimal(one[1]))
        for one in side
    ]


def plain_books(name: str) -> dict[str, tuple[dict[Decimal, Decimal], dict[Decimal, Decimal], int]]:
    """Books at the end by plain JSON: each from its newest answer over REST."""
    updates = defaultdict(list)
    for frame in received(name, conn_of(name)):
        if frame["channel"].endswith("order_book_update") and frame["event"] == "update":
            updates[frame["result"]["s"]].append(frame["result"])
    found = {}
    for native, _, body in answers(name):
        answer = json.loads(body)
        last = answer["id"]
        sides = dict(levels(answer["bids"])), dict(levels(answer["asks"]))
        for one in updates[native]:
            if one["u"] <= last:
                continue
            assert one["U"] <= last + 1, native
            last = one["u"]
            for side, changes in zip(sides, (one["b"], one["a"]), strict=True):
                for price, size in levels(changes):
                    side[price] = size
                    if not size:
                        del side[price]
        found[native] = *sides, last
    return found


@pytest.mark.parametrize("name", [SPOT, FUTURES])
def test_every_frame_is_understood(name: str) -> None:
    one = session(name)
    frames = received(name, conn_of(name))
    assert (one.frames, one.dead, one.breaks, one.feed.drift()) == (len(frames), [], [], [])
    assert len(one.cold) == sum(frame["event"] == "subscribe" for frame in frames) > 0
    assert one.control == sum("candle" in frame["channel"] and frame["event"] == "update" for frame in frames)
    for raw in one.cold:
        assert one.venue.cold(raw, one.market) == [Acknowledged()]


@pytest.mark.parametrize("name", [SPOT, FUTURES])
def test_books_are_those_of_plain_json(name: str) -> None:
    one, expected = session(name), plain_books(name)
    assert len(expected) >= 4
    for native, (bids, asks, last) in expected.items():
        assert (one.feed.state(one.id(native)), one.feed.last_id(one.id(native))) == (State.LIVE, last), native
        found = one.feed.book(one.id(native), 0)
        assert [[(Decimal(price), Decimal(size)) for price, size in side] for side in found] == [
            sorted(bids.items(), reverse=True),
            sorted(asks.items()),
        ], native


def test_contracts_have_their_size() -> None:
    recorded = next(one for one in lines(FUTURES) if one["t"] == "http" and one["url"].endswith("contracts"))
    entries = {one["name"]: one for one in json.loads(recorded["data"])}
    found = list_of(FUTURES, GateioVenue(VenueConfig(venue="GATEIO")))
    assert len(found) == len(entries) > 300
    for (market, native), one in found.items():
        assert market == "usdt"
        assert (one.contract_size, one.tick_size) == (
            entries[native]["quanto_multiplier"], entries[native]["order_price_round"],
        )  # fmt: skip


@pytest.mark.parametrize("name", [SPOT, FUTURES])
def test_a_lost_message_is_seen_in_its_book_alone(name: str) -> None:
    frames = received(name, conn_of(name))
    begun = dict.fromkeys(native for native, _, _ in answers(name))
    places = defaultdict(list)
    for place, frame in enumerate(frames):
        if frame["channel"].endswith("order_book_update") and frame["event"] == "update":
            places[frame["result"]["s"]].append(place)
    native = max(begun, key=lambda each: len(places[each]))
    lost, after = places[native][-2:]
    one = session(name, skip=frozenset({lost}))
    (found,) = one.breaks
    assert (found.reason, found.scope, found.instrument) == ("chain", "instrument", one.id(native))
    assert (found.expected, found.found) == (frames[lost]["result"]["U"], frames[after]["result"]["U"])
    assert {one.feed.state(one.id(each)) for each in begun if each != native} == {State.LIVE}


# ------------------------------------------------------------------ single frames, with the values of other readers


def single(raw: str, native: str, market: str, *, quotes: bool = False) -> Replayed:
    found = named(native, market)
    assert found is not None, native
    venue = GateioVenue(VenueConfig(venue="GATEIO", depth=5))
    one = Replayed(venue, {(market, native): found}, market=market, quotes=quotes)
    one.take(raw, 1)
    assert one.dead == []
    return one


def messages(name: str, kind: str) -> list[Any]:
    """Frames for which another reader expects records of a kind, all of them together."""
    found = []
    for one in lines(f"tardis-node/{name}.jsonl") if FOLDER.is_dir() else ():
        expected = [each for each in one["expected"] or [] if each["type"] == kind]
        if expected:
            market = "usdt" if name.endswith("futures") else "spot"
            found.append(pytest.param(json.dumps(one["message"]), market, expected, id=f"{name}-{one['n']}"))
    return found


@pytest.mark.parametrize(
    ("raw", "market", "expected"), [*messages("gate-io", "trade"), *messages("gate-io-futures", "trade")]
)
def test_trades_of_others(raw: str, market: str, expected: list[dict[str, Any]]) -> None:
    one = single(raw, expected[0]["symbol"], market)
    assert [
        (native, ident, float(price), float(size), side) for native, ident, price, size, side, _ in one.trades()
    ] == [(each["symbol"], each["id"], each["price"], each["amount"], SIDES[each["side"]]) for each in expected]


@pytest.mark.parametrize(("raw", "market", "expected"), messages("gate-io-futures", "derivative_ticker"))
def test_figures_of_others(raw: str, market: str, expected: list[dict[str, Any]]) -> None:
    native = expected[0]["symbol"]
    one = single(raw, native, market)
    words = {Kind.MARK: "markPrice", Kind.INDEX: "indexPrice", Kind.FUNDING: "fundingRate"}
    for kind, word in {**words, Kind.OPEN_INTEREST: "openInterest"}.items():
        assert float(one.last(native, kind) or 0) == expected[0][word]


def test_decimal_sizes() -> None:
    frames = [one["message"] for one in lines("tardis-node/gate-io-futures.jsonl") if "decimal" in one["source_test"]]
    (trade, quote) = (json.dumps(one) for one in frames)
    ((_, _, price, size, side, _),) = single(trade, "ETH_USDT", "usdt").trades()
    assert (price, size, side) == (Decimal("2171.44"), Decimal("0.25"), Side.SELLER)
    one = single(quote, "ETH_USDT", "usdt", quotes=True)
    assert one.last("ETH_USDT", Kind.ASK) == Decimal("2172.85")


@pytest.mark.parametrize("kind", ["trade", "l2_event", "l2_topk", "bbo", "candlestick", "ticker"])
def test_frames_of_another_parser_are_understood(kind: str) -> None:
    chosen = [one for one in lines("crypto-msg-parser/gate.jsonl") if one["kind"] == kind]
    assert chosen
    for row in chosen:
        frame = json.loads(row["raw"])
        result = frame.get("result") or {"s": next(one for one in frame["params"] if isinstance(one, str))}
        entry = result[0] if isinstance(result, list) else result
        word = next((entry[key] for key in (*NAMES, "c") if isinstance(entry.get(key), str) and "_" in entry[key]), "")
        native = word or str(entry["n"]).partition("_")[2]
        one = single(row["raw"], native, "spot" if row["case"].startswith("spot") else "usdt")
        assert one.cold == [], row["case"]
        if kind == "trade":
            assert len(one.trades()) >= 1
