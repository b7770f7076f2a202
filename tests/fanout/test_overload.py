"""The overload ladder over the native hub and real sockets, by a clock that the test moves: up and down every rung."""

from collections import Counter
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import pytest
from tests.native.test_hub import T0, Peer, definition, trades

from tickcast._native import CHANNEL_PRICE, CHANNEL_TRADES, CHANNELS, MODE_ALL, MODE_MERGE, Hub
from tickcast.fanout.config import Config
from tickcast.fanout.ladder import Rung
from tickcast.fanout.stage import FanoutStage
from tickcast.model.batch import TickBatch
from tickcast.ports import Flush

STEP_NS = 10_000_000
TRADES_PER_S = 1_000_000_000 // STEP_NS
BARS_1S = CHANNELS.index("bars:1s")
HOLD_S = 4
OVER, BETWEEN, QUIET = 1.0, 0.65, 0.1
"""Shares of a CPU: over the limit of 0.9, below it but no relief, and quiet."""


class Process:
    """A hub with its stage and clients; time passes, and the event loop's thread is as busy as told."""

    def __init__(self) -> None:
        self.now, self.thread_ns, self.count = T0, 0, 0
        self.hub = Hub(epoch=1)
        self.hub.define([definition("AAPL")], self.now)
        self.rungs: list[Rung] = []
        self.told: dict[int, list[tuple[int, str]]] = {}
        self.fanout = FanoutStage(
            self.hub,
            clock=lambda: self.now,
            deliver=self.deliver,
            measure=lambda *_: None,
            config=Config(overload_memory_mib=0),
            on_rung=self.rungs.append,
            thread=lambda: self.thread_ns,
        )
        self.peers = {name: Peer(self.hub) for name in ("unfiltered", "fast", "slow", "trades", "all", "bars")}
        for name, channel, rate, mode in (
            ("unfiltered", CHANNEL_PRICE, 0, MODE_MERGE),
            ("fast", CHANNEL_PRICE, 20, MODE_MERGE),
            ("slow", CHANNEL_PRICE, 1, MODE_MERGE),
            ("trades", CHANNEL_TRADES, 0, MODE_ALL),
            ("all", CHANNEL_PRICE, 0, MODE_ALL),
            ("bars", BARS_1S, 20, MODE_MERGE),
        ):
            assert self.hub.subscribe(self.peers[name].client, channel, "AAPL", rate, 0, mode, self.now)
        self.fanout.flush()
        for name, peer in self.peers.items():
            assert [message["type"] for message in peer.read()] == ["snapshot"] * (name != "trades")

    def deliver(self, flushed: Flush) -> None:
        assert not flushed.unsent
        assert not flushed.broken
        for client, rate, reason in flushed.shifted:
            self.told.setdefault(client, []).append((rate, reason))

    def told_to(self, name: str) -> list[tuple[int, str]]:
        return self.told.get(self.peers[name].client, [])

    def step(self, busy: float) -> dict[str, list[Any]]:
        """Ten milliseconds with one trade; what each client got."""
        self.now += STEP_NS
        self.thread_ns += int(STEP_NS * busy)
        self.count += 1
        self.hub.apply(trades("AAPL", [10_000 + self.count], self.now, self.count), self.now)
        self.fanout.applied(TickBatch("xnas", 1))
        return {name: peer.read() for name, peer in self.peers.items()}

    def until(self, rung: Rung, busy: float) -> list[dict[str, list[Any]]]:
        steps = []
        while self.fanout.ladder.rung != rung:
            steps.append(self.step(busy))
            assert len(steps) < 3_000
        return steps


@pytest.fixture
async def process() -> AsyncIterator[Process]:
    made = Process()
    yield made
    made.fanout.stop()
    for peer in made.peers.values():
        peer.close()


def updates(steps: list[dict[str, list[Any]]], name: str) -> list[Any]:
    return [message for step in steps for message in step[name] if message["type"] in ("update", "trade", "bar")]


async def test_each_rung_takes_what_it_says_and_gives_it_back_and_trades_are_never_touched(process: Process) -> None:
    every: list[dict[str, list[Any]]] = []
    counts: dict[Rung, Counter[str]] = {}
    for rung, busy in [*((rung, OVER) for rung in Rung), *((rung, QUIET) for rung in reversed(list(Rung)[:-1]))]:
        every += process.until(rung, busy)
        # some steps in which a cap reaches all, and what was due before comes
        every += [process.step(BETWEEN) for _ in range(TRADES_PER_S)]
        held = [process.step(BETWEEN) for _ in range(HOLD_S * TRADES_PER_S)]
        every += held
        assert process.fanout.ladder.rung == rung, "between the limits nothing moves"
        found = Counter({name: len(updates(held, name)) / HOLD_S for name in process.peers})
        counts[rung] = counts.get(rung, found)
        for name in ("unfiltered", "fast", "slow"):
            assert found[name] == pytest.approx(counts[rung][name], rel=0.2), "down as up"
    assert process.rungs == [1, 2, 3, 4, 3, 2, 1, 0]
    per_s = {name: [counts[rung][name] for rung in Rung] for name in process.peers}
    assert per_s["unfiltered"] == pytest.approx([100, 20, 5, 1, 1], rel=0.2)
    assert per_s["fast"] == pytest.approx([20, 20, 5, 1, 1], rel=0.25)
    assert per_s["slow"] == pytest.approx([1] * 5, rel=0.2)
    assert per_s["trades"] == per_s["all"] == pytest.approx([100] * 5, rel=0.02)
    for name in ("trades", "all"):
        assert [message["seq"] for message in updates(every, name)] == list(range(1, process.count + 1)), "every one"
    check_told(process)
    check_nothing_is_missed(process, every)


def check_told(process: Process) -> None:
    down, up = [(5, "overload"), (1, "overload")], [(5, "restored"), (0, "restored")]
    assert process.told_to("unfiltered") == process.told_to("fast") == process.told_to("bars") == down + up
    assert not any(process.told_to(name) for name in ("slow", "trades", "all")), "nothing changed for them"


def check_nothing_is_missed(process: Process, every: list[dict[str, list[Any]]]) -> None:
    for name in ("unfiltered", "fast", "slow"):
        seqs = [message["seq"] for message in updates(every, name)]
        assert all(one < other for one, other in pairwise(seqs))
        ((*_, published, delivered, merged, lost),) = process.hub.sync(process.peers[name].client, process.now)
        assert (published, lost) == (delivered + merged, 0)
        process.fanout.flush()
    process.now += 1_000_000_000
    process.fanout.flush()
    for name in ("unfiltered", "fast", "slow"):
        last = [message for message in process.peers[name].read() if "price" in message]
        seen = [*updates(every, name), *last]
        assert seen[-1]["price"] == (10_000 + process.count) / 100
        assert not [message for step in every for message in step[name] if message["type"] == "snapshot"]
