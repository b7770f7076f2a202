"""How the simulated Crypto.com talks, message by message."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sim.crypto.rig import Rig, apply, ordered

from tickcast.sim.crypto.state import Client
from tickcast.venues.base import VenueConfig
from tickcast.venues.crypto_com.venue import CryptoComVenue
from tickcast.venues.declared.venue import Acknowledged, Refused, Reply

PATH = "/exchange/v1/market"
DELTA: dict[str, Any] = {"book_subscription_type": "SNAPSHOT_AND_UPDATE", "book_update_frequency": 10}
BOOK = "book.BTC_USD.50"
VENUE = CryptoComVenue(VenueConfig(venue="CRYPTO_COM"))


def ask(rig: Rig, client: Client, *channels: str, method: str = "subscribe", **more: Any) -> list[Any]:
    rig.say(client, {"id": 7, "method": method, "params": {"channels": list(channels)} | more})
    return rig.frames(client)


def pushes(frames: list[Any], channel: str = "") -> list[Any]:
    found = [frame["result"] for frame in frames if "result" in frame]
    return [one for one in found if one["channel"].startswith(channel)]


def test_lists_name_what_the_house_calls_instruments() -> None:
    rig = Rig("crypto_com")
    (request,) = VENUE.listing()
    body = json.dumps(rig.rest(request.url.removeprefix(VENUE.rest_url))).encode()
    found = {one.native: one for one in VENUE.listed(request, body)}
    for one in rig.venue.voice.instruments:
        assert found[one.native].symbol == one.product.symbol
    assert {one.asset_class for one in found.values()} == {"crypto", "perpetual", "future", "index"}


def test_books_are_chained_and_equal_those_over_rest() -> None:
    rig = Rig("crypto_com")
    client = rig.connect(PATH)
    answer, *frames = ask(rig, client, BOOK, **DELTA)
    assert answer == {"id": 7, "method": "subscribe", "code": 0}
    rig.run(2000)
    rig.run(300, quiet=True)
    first, *changes = pushes([*frames, *rig.frames(client)])
    assert (first["channel"], {one["channel"] for one in changes}) == ("book", {"book.update"})
    (row,) = first["data"]
    last = row["u"]
    book: dict[str, dict[str, str]] = {"bids": {}, "asks": {}}
    apply(book, row["bids"], row["asks"])
    for one in changes:
        (row,) = one["data"]
        assert row["pu"] == last
        last = row["u"]
        apply(book, row["update"]["bids"], row["update"]["asks"])
    truth = rig.rest("/exchange/v1/public/get-book?instrument_name=BTC_USD&depth=50")["result"]["data"][0]
    assert ordered(book) == {side: [(price, size) for price, size, _ in truth[side]] for side in ("bids", "asks")}
    assert truth["u"] == last


def test_without_asking_for_changes_books_are_whole() -> None:
    rig = Rig("crypto_com")
    client = rig.connect(PATH)
    ask(rig, client, BOOK)
    rig.run(2000)
    told = pushes(rig.frames(client))
    assert {one["channel"] for one in told} == {"book"}
    assert 2 <= len(told) <= 5


def test_trades_are_newest_first_and_begin_with_the_last_ones() -> None:
    rig = Rig("crypto_com")
    client = rig.connect(PATH)
    ask(rig, client, "trade.BTC_USD")
    rig.run(3000)
    told = [row for one in pushes(rig.frames(client)) for row in reversed(one["data"])]
    numbers = [int(row["d"]) for row in told]
    assert len(told) == rig.instrument("BTC_USD").stats.count > 1
    assert numbers == sorted(numbers)
    (begin,) = pushes(ask(rig, rig.connect(PATH), "trade.BTC_USD"))
    assert begin["data"][0] == told[-1]


def test_values_of_contracts() -> None:
    rig = Rig("crypto_com")
    client = rig.connect(PATH)
    names = ("mark.BTCUSD-PERP", "funding.BTCUSD-PERP", "estimatedfunding.BTCUSD-PERP", "index.BTCUSD-INDEX",
             "ticker.BTCUSD-PERP", "settlement.BTCUSD-PERP")  # fmt: skip
    told = pushes(ask(rig, client, *names))
    assert {one["channel"] for one in told} == {"mark", "funding", "estimatedfunding", "index", "ticker"}
    assert {one["instrument_name"] for one in told} == {"BTCUSD-PERP", "BTCUSD-INDEX"}


def test_who_does_not_answer_a_heartbeat_is_closed() -> None:
    rig = Rig("crypto_com")
    polite, rude = rig.connect(PATH), rig.connect(PATH)
    for _ in range(3):
        for _ in range(600):
            rig.run(100, quiet=True)
            beats = [frame for frame in rig.frames(polite) if frame["method"] == "public/heartbeat"]
            if beats:
                break
        (said,) = VENUE.cold(json.dumps(beats[0]).encode(), "")
        assert isinstance(said, Reply)
        rig.say(polite, said.frame)
    assert polite.close is None
    assert rude.close is not None


def test_what_is_refused_says_why() -> None:
    rig = Rig("crypto_com")
    client = rig.connect(PATH)
    made = CryptoComVenue(VenueConfig(venue="CRYPTO_COM"))
    for channel in ("book.BTC_USD.150", "book.BTC_USD", "trade.NOPE", "zzz.BTC_USD", "index.NOPE"):
        (answer,) = ask(rig, client, channel)
        assert isinstance(made.cold(json.dumps(answer).encode(), "")[0], Refused)
    (answer, *_) = ask(rig, client, "trade.BTC_USD")
    assert isinstance(made.cold(json.dumps(answer).encode(), "")[0], Acknowledged)
    ask(rig, client, "trade.BTC_USD", method="unsubscribe")
    rig.run(1000)
    assert pushes(rig.frames(client)) == []


@pytest.mark.parametrize("path", ["get-book", "get-book?instrument_name=BTC_USD&depth=x", "get-tickers", "zzz"])
def test_requests_that_are_refused(path: str) -> None:
    rig = Rig("crypto_com")
    answer = rig.venue.rest(f"/exchange/v1/public/{path}", rig.now_ns, address="test")
    assert answer.status == 400
    assert json.loads(answer.body)["code"] != 0


@given(frame=st.binary(max_size=60) | st.sampled_from([b"{}", b"[]", b'{"method":"subscribe"}', b'{"params":7}']))
def test_no_frame_is_too_strange(frame: bytes) -> None:
    rig = Rig("crypto_com", pairs=2)
    client = rig.connect(PATH)
    rig.say(client, frame)
