"""How the simulated Bitfinex talks, message by message."""

import json
import zlib
from decimal import Decimal
from typing import Any

import pytest
from tests.sim.crypto.rig import Rig

from tickcast.sim.crypto.bitfinex import number
from tickcast.sim.crypto.state import Client

ALL = 32_768 + 65_536 + 131_072


@pytest.fixture
def rig() -> Rig:
    return Rig("bitfinex")


def join(rig: Rig, flags: int = ALL, *asked: dict[str, Any]) -> Client:
    client = rig.connect("/ws/2")
    rig.say(client, {"event": "conf", "flags": flags})
    for one in asked:
        rig.say(client, {"event": "subscribe", **one})
    return client


def raw(rig: Rig, client: Client) -> list[Any]:
    """Frames with numbers as they were written."""
    frames, rig.got[client] = rig.got[client], []
    return [json.loads(frame, parse_float=str, parse_int=str) for frame in frames]


def arrays(frames: list[Any]) -> list[list[Any]]:
    return [frame for frame in frames if isinstance(frame, list)]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("10088.00", "10088"),
        ("0.50000000", "0.5"),
        ("0.00000100", "0.000001"),
        ("0.00000056", "5.6e-7"),
        ("0.00000050", "5e-7"),
        ("0.0000000123", "1.23e-8"),
        ("1200", "1200"),
        ("120.0", "120"),
    ],
)
def test_numbers_are_written_as_javascript_does(text: str, written: str) -> None:
    assert number(text) == written
    assert Decimal(text) == Decimal(written)


def test_a_connection_begins_with_the_platforms_state(rig: Rig) -> None:
    (info,) = rig.frames(rig.connect("/ws/2"))
    assert (info["event"], info["platform"]) == ("info", {"status": 1})


def test_every_array_has_the_next_number_and_a_time(rig: Rig) -> None:
    client = join(
        rig,
        ALL,
        {"channel": "book", "symbol": "tBTCUSD"},
        {"channel": "trades", "symbol": "tBTCUSD"},
        {"channel": "ticker", "symbol": "tBTCUSD"},
    )
    rig.run(16_000)
    found = arrays(rig.frames(client))
    assert [frame[-2] for frame in found] == [*range(1, len(found) + 1)]
    assert all(frame[-1] <= rig.now_ns // 1_000_000 for frame in found)
    words = {frame[1] for frame in found if isinstance(frame[1], str)}
    assert words == {"cs", "hb", "te", "tu"}


def test_without_flags_there_is_nothing_behind(rig: Rig) -> None:
    client = join(rig, 0, {"channel": "book", "symbol": "tBTCUSD"})
    rig.run(2000)
    found = arrays(rig.frames(client))
    assert {len(frame) for frame in found} == {2}
    assert len(found) > 10


class Plain:
    """A book of texts, as documented."""

    def __init__(self) -> None:
        self.sides: tuple[dict[Decimal, tuple[str, str]], dict[Decimal, tuple[str, str]]] = ({}, {})

    def take(self, rows: list[list[str]]) -> None:
        for price, count, amount in rows:
            side = self.sides[amount.startswith("-")]
            if count == "0":
                assert amount in {"1", "-1"}
                del side[Decimal(price)]
            else:
                side[Decimal(price)] = price, amount

    def checksum(self) -> str:
        bids = [self.sides[0][price] for price in sorted(self.sides[0], reverse=True)[:25]]
        asks = [self.sides[1][price] for price in sorted(self.sides[1])[:25]]
        parts = [text for place in range(25) for side in (bids, asks) if place < len(side) for text in side[place]]
        value = zlib.crc32(":".join(parts).encode())
        return str(value - (1 << 32) if value >= 1 << 31 else value)


def test_checksums_are_those_of_the_book_as_it_was_written(rig: Rig) -> None:
    client = join(rig, ALL, {"channel": "book", "symbol": "tBTCUSD", "len": "25"})
    rig.run(3000)
    book, checked = Plain(), 0
    for frame in arrays(raw(rig, client)):
        if frame[1] == "cs":
            assert frame[2] == book.checksum()
            checked += 1
        elif frame[1] != "hb":
            book.take(frame[1] if isinstance(frame[1][0], list) else [frame[1]])
        assert max(map(len, book.sides)) <= 25
    assert checked > 20
    truth = rig.venue.truth(rig.instrument("BTCUSD"), 25)
    assert {Decimal(price) for price, _ in truth["bids"]} == set(book.sides[0])


def test_trades_come_twice_with_the_same_id(rig: Rig) -> None:
    rig.run(4000)
    client = join(rig, ALL, {"channel": "trades", "symbol": "tBTCUSD"})
    rig.run(4000)
    found = arrays(rig.frames(client))
    history = [row[0] for row in found[0][1]]
    assert history == sorted(history, reverse=True)
    executed = [frame[2] for frame in found if frame[1] == "te"]
    assert executed == [frame[2] for frame in found if frame[1] == "tu"]
    assert len(executed) > 3
    assert executed[0][0] == history[0] + 1


def test_perpetuals_have_a_status_and_spot_has_none(rig: Rig) -> None:
    client = join(
        rig, ALL, {"channel": "status", "key": "deriv:tBTCF0:USTF0"}, {"channel": "status", "key": "deriv:tBTCUSD"}
    )
    rig.run(2000)
    found = rig.frames(client)
    assert [frame["event"] for frame in found if isinstance(frame, dict)] == ["info", "conf", "subscribed", "error"]
    rows = [frame[1] for frame in arrays(found) if isinstance(frame[1], list)]
    assert len(rows) >= 2
    assert all(len(row) == 23 and row[14] > 0 and row[17] > 0 and row[7] > rig.now_ns // 1_000_000 for row in rows)


def test_liquidations_of_all_perpetuals_come_on_one_channel(rig: Rig) -> None:
    client = join(rig, ALL, {"channel": "status", "key": "liq:global"})
    rig.run(30_000)
    rows = [row for frame in arrays(rig.frames(client)) if isinstance(frame[1], list) for row in frame[1]]
    assert {row[8] for row in rows} == {0, 1}
    assert all((row[11] is None) == (row[8] == 0) for row in rows)
    assert {row[4][-6:] for row in rows} == {":USTF0"}


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"channel": "zzz", "symbol": "tBTCUSD"}, 10300),
        ({"channel": "book", "symbol": "tNOPE"}, 10300),
        ({"channel": "book", "symbol": "tBTCUSD", "len": "7"}, 10300),
        ({"channel": "book", "symbol": "tBTCUSD", "prec": "P9"}, 10300),
        ({"channel": "trades", "symbol": "tETHUSD"}, 10301),
    ],
)
def test_refusals(rig: Rig, asked: dict[str, Any], code: int) -> None:
    client = join(rig, ALL, {"channel": "trades", "symbol": "tETHUSD"})
    rig.frames(client)
    rig.say(client, {"event": "subscribe", **asked})
    (answer,) = rig.frames(client)
    assert (answer["event"], answer["code"], answer["channel"]) == ("error", code, asked["channel"])


def test_a_connection_has_25_channels(rig: Rig) -> None:
    natives = [one.native for one in rig.venue.voice.instruments]
    asked = [{"channel": name, "symbol": f"t{native}"} for native in natives for name in ("trades", "ticker", "book")]
    found = rig.frames(join(rig, ALL, *asked[:26]))
    events = [frame for frame in found if isinstance(frame, dict)]
    assert [one["event"] for one in events].count("subscribed") == 25
    assert events[-1]["code"] == 10305


def test_subscriptions_end_by_their_number(rig: Rig) -> None:
    client = join(rig, ALL, {"channel": "ticker", "symbol": "tBTCUSD"})
    (channel,) = [frame["chanId"] for frame in rig.frames(client) if "chanId" in frame]
    rig.say(client, {"event": "unsubscribe", "chanId": channel})
    assert rig.frames(client) == [{"event": "unsubscribed", "status": "OK", "chanId": channel}]
    rig.run(3000)
    assert rig.frames(client) == []
    rig.say(client, {"event": "unsubscribe", "chanId": channel})
    assert rig.frames(client)[0]["code"] == 10400


@pytest.mark.parametrize("frame", [b"{", b"[]", b'{"event":"zzz"}', b'{"event":5}', b"\xff"])
def test_what_is_no_request_is_answered_with_an_error(rig: Rig, frame: bytes) -> None:
    client = rig.connect("/ws/2")
    rig.frames(client)
    rig.say(client, frame)
    assert [one["event"] for one in rig.frames(client)] == ["error"]


def test_pings(rig: Rig) -> None:
    client = rig.connect("/ws/2")
    rig.frames(client)
    rig.say(client, {"event": "ping", "cid": 1234})
    (pong,) = rig.frames(client)
    assert (pong["event"], pong["cid"]) == ("pong", 1234)


def test_a_spoilt_checksum_is_another(rig: Rig) -> None:
    spoil = rig.venue.voice.spoil_checksum
    assert spoil(b'[7,"cs",-1432,5,6]') in {b'[7,"cs",-1431,5,6]', b'[7,"cs",-1430,5,6]'}
    assert spoil(b'[7,"cs",12]') == b'[7,"cs",13]'
    assert spoil(b"[7,[1,2,3],5,6]") is None


def test_rest(rig: Rig) -> None:
    spot, futures = rig.rest("/v2/conf/pub:list:pair:exchange,pub:list:pair:futures")
    assert "BTCUSD" in spot
    assert "BTCF0:USTF0" in futures
    assert rig.rest("/v2/platform/status") == [1]
    rows = rig.rest("/v2/book/tBTCUSD/P0?len=25")
    assert max(row[0] for row in rows if row[2] > 0) < min(row[0] for row in rows if row[2] < 0)
    assert rig.venue.rest("/v2/book/tNOPE/P0", rig.now_ns, address="test").status == 500
