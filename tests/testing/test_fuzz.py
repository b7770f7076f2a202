"""Damaged conversations into every venue's session; TICKCAST_FUZZ_SECONDS sets how long (5 by default)."""

import asyncio
import os
from typing import Any

import numpy as np
import pytest

from tickcast.cli.demo_market import EXCHANGES
from tickcast.model.record import RECORD
from tickcast.testing.fuzz import PRICED, Conversation, Count, Damage, FuzzError, Sent, fuzz, record, replay
from tickcast.venues.base import Answer, Request
from tickcast.venues.declared.session import DeclaredSession
from tickcast.venues.registry import open_session

pytestmark = pytest.mark.timeout(4000)
SECONDS = float(os.environ.get("TICKCAST_FUZZ_SECONDS", "5"))
SEED = int(os.environ.get("TICKCAST_FUZZ_SEED", "1"))


@pytest.fixture(scope="module")
def conversations() -> list[Conversation]:
    return asyncio.run(record(seconds=2.0))


def test_every_venue_s_session_takes_damage(conversations: list[Conversation]) -> None:
    assert {one.venue for one in conversations} == set(EXCHANGES)
    counts = fuzz(conversations, seconds=SECONDS, seed=SEED)
    for venue, count in counts.items():
        assert count.inputs > count.rounds, venue
        assert count.records > 0, venue
    tried = {venue: count for venue, count in counts.items() if count.inputs > 400}  # one in fifty is damaged at least
    assert all(count.dead for count in tried.values()), tried


def test_what_raises_is_named(conversations: list[Conversation]) -> None:
    told = next(one for one in conversations if one.venue == "XNAS")
    link = next(arguments[0] for name, arguments in told.calls if name == "opened")
    broken = Conversation(venue="XNAS", config=told.config, calls=[("wake", (1,)), ("received", (link, [None], [1]))])
    seed = next(seed for seed in range(50) if Damage(seed).conversation(broken.calls) == broken.calls)
    with pytest.raises(FuzzError, match=r"XNAS, seed .*, call 1 \(received\): TypeError"):
        replay(broken, seed=seed, count=Count())


def calls() -> list[Any]:
    answer = Answer(status=200, body=b'{"cursor":"5"}', received_ns=7)
    told: list[Any] = [("opened", ("tape", 5))]
    told += [("received", ("tape", [b"some bytes", b"and more"], [6, 6])) for _ in range(50)]
    return [*told, ("answered", (Request(purpose="market", url="http://x"), answer))]


def test_damage_is_the_same_with_the_same_seed_and_touches_only_copies() -> None:
    before = repr(calls())
    given = calls()
    different = {repr(Damage(seed).conversation(given)) for seed in range(40)}
    assert repr(Damage(3).conversation(given)) == repr(Damage(3).conversation(given))
    assert before in different, "some conversations are told as they were"
    assert len(different) > 10
    assert repr(given) == before


def test_a_price_that_was_never_sent_is_found(conversations: list[Conversation]) -> None:
    told = next(one for one in conversations if one.venue == "OKX")
    session = open_session("okx", told.config, {})
    assert isinstance(session, DeclaredSession)
    sent, priced = Sent(), 0
    session.start(1)
    for method, arguments in told.calls:
        sent.note(method, arguments)
        step = getattr(session, method)(*arguments)
        sent.check(step, session)
        if any(np.isin(np.frombuffer(b"".join(step.records), RECORD)["kind"], PRICED)):
            priced += 1
            with pytest.raises(ValueError, match="never sent the price"):
                Sent().check(step, session)
    assert priced
