"""What a crypto venue sends that nobody knew: counted, sampled, told to the ledger and in the feed's health."""

import pytest
from tests.faults.crypto import VENUES, running

from tickcast.feeds.secrets import Hider
from tickcast.model.health import SAMPLE_MAX, UNKNOWN_MAX, Findings, Unknown
from tickcast.sim.crypto.sockets import text_frame
from tickcast.testing.rude_venue import RudeVenue
from tickcast.testing.spoil import Number, parse, unknown_fields, write

pytestmark = pytest.mark.timeout(60)
CHANNELS = {
    "binance": '{"stream":"btcusdt@zzz","data":{"e":"zzz","E":1,"s":"BTCUSDT"}}',
    "binance_futures": '{"stream":"btcusdt@zzz","data":{"e":"zzz","E":1,"s":"BTCUSDT"}}',
    "okx": '{"arg":{"channel":"zzz","instId":"BTC-USDT"},"data":[{"px":"1"}]}',
    "bybit": '{"topic":"zzz.BTCUSDT","type":"snapshot","ts":1,"data":{"p":"1"}}',
    "coinbase": '{"channel":"zzz","timestamp":"2026-11-21T11:11:20Z","sequence_num":#,"events":[]}',
    "kraken": '{"channel":"zzz","type":"update","data":[{"p":1.5}]}',
    "kraken_futures": '{"feed":"zzz","product_id":"PF_XBTUSD","price":1.5}',
    "bitstamp": '{"data":{"p":"1"},"channel":"zzz_btcusd","event":"zzz"}',
    "bitget": '{"action":"update","arg":{"instType":"SPOT","channel":"zzz","instId":"BTCUSDT"},"data":[{"p":"1"}]}',
    "htx": '{"ch":"market.btcusdt.zzz","ts":1,"tick":{"p":1}}',
    "gateio": '{"time":1,"channel":"spot.zzz","event":"update","result":{"p":"1"}}',
    "kucoin": '{"topic":"/zzz:BTC-USDT","type":"message","subject":"zzz","data":{"p":"1"}}',
    "deribit": '{"jsonrpc":"2.0","method":"subscription","params":{"channel":"zzz.BTC-PERPETUAL","data":{"p":1}}}',
    "bitfinex": '{"event":"zzz","chanId":5}',
    "gemini": '{"type":"zzz","symbol":"BTCUSD"}',
    "crypto_com": '{"id":-1,"method":"subscribe","code":0,"result":{"channel":"zzz","data":[{"p":1}]}}',
    "poloniex": '{"channel":"zzz","data":[{"symbol":"BTC_USDT","p":"1"}]}',
    "bitmex": '{"table":"zzz","action":"insert","data":[{"symbol":"XBTUSD","p":1}]}',
}
"""A message of a channel that does not exist, in each dialect."""
ARRAYS = ("bitfinex",)
"""Dialects whose messages have no keys."""


@pytest.mark.parametrize("word", VENUES)
async def test_a_channel_that_nobody_knows_is_counted_and_told(word: str) -> None:
    async with RudeVenue(word) as rude, running(rude) as run:
        await run.until_right()
        said = CHANNELS[word]
        sent = 3
        for _ in range(sent):
            for client in list(rude.venue.clients):
                # Coinbase numbers all that a connection is sent
                frame = rude.venue.voice.dress(client, None, said.encode())
                rude.write(text_frame(frame), to=client)
            links = len(rude.venue.clients)
        await run.until(lambda: run.unknown("message"), "it is told")
        (found,) = run.unknown("message")
        assert "zzz" in found.name
        assert found.count == sent * links
        assert any(word in found.sample for word in ('"zzz', "@zzz", ".zzz"))
        (entry,) = [entry for entry in run.ledger if entry.kind == "drift"]
        assert "zzz" in entry.reason
        assert len(run.dead) == sent * links
        await run.until_right()
        assert set(run.kinds()) == {"drift"}


@pytest.mark.parametrize("word", [word for word in VENUES if word not in ARRAYS])
async def test_a_key_that_nobody_knows_is_counted_and_told(word: str) -> None:
    async with RudeVenue(word) as rude, running(rude) as run:
        run.spoil = lambda _, topic, frame: [unknown_fields(frame, None) if topic is not None else frame]  # type: ignore[arg-type]
        await run.until(lambda: run.unknown("key"), "it is told")
        await run.until_right()
        found = run.unknown("key")
        assert len(found) <= UNKNOWN_MAX
        assert all(one.name.endswith(".zzz_unknown") for one in found)
        assert all("zzz_unknown" in one.sample or len(one.sample) >= SAMPLE_MAX - 3 for one in found)
        assert max(len(one.sample.encode()) for one in found) <= SAMPLE_MAX
        assert not run.dead


async def test_many_kinds_are_bounded_and_the_newest_stay() -> None:
    async with RudeVenue("okx") as rude, running(rude) as run:
        await run.until_right()
        count = 100
        for number in range(count):
            rude.write(text_frame(b'{"arg":{"channel":"zzz%d","instId":"%s"},"data":[]}' % (number, b"x" * 2000)))
        await run.until(lambda: len(run.dead) == count, "all are dead letters")
        await run.until(lambda: any("zzz99" in one.name for one in run.unknown("message")), "the newest is told")
        found = run.healths[-1].unknown
        assert len(found) == UNKNOWN_MAX
        assert all(len(one.sample.encode()) == SAMPLE_MAX for one in found)


@pytest.mark.parametrize(("word", "counted"), [("kraken", "verified"), ("okx", "zero")])
async def test_checksums_are_counted(word: str, counted: str) -> None:
    async with RudeVenue(word) as rude, running(rude) as run:
        await run.until(lambda: run.healths and run.healths[-1].checksums.get(counted), f"{word} {counted}")
        assert run.healths[-1].checksums["failed"] == 0


def test_no_secret_is_in_a_sample_not_even_half_of_one() -> None:
    sample = "x" * (SAMPLE_MAX - 4) + "hunter2" + "y" * 900
    found = Findings(unknown=[Unknown(what="message", name="z", count=1, sample=sample)])
    (shown,) = Hider(("hunter2", "")).findings(found).unknown
    assert shown.sample == "x" * (SAMPLE_MAX - 4) + "****"
    assert parse(write({"a": [Number("1.50")]}).encode()) == {"a": ["1.50"]}
