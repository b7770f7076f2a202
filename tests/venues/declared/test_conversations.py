"""Sessions of all declared venues against their simulated venues: up, broken, cut, and whole again."""

import gzip
import re
from collections import Counter

import pytest
from tests.venues.declared.conversation import Conversation

from tickcast.model.record import Kind, State
from tickcast.sim.crypto.voices import VOICES
from tickcast.venues.base import Limited
from tickcast.venues.declared.books import snapshot_kinds

CALM_MS = 2500
"""Streams with an interval have told all that they have."""


def up(word: str, **settings: object) -> Conversation:
    talk = Conversation(word, rig={"pairs": 4}, **settings)
    talk.run(2500)
    assert set(talk.states().values()) <= {State.LIVE, State.UNVERIFIED}, talk.states()
    return talk


def assert_equal_to_the_truth(talk: Conversation) -> None:
    talk.run(CALM_MS, quiet=True)
    assert set(talk.states().values()) <= {State.LIVE, State.UNVERIFIED}, talk.states()
    books = [one.definition.symbol for one in talk.session.instruments if one.book is not None]
    assert books
    assert {symbol: talk.book_of(symbol) for symbol in books} == {symbol: talk.truth_of(symbol) for symbol in books}


@pytest.mark.parametrize("word", list(VOICES))
def test_a_venue_comes_up_live_and_its_books_are_right(word: str) -> None:
    talk = up(word)
    assert talk.dead == []
    assert talk.incidents == []
    assert_equal_to_the_truth(talk)
    counts = Counter(row.kind for row in talk.told)
    assert min(counts[Kind.TRADE], counts[Kind.BID], counts[Kind.ASK]) > 10
    assert isinstance(talk.session, Limited)


@pytest.mark.parametrize("word", list(VOICES))
def test_a_link_that_was_cut_makes_its_instruments_stale_until_they_are_whole_again(word: str) -> None:
    talk = up(word)
    link = max(talk.clients, key=lambda name: len(talk.session._wires.by_name[name].subscriptions))
    talk.cut(link)
    first = talk.incidents[-1]
    assert (first.kind, first.scope, first.link, first.repair) == ("reconnect", "connection", link, "reconnect")
    stale = {one.id for one in talk.session.instruments if talk.states()[one.definition.symbol] == State.STALE}
    assert stale == set(first.instruments)
    talk.run(3500)
    assert_equal_to_the_truth(talk)


@pytest.mark.parametrize("word", list(VOICES))
def test_a_lost_message_of_a_book_is_repaired_for_its_scope_only(word: str) -> None:
    talk = up(word)
    lost: list[bytes] = []
    books = [one for one in talk.session.instruments if one.book is not None]
    told = Counter(row.instrument for row in talk.told)
    natives = Counter(one.listed.native for one in talk.session.instruments)
    busiest = max((one for one in books if natives[one.listed.native] == 1), key=lambda one: told[one.id])
    channel = busiest.book
    assert channel is not None
    words: tuple[bytes, ...] = (b"depthUpdate", b"book", b'"update"', b"l2_data", b"/level2:")
    words = {"gateio": (b"order_book_update",)}.get(word, words)  # its every message says "update"
    wholes = (b"snapshot", b"subscribed", b"bookTicker")
    wire = talk.session._wires.by_channel[channel]
    number = wire.subscriptions[channel].handle  # of venues whose frames name no instrument

    def lose(packed: bytes) -> bool:
        frame = gzip.decompress(packed) if packed[:2] == b"\x1f\x8b" else packed
        if number:
            is_its = frame.startswith(f"[{number},[".encode())
        else:
            natives = "|".join(map(re.escape, (busiest.listed.native, *busiest.listed.also)))
            names = re.search(rf'[".:_]({natives})[".]'.encode(), frame) is not None
            is_its = names and any(word in frame for word in words) and not any(word in frame for word in wholes)
        if lost or not is_its:
            return False
        lost.append(frame)
        return True

    talk.lose = lose
    since = len(talk.told)
    talk.run(3500)
    assert lost
    broken = [one for one in talk.incidents if one.kind in {"gap", "checksum", "restart", "crossed"}]
    if snapshot_kinds(talk.session._venue.dialect) == {"every"} or word == "bitmex":  # nothing shows it
        return
    assert broken, "the loss was seen"
    concerned = {instrument for one in broken for instrument in one.instruments}
    assert busiest.id in concerned
    if all(one.scope == "instrument" for one in broken):
        assert concerned == {busiest.id}
    went = {row.instrument for row in talk.told[since:] if row.kind == Kind.STATUS and row.detail == State.GAP}
    assert went == concerned
    assert not [one for one in talk.incidents if one.kind == "reconnect"], "the link stays"
    assert_equal_to_the_truth(talk)


def test_no_more_is_sent_than_the_venue_takes() -> None:
    talk = Conversation("binance", rig={"pairs": 40}, channels_max=60)
    talk.run(6000)
    assert len(talk.links) > 2
    assert talk.rig.venue.state().get("over_limit", 0) == 0
    assert not talk.dropped
    assert set(talk.states().values()) == {State.LIVE}


def test_wildcards_choose_instruments_and_markets_limit_them() -> None:
    talk = up("bybit", symbols=("BTC-*-C", "ETH-USDT"))
    symbols = {one.definition.symbol for one in talk.session.instruments}
    assert "ETH-USDT" in symbols
    assert len(symbols) > 1
    assert all(symbol == "ETH-USDT" or symbol.endswith("-C") for symbol in symbols)
    spot = up("bybit", markets=("spot",))
    assert {one.listed.market for one in spot.session.instruments} == {"spot"}


def test_open_interest_is_polled() -> None:
    talk = up("binance_futures", poll_interval_s=1.0)
    talk.run(2000)
    told = {row.instrument for row in talk.told if row.kind == Kind.OPEN_INTEREST}
    assert told == {one.id for one in talk.session.instruments}


def test_a_venue_that_is_silent_after_a_ping_is_left() -> None:
    talk = up("okx", quiet_watch=False)
    talk.lose = lambda _: True
    talk.run(45_000, quiet=True)
    assert talk.dropped
    assert "ping" in talk.dropped[0][1]
    assert talk.incidents[0].kind == "reconnect"
