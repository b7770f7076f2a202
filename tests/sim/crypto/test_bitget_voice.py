"""The simulated Bitget, against a client that keeps books by the venue's own rules."""

import zlib
from typing import Any

import pytest
from tests.sim.crypto.rig import Rig, apply, ordered

from tickcast.sim.crypto.state import Client

PUBLIC = "/v2/ws/public"


def argument(channel: str, word: str = "SPOT", native: str = "BTCUSDT") -> dict[str, str]:
    return {"instType": word, "channel": channel, "instId": native}


def subscribe(rig: Rig, client: Client, *arguments: dict[str, str]) -> list[Any]:
    rig.say(client, {"op": "subscribe", "args": list(arguments)})
    return rig.frames(client)


def checksum(book: dict[str, list[tuple[str, str]]]) -> int:
    parts = [":".join(book[side][place]) for place in range(25) for side in ("bids", "asks") if place < len(book[side])]
    found = zlib.crc32(":".join(parts).encode())
    return found - (1 << 32) if found >= 1 << 31 else found


@pytest.mark.parametrize(
    ("word", "native", "market"),
    [("SPOT", "BTCUSDT", "spot"), ("USDT-FUTURES", "BTCUSDT", "usdt"), ("COIN-FUTURES", "BTCUSD", "coin")],
)
def test_differences_chain_and_agree_with_their_checksum(word: str, native: str, market: str) -> None:
    rig = Rig("bitget")
    client = rig.connect(PUBLIC)
    rig.run(500)
    answer, *began = subscribe(rig, client, argument("books", word, native))
    assert answer == {"event": "subscribe", "arg": argument("books", word, native)}
    rig.run(2000)
    rig.run(300, quiet=True)
    levels: dict[str, dict[str, str]] = {"bids": {}, "asks": {}}
    last = proofs = 0
    for frame in [*began, *rig.frames(client)]:
        (row,) = frame["data"]
        assert (frame["action"] == "snapshot") == (last == 0)
        assert row["pseq"] == last
        last = row["seq"]
        apply(levels, row["bids"], row["asks"])
        if frame["action"] == "update":
            assert row["checksum"] == checksum(ordered(levels))
            proofs += 1
        else:
            assert row["checksum"] == 0
    assert proofs > 3
    truth = rig.venue.truth(rig.instrument(native, market))
    assert ordered(levels) == {"bids": truth["bids"], "asks": truth["asks"]}


def test_trades_begin_with_recent_ones_the_newest_first() -> None:
    rig = Rig("bitget", rate=6000.0)
    client = rig.connect(PUBLIC)
    rig.run(3000)
    _, began = subscribe(rig, client, argument("trade"))
    assert began["action"] == "snapshot"
    rig.run(3000)
    told = [*reversed(began["data"])]
    for frame in rig.frames(client):
        assert frame["action"] == "update"
        told += reversed(frame["data"])
    numbers = [int(row["tradeId"]) for row in told]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_a_ticker_of_futures_says_what_they_are_worth() -> None:
    rig = Rig("bitget")
    rig.run(3000)
    client = rig.connect(PUBLIC)
    subscribe(rig, client, argument("ticker", "USDT-FUTURES"), argument("ticker"))
    rig.run(1500)
    rows = {frame["arg"]["instType"]: frame["data"][0] for frame in rig.frames(client)}
    assert float(rows["USDT-FUTURES"]["markPrice"]) > 0
    assert "markPrice" not in rows["SPOT"]
    assert rows["SPOT"]["instId"] == "BTCUSDT"


@pytest.mark.parametrize("channel", ["books1", "books5", "books15"])
def test_shallow_books_are_whole(channel: str) -> None:
    rig = Rig("bitget")
    client = rig.connect(PUBLIC)
    rig.run(300)
    subscribe(rig, client, argument(channel))
    rig.run(1500)
    frames = rig.frames(client)
    assert frames
    assert {frame["action"] for frame in frames} == {"snapshot"}
    assert max(len(frame["data"][0]["bids"]) for frame in frames) <= int(channel.removeprefix("books"))


def test_each_argument_is_answered_for_itself() -> None:
    rig = Rig("bitget")
    client = rig.connect(PUBLIC)
    rig.venue.voice.refused.append(("trade", rig.instrument("ETHUSDT", "spot")))
    good, unknown, refused = argument("ticker"), argument("zzz"), argument("trade", native="ETHUSDT")
    events = [(one["event"], one["arg"]) for one in subscribe(rig, client, good, unknown, refused) if "event" in one]
    assert events == [("subscribe", good), ("error", unknown), ("error", refused)]
    rig.say(client, {"op": "unsubscribe", "args": [good]})
    (answer,) = rig.frames(client)
    assert answer == {"event": "unsubscribe", "arg": good}
    assert not client.topics


def test_what_is_no_operation_is_an_error_and_a_ping_a_pong() -> None:
    rig = Rig("bitget")
    client = rig.connect(PUBLIC)
    rig.say(client, b"no json")
    rig.say(client, {"op": "subscribe", "args": []})
    assert [frame["code"] for frame in rig.frames(client)] == [30003, 30003]
    rig.say(client, b"ping")
    assert rig.got[client] == [b"pong"]


def test_who_sends_no_ping_is_closed() -> None:
    rig = Rig("bitget")
    client = rig.connect(PUBLIC)
    rig.run(119_000, quiet=True)
    assert client.close is None
    rig.run(2_000, quiet=True)
    assert client.close is not None


def test_lists() -> None:
    rig = Rig("bitget")
    pairs = rig.rest("/api/v2/spot/public/symbols")
    assert (pairs["code"], pairs["data"][0]["symbol"]) == ("00000", "BTCUSDT")
    (coin,) = rig.rest("/api/v2/mix/market/contracts?productType=COIN-FUTURES")["data"]
    assert (coin["symbol"], coin["quoteCoin"]) == ("BTCUSD", "USD")
    assert rig.venue.rest("/api/v2/zzz", rig.now_ns).status == 404
    assert rig.venue.rest("/api/v2/mix/market/contracts?productType=zzz", rig.now_ns).status == 404
