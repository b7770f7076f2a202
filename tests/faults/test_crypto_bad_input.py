"""Frames and answers of crypto venues that are wrong: never a crash, never a wrong price, and right again by itself."""

import asyncio
import random
import re
from collections.abc import Awaitable, Callable, Iterable

import pytest
from tests.faults.crypto import VENUES, Running, running

from tickcast.sim.crypto.state import Client, Topic
from tickcast.testing.rude_venue import RudeVenue
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
