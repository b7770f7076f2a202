"""Frames and answers of crypto venues that are wrong: never a crash, never a wrong price, and right again by itself."""

import asyncio
import random
import re
from collections.abc import Awaitable, Callable, Iterable

import pytest
from tests.faults.crypto import VENUES, Running, running

from tickcast.model.record import Flag, Kind
from tickcast.sim.crypto.state import Client, Topic
from tickcast.sim.faults import Fault
from tickcast.testing.rude_venue import RudeVenue, http
from tickcast.testing.spoil import (
    SPOILS,
    Spoil,
)

pytestmark = pytest.mark.timeout(120)
LIES = frozenset({"wrong types", "huge numbers", "empty lists"})
"""What may still be well-formed, and then says something false: no venue without a checksum can be caught at that."""
BROKEN = frozenset({"no JSON", "cut", "HTML", "compressed"})
"""What is no JSON at all."""
REASON = re.compile(
    r"expected .*(found|got) |Expected `.*got `|missing required field|not asked for|invalid", re.IGNORECASE
)
TRIES_MAX = 12
"""Handshakes and requests that a fault of a moment may cost."""


async def together(*works: Awaitable[None]) -> None:
    """Run all at once; the first failure is the test's, when all are over."""
    for result in await asyncio.gather(*works, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result


def once(run: Running, kind: str, spoil: Callable[[bytes], bytes]) -> list[bytes]:
    """Spoil the next frame of a kind of topic (``answer``: what a subscription brings); returns it when it is gone."""
    spoilt: list[bytes] = []
    left = [10]  # frames that may have nothing to spoil, such as trades without lists

    def tamper(client: Client, topic: Topic | None, frame: bytes) -> Iterable[bytes]:
        del client
        if not spoilt and (topic.kind if topic is not None else "answer") == kind:
            wrong = spoil(frame)
            left[0] -= 1
            if wrong != frame or not left[0]:
                spoilt.append(wrong)
                return [wrong]
        return [frame]

    run.spoil = tamper
    return spoilt


async def one_wrong_frame(word: str, name: str, spoil: Spoil, kind: str) -> None:
    chance = random.Random(f"{word} {name} {kind}")
    async with RudeVenue(word) as rude, running(rude) as run:
        await run.until_right()
        asked, messages = run.asked(), run.feed.health.messages
        spoilt = once(run, kind, lambda frame: spoil(frame, chance))
        await run.until(lambda: spoilt, f"a {kind} to spoil")
        await run.until(lambda: run.feed.health.messages > messages + 20, "the feed reads on")
        context = f"{word}, {name} in a {kind}: {spoilt[0][:300]!r}"
        if name in BROKEN and kind == "book":  # until the next message, nobody can know
            await run.until(lambda: run.kinds().keys() & {"gap", "damaged", "checksum"}, f"{context}: the loss is told")
        if name not in LIES:
            await run.until_right(context)
            assert not run.witness.wrong, f"{context}: {run.witness.wrong[:3]}"
        else:
            rude.cut()  # a lie that cannot be noticed is over with the next snapshot
            await run.until(lambda: run.kinds()["reconnect"], f"{context}: the cut is noticed")
            await run.until_right(context)
        assert not run.invented, f"{context}: {run.invented[:3]}"
        again = [after - before for before, after in zip(asked, run.asked(), strict=True)]
        assert max(again) <= TRIES_MAX, f"{context}: {again} handshakes and requests"
        for reason, raw in run.dead:
            assert REASON.search(reason), f"{context}: {reason!r} of {raw[:100]!r} does not say what was expected"
        if name in BROKEN:
            assert run.dead, f"{context}: no dead letter"
            assert run.feed.health.dead_letters == len(run.dead)
        if name == "unknown fields":
            assert not run.dead, context
            assert not run.ledger, context


@pytest.mark.parametrize("kind", ["book", "trade"])
@pytest.mark.parametrize("word", VENUES)
async def test_a_wrong_frame_is_a_dead_letter_and_is_made_good(word: str, kind: str) -> None:
    await together(*(one_wrong_frame(word, name, spoil, kind) for name, spoil in SPOILS.items()))


# ------------------------------------------------------------------ frames of WebSocket itself


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"\xc1\x05\xff\xfe\xfd\xfc\xfb", "reserved bits"),
        (b"\x91\x02{}", "reserved bits|no WebSocket"),
        (b"\x81\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", "no WebSocket|exceed|lost"),
        (b"\x83\x01x", "opcode|no WebSocket"),
        (b"<html><body>502 Bad Gateway</body></html>", ""),
        (b"\x01\x02{}" + b"\x81\x02{}", "another message"),
        (b"\x80\x02{}", "without a beginning"),
    ],
    ids=["deflate", "rsv3", "huge length", "opcode", "html", "message in message", "continuation of nothing"],
)
async def test_bytes_that_are_no_websocket_end_the_link_and_it_comes_back(raw: bytes, text: str) -> None:
    async with RudeVenue("okx") as rude, running(rude) as run:
        await run.until_right()
        assert rude.write(raw) == 1
        await run.until(lambda: len(rude.handshakes) == 2, "the link is opened again")
        assert re.search(text, run.feed.health.last_error or ""), run.feed.health.last_error
        await run.until_right()
        assert run.kinds()["reconnect"] == 1
        assert not run.witness.wrong
        assert len(rude.handshakes) == 2


async def test_a_message_in_endless_fragments_is_bounded() -> None:
    async with RudeVenue("okx") as rude, running(rude, message_max=1_000_000) as run:
        await run.until_right()
        rude.write(b"\x01\x7f" + (65_536).to_bytes(8, "big") + b" " * 65_536)
        for _ in range(40):
            rude.write(b"\x00\x7f" + (65_536).to_bytes(8, "big") + b" " * 65_536)
        await run.until(lambda: len(rude.handshakes) == 2, "the link is opened again")
        assert "1000000 bytes" in (run.feed.health.last_error or "")
        await run.until_right()


# ------------------------------------------------------------------ size


@pytest.mark.parametrize("word", ["okx", "kraken"])
async def test_a_book_of_20_megabytes_is_taken(word: str) -> None:
    async with RudeVenue(word) as rude, running(rude) as run:
        grown = once(run, "book", lambda frame: b" " * 20_000_000 + frame)
        await run.until(lambda: grown, "a snapshot")
        await run.until_right(within_s=40)
        assert len(grown[0]) > 20_000_000
        assert len(rude.handshakes) == 1
        assert not run.dead


async def test_a_book_of_20_megabytes_over_rest_is_taken() -> None:
    async with RudeVenue("binance") as rude:

        def grown(target: str) -> bytes | None:
            if "depth" not in target:
                return None
            answer = rude.rest(target)
            rude.on_answer(answer)
            return http("200 OK", answer.body + b" " * 20_000_000, Content_Type="application/json")

        rude.on_request = grown
        async with running(rude) as run:
            await run.until_right(within_s=40)


async def test_what_is_larger_than_the_bound_is_not_read_and_not_asked_for_in_a_storm() -> None:
    async with RudeVenue("okx") as rude, running(rude, message_max=100_000, backoff_min_ms=200) as run:
        run.spoil = lambda _, topic, frame: [frame + b" " * 200_000 if topic and topic.kind == "book" else frame]
        await run.until(lambda: len(rude.handshakes) >= 3, "it tries again")
        assert re.search("exceed|too big|100000", run.feed.health.last_error or "", re.IGNORECASE)
        times = [when for when, _ in rude.handshakes]
        assert times[2] - times[0] >= 0.25e9
        assert not run.is_whole()
        run.spoil = None
        await run.until_right()


# ------------------------------------------------------------------ REST

ANSWERS: dict[str, bytes] = {
    "html": http("200 OK", b"<html><body>maintenance</body></html>", Content_Type="text/html"),
    "forbidden": http("403 Forbidden", b"The Amazon CloudFront distribution is configured to block your country."),
    "redirect": http("302 Found", Location="http://127.0.0.1:1/elsewhere"),
    "empty": http("200 OK"),
    "no content": http("204 No Content"),
    "cut": http("200 OK", b'{"data":[', Content_Length="1000"),
    "no gzip": http("200 OK", b"this is not gzip", Content_Encoding="gzip"),
    "unknown encoding": http("200 OK", b"\x00\x01", Content_Encoding="zzz"),
    "list": http("200 OK", b"[]"),
    "null": http("200 OK", b"null"),
    "object": http("200 OK", b"{}"),
    "NaN": http("200 OK", b'{"data":[NaN],"symbols":NaN,"products":NaN,"result":NaN}'),
    "deep": http("200 OK", b"[" * 200_000),
    "not UTF-8": http("200 OK", b'{"data":"\xff\xfe"}'),
    "status 500": http("500 X", b"<html>"),
    "status 418": http("418 I am a teapot", Retry_After="1"),
    "bad length": b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n{}",
    "no HTTP": b"\x16\x03\x01 what\r\n\r\n",
    "nothing": b"",
}


async def wrong_answers(word: str, name: str, raw: bytes) -> None:
    async with RudeVenue(word) as rude:
        rude.on_request = lambda _: raw
        # Coinbase has a list over REST only in so far as streams need it; all others list before they stream
        async with running(rude, backoff_min_ms=100) as run:
            if not await _asks(run):
                return
            await run.until(lambda: len(rude.requests) >= 3, f"{word}, {name}: it is asked again")
            assert not run.is_whole(), f"{word}, {name}"
            await run.until(lambda: run.feed.health.last_error, f"{word}, {name}: what is wrong is said")
            first = rude.requests[0][0]
            early = [path for when, path in rude.requests if when - first < 0.5e9]
            assert len(early) <= 12 * len({path for _, path in rude.requests}), f"{word}, {name}: a storm: {early}"
            rude.on_request = lambda _: None
            await run.until_right(f"{word}, {name}: live again")
            assert not run.witness.wrong
            assert not run.invented


async def _asks(run: Running) -> bool:
    """Whether a venue's session begins with REST at all."""
    await run.until(lambda: run.rude.requests or run.is_whole(), "it begins")
    return bool(run.rude.requests)


@pytest.mark.parametrize("word", VENUES)
async def test_rest_answers_that_are_wrong_are_asked_for_again(word: str) -> None:
    # Bybit answers 403 to who asks too often: it is left alone for minutes then, as it wants
    asked = {name: raw for name, raw in ANSWERS.items() if not (word == "bybit" and name == "forbidden")}
    await together(*(wrong_answers(word, name, raw) for name, raw in asked.items()))


async def test_an_endless_body_is_not_read_to_its_end() -> None:
    async with RudeVenue("okx") as rude:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
        rude.on_request = lambda _: head + b" " * 2_000_000 if len(rude.requests) < 3 else None
        async with running(rude, message_max=1_000_000) as run:
            await run.until_right()
            assert not run.witness.wrong


# ------------------------------------------------------------------ time


REFUSES_TIMES = ("gateio",)
"""Venues that refuse requests whose time is far from theirs: nothing is told then."""


@pytest.mark.parametrize("hours", [1, -1])
@pytest.mark.parametrize("word", [word for word in VENUES if word not in REFUSES_TIMES])
async def test_a_clock_that_is_an_hour_off_spoils_no_price(word: str, hours: int) -> None:
    async with RudeVenue(word) as rude:
        rude.venue.faults.arm(Fault(fault="clock", offset_s=hours * 3600.0))
        async with running(rude) as run:
            await run.until_right()
            run.rows.clear()
            await run.until(lambda: any(row["kind"] == Kind.TRADE for row in run.rows), "trades")
            assert not run.witness.wrong
            assert not run.invented
            trades = [row for row in run.rows if row["kind"] == Kind.TRADE and not row["flags"] & Flag.HISTORY]
            for row in trades:
                age_ns = int(row["ts_recv"]) - int(row["ts_event"])
                assert bool(row["flags"] & Flag.CLOCK_SKEW) == (hours > 0)
                assert age_ns == 0 if hours > 0 else 3590e9 < age_ns < 3660e9, "ages are never negative"
