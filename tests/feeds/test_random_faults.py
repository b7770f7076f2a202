"""Every feed against its simulated exchange under random faults, several at once: not live and wrong, right in the end.

``TICKCAST_FAULT_ROUNDS`` (1) rounds for each venue, the first with the seed ``TICKCAST_FAULT_SEED`` (1), each further
with the next. The faults of a round are printed; times are real, so that a seed repeats the faults and not the course.
"""

import asyncio
import os
import random

import pytest
from tests.feeds.random_faults import Market, market, within

ROUNDS = int(os.environ.get("TICKCAST_FAULT_ROUNDS", "1"))
SEED = int(os.environ.get("TICKCAST_FAULT_SEED", "1"))
SETTLED_S = 30.0
"""Longest repair: a request server or a login that was refused is asked again after seconds."""
PAUSED_S = 12.0
TELLS_END = frozenset({"XBOS", "BATS", "XNYS", "XSIM"})
"""Venues that say themselves how far they are, so that even a loss in the last message before a pause is seen."""

FLOWS_S = {"BINANCE": 6.0}
"""How long the market goes on after the faults: where only what comes next shows that a snapshot was of another day."""


async def trouble(one: Market, chance: random.Random) -> list[str]:
    """Let two to four faults happen close together; returns what was done."""
    told = []
    for _ in range(chance.randint(2, 4)):
        fault = one.choose(chance)
        one.faults.arm(fault)
        told.append(str(fault))
        await asyncio.sleep(chance.choice([0.0, 0.02, 0.3]))
    await asyncio.sleep(chance.uniform(0.1, 0.8))
    return told


@pytest.mark.parametrize("seed", range(SEED, SEED + ROUNDS))
@pytest.mark.parametrize("venue", ["XNAS", "XBOS", "BATS", "XNYS", "BINANCE", "XSIM"])
async def test_no_book_is_live_and_wrong_and_every_book_is_right_in_the_end(venue: str, seed: int) -> None:
    chance = random.Random(f"{venue}:{seed}")
    async with market(venue, seed=seed) as one:
        assert await within(SETTLED_S, lambda: not one.late() and one.screen.trades), one.late()
        done: list[str] = []
        for _ in range(2):
            told = await trouble(one, chance)
            done += told
            print(f"{venue} seed {seed}: {told}")  # noqa: T201  a failure names its faults
            if venue in TELLS_END:  # the faults go on while the market is quiet
                one.engine.paused = True
                assert await within(PAUSED_S, lambda: not one.wrong(live_only=True)), (
                    f"live and wrong: {one.wrong(live_only=True)[:5]}", done
                )  # fmt: skip
                one.engine.paused = False
        one.faults.clear()
        await asyncio.sleep(FLOWS_S.get(venue, 0.5))
        one.engine.paused = True
        if not await within(SETTLED_S, one.is_right):
            health = one.feed.feed.health
            wrong = one.wrong(live_only=False)
            live = one.wrong(live_only=True)
            pytest.fail(
                f"seed {seed}, {done}: {health.state}; late {one.late()[:5]}; wrong {wrong[:5]}; live {live[:5]}"
            )
        twice = [key for key, count in one.screen.trades.items() if count > 1]
        assert not twice, done
