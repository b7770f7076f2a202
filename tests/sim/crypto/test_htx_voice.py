"""The simulated HTX, against a client that keeps books by the venue's own rules."""

import gzip
import json
from typing import Any

import pytest
from tests.sim.crypto.rig import Rig, apply, ordered

from tickcast.sim.crypto.state import Client
from tickcast.sim.faults import Fault

PAIR, SWAP = "btcusdt", "BTC-USDT"
MBP = f"market.{PAIR}.mbp.150"
DEPTH = f"market.{SWAP}.depth.size_150.high_freq"


def subscribe(rig: Rig, client: Client, topic: str, **more: str) -> list[Any]:
    rig.say(client, {"sub": topic, "id": topic, **more})
    return rig.frames(client)


def truth(rig: Rig, native: str, market: str) -> dict[str, Any]:
    found = rig.venue.truth(rig.instrument(native, market), 150)
    return {"bids": found["bids"], "asks": found["asks"]}


def texts(levels: list[list[Any]]) -> list[list[str]]:
    return [[str(price), str(size)] for price, size in levels]


def plain(book: dict[str, list[tuple[str, str]]]) -> dict[str, list[tuple[float, float]]]:
    return {side: [(float(price), float(size)) for price, size in levels] for side, levels in book.items()}


def test_every_frame_is_packed() -> None:
    rig = Rig("htx")
    client = rig.connect("/ws")
    rig.say(client, {"sub": "market.btcusdt.bbo", "id": "x"})
    raw = rig.got[client][0]
    assert raw[:2] == b"\x1f\x8b"
    answer = json.loads(gzip.decompress(raw))
    assert (answer["id"], answer["status"], answer["subbed"]) == ("x", "ok", "market.btcusdt.bbo")


def test_a_spot_book_is_requested_and_its_differences_chain() -> None:
    rig = Rig("htx")
    client = rig.connect("/feed")
    rig.run(500)
    (answer,) = subscribe(rig, client, MBP)
    assert answer["subbed"] == MBP
    rig.run(300)
    rig.say(client, {"req": MBP, "id": "r"})
    rig.run(2000)
    rig.run(300, quiet=True)
    waiting: list[Any] = []
    levels: dict[str, dict[str, str]] = {"bids": {}, "asks": {}}
    last = None
    for frame in rig.frames(client):
        if "rep" in frame:
            assert (frame["id"], frame["rep"], last) == ("r", MBP, None)
            last = frame["data"]["seqNum"]
            apply(levels, texts(frame["data"]["bids"]), texts(frame["data"]["asks"]))
            following = [tick for tick in waiting if tick["seqNum"] > last]
            assert not following or following[0]["prevSeqNum"] == last
        elif "tick" in frame:
            waiting.append(tick := frame["tick"])
            if last is not None:
                assert tick["prevSeqNum"] == last
                last = tick["seqNum"]
                apply(levels, texts(tick["bids"]), texts(tick["asks"]))
    assert last is not None
    assert plain(ordered(levels)) == plain(truth(rig, PAIR, "spot"))


def test_books_are_requested_once_in_a_tenth_of_a_second() -> None:
    rig = Rig("htx")
    client = rig.connect("/feed")
    rig.run(200)
    rig.say(client, {"req": MBP, "id": 1})
    rig.say(client, {"req": MBP, "id": 2})
    rig.run(110, quiet=True)
    rig.say(client, {"req": MBP, "id": 3})
    found = [(frame["id"], frame["status"], frame.get("err-msg")) for frame in rig.frames(client)]
    assert found == [(1, "ok", None), (2, "error", "429 too many request"), (3, "ok", None)]


def test_a_clock_that_was_an_hour_fast_for_a_moment_refuses_no_books_for_an_hour() -> None:
    rig = Rig("htx")
    client = rig.connect("/feed")
    rig.venue.faults.arm(Fault(fault="clock", offset_s=3600.0, for_s=1.0))
    rig.run(500)
    rig.say(client, {"req": MBP, "id": "fast"})
    rig.run(1000)
    rig.say(client, {"req": MBP, "id": "right again"})
    assert [(frame["id"], frame["status"]) for frame in rig.frames(client) if "status" in frame] == [
        ("fast", "ok"), ("right again", "ok"),
    ]  # fmt: skip


def test_a_swap_counts_its_versions_from_a_whole_book_on() -> None:
    rig = Rig("htx")
    client = rig.connect("/linear-swap-ws")
    rig.run(500)
    (refused,) = subscribe(rig, client, DEPTH)
    assert refused["status"] == "error"
    began = subscribe(rig, client, DEPTH, data_type="incremental")
    rig.run(2000)
    rig.run(300, quiet=True)
    levels: dict[str, dict[str, str]] = {"bids": {}, "asks": {}}
    version = 0
    for frame in [*began, *rig.frames(client)]:
        if "tick" not in frame:
            continue
        tick = frame["tick"]
        assert (tick["event"] == "snapshot") == (version == 0)
        assert version in {0, tick["version"] - 1}
        version = tick["version"]
        apply(levels, texts(tick["bids"]), texts(tick["asks"]))
    assert plain(ordered(levels)) == plain(truth(rig, SWAP, "linear"))


@pytest.mark.parametrize(("path", "ping"), [("/ws", "ping"), ("/swap-notification", "ts")])
def test_who_does_not_give_the_number_back_is_closed(path: str, ping: str) -> None:
    rig = Rig("htx")
    good, bad = rig.connect(path), rig.connect(path)
    for _ in range(40):
        rig.run(500, quiet=True)
        for frame in rig.frames(good):
            if path == "/ws":
                rig.say(good, {"pong": frame[ping]})
            else:
                assert frame["op"] == "ping"
                rig.say(good, {"op": "pong", "ts": frame[ping]})
        if bad.close is not None:
            break
        rig.say(bad, {"pong": 7})
    assert bad.close is not None
    assert good.close is None


def test_trades_have_ids_beyond_64_bits_and_come_newest_first() -> None:
    rig = Rig("htx", rate=6000.0)
    client = rig.connect("/ws")
    subscribe(rig, client, "market.btcusdt.trade.detail")
    rig.run(4000)
    rows = [frame["tick"]["data"] for frame in rig.frames(client) if "tick" in frame]
    assert max(map(len, rows)) > 1
    told = [row["tradeId"] for data in rows for row in reversed(data)]
    assert told == sorted(set(told))
    assert min(row["id"] for data in rows for row in data) > 1 << 64


@pytest.mark.parametrize(
    ("path", "topic"),
    [
        ("/linear-swap-ws", "market.BTC-USDT.bbo"),
        ("/linear-swap-ws", "market.BTC-USDT.depth.step0"),
        ("/swap-ws", "market.BTC-USD.detail"),
        ("/ws_index", "market.BTC-USDT.mark_price.1min"),
        ("/ws_index", "market.BTC-USD.index.1min"),
        ("/ws", "market.btcusdt.depth.step0"),
    ],
)
def test_channels_tell_their_values(path: str, topic: str) -> None:
    rig = Rig("htx")
    rig.run(2000)
    client = rig.connect(path)
    subscribe(rig, client, topic)
    rig.run(3000)
    frames = [frame for frame in rig.frames(client) if "tick" in frame]
    assert frames
    assert {frame["ch"] for frame in frames} == {topic}


@pytest.mark.parametrize("topic", ["funding_rate", "contract_info"])
def test_notices_are_told_by_topic(topic: str) -> None:
    rig = Rig("htx")
    client = rig.connect("/linear-swap-notification")
    key = f"public.{SWAP}.{topic}"
    rig.say(client, {"op": "sub", "cid": "c", "topic": key})
    rig.run(500)
    answer, *told = rig.frames(client)
    assert (answer["op"], answer["cid"], answer["topic"], answer["err-code"]) == ("sub", "c", key, 0)
    assert {(frame["op"], frame["topic"], frame["data"][0]["contract_code"]) for frame in told} == {
        ("notify", key, SWAP)
    }


@pytest.mark.parametrize(
    ("path", "said", "text"),
    [
        ("/ws", b"no json", "not json string"),
        ("/ws", {"sub": "market.zzz.bbo", "id": "i"}, "invalid topic market.zzz.bbo"),
        ("/ws", {"sub": MBP, "id": "i"}, f"invalid topic {MBP}"),
        ("/feed", {"sub": "market.btcusdt.bbo", "id": "i"}, "invalid topic market.btcusdt.bbo"),
        ("/ws", {"id": "i"}, "invalid topic "),
        ("/linear-swap-notification", {"op": "sub", "topic": "public.X.funding_rate"}, "Invalid topic"),
    ],
)
def test_what_it_does_not_have_is_refused(path: str, said: Any, text: str) -> None:
    rig = Rig("htx")
    client = rig.connect(path)
    rig.say(client, said)
    (answer,) = rig.frames(client)
    assert text in answer["err-msg"]


def test_lists_and_open_interest() -> None:
    rig = Rig("htx")
    pairs = rig.rest("/v1/common/symbols")["data"]
    assert pairs[0]["symbol"] == PAIR
    swaps = rig.rest("/linear-swap-api/v1/swap_contract_info")["data"]
    every = rig.rest("/linear-swap-api/v1/swap_contract_info?business_type=all")["data"]
    assert {row["business_type"] for row in swaps} == {"swap"}
    assert {row["business_type"] for row in every} == {"swap", "futures"}
    (row,) = rig.rest("/swap-api/v1/swap_open_interest?contract_code=BTC-USD")["data"]
    assert row["volume"] > 0
    assert rig.venue.rest("/zzz", rig.now_ns).status == 404
