"""Fuzzing of the link between the core and a gateway worker: its frames with damage, in both directions.

``python -m tickcast.testing.fuzz_link --seconds 3600`` joins an owner's hub and a worker's hub in memory, moves the
market, lets clients come and go, and damages what passes between them. Either side may refuse a frame, by closing the
link with a reason; nothing else may happen. After each round a clean link is made, and the worker must stand where the
owner stands in everything that is watched; only a counter that damage made higher, which no owner would, stays until
the owner's next epoch, which comes then and must find all equal. The seed of what went wrong is printed.
"""

import random
import sys
from collections import Counter
from typing import Any, Final

import click
import msgspec

from tickcast._native import Hub, LinkBroken, LinkReader, Position, WorkerHub
from tickcast.model.record import Flag, Kind, State, empty_records, record_bytes
from tickcast.runtime.clock import monotonic_ns
from tickcast.testing.fuzz import Damage
from tickcast.testing.gateway import definition

NAMES: Final = ("XNAS:AAPL", "XNAS:MSFT", "BINANCE:BTC-USDT")
CHANNELS: Final = 7
"""Of the hub: price, trades, three depths of book, two intervals of bars."""
TRADES: Final = 1
LINK: Final = 5
"""Codec of a link."""
BEGIN_NS: Final = 1_774_794_600_000_000_000
STEP_NS: Final = 60_000_000
STEPS: Final = 40
DAMAGED: Final = 0.08
"""Of what passes, while damage is done."""
SETTLE_TURNS: Final = 200
FEEDS: Final = tuple(sorted({name.partition(":")[0].lower() for name in NAMES}))


class LinkFuzzError(AssertionError):
    """A side stands where the other does not, or never settles."""


class Found(msgspec.Struct, kw_only=True):
    """What was thrown, and what came of it."""

    rounds: int = 0
    damaged: int = 0
    refused: Counter[str] = msgspec.field(default_factory=Counter)
    """Sides that closed the link."""


class Round:
    """An owner, a worker and a market, by a seed."""

    def __init__(self, seed: str, found: Found) -> None:
        self._chance = random.Random(seed)
        self._damage = Damage(seed)
        self._found = found
        self._now = BEGIN_NS
        self._definitions = {name: definition(name) for name in NAMES}
        self._owner = self._begin(7)
        self._worker = WorkerHub(history_count=16)
        self._clients: list[int] = []
        self._ids = 0
        self._is_clean = False
        self._waiting: set[int] = set()
        self._link = self._connect()

    def _begin(self, epoch: int) -> Hub:
        owner = Hub(epoch=epoch, history_count=16)
        owner.define(list(self._definitions.values()), self._now)
        for feed in FEEDS:
            owner.set_feed_state(feed, State.LIVE, "", self._now)
        for entry in self._definitions.values():
            rows = empty_records(3)
            rows["ts_event"] = rows["ts_recv"] = self._now
            rows["instrument"] = entry.instrument
            rows["kind"] = [Kind.TRADE, Kind.BOOK_BID, Kind.BOOK_ASK]
            rows["flags"] = [0, Flag.NO_PRICE, Flag.NO_PRICE | Flag.LAST_OF_EVENT]
            rows["price"], rows["size"] = 100, 1
            owner.apply(record_bytes(rows), self._now)
        return owner

    def _connect(self) -> int:
        self._reader = LinkReader()
        link = self._owner.open(-1)
        self._owner.configure(link, codec=LINK, batch=False)
        self._worker.linked("gateway1", 1, self._now)
        return link

    def _break(self, side: str) -> None:
        self._found.refused[side] += 1
        self._again()

    def _again(self) -> None:
        self._owner.close(self._link)
        self._worker.unlinked("gone", self._now)
        self._waiting.clear()
        self._link = self._connect()

    # ------------------------------------------------------------------ what happens

    def _market(self) -> None:
        chance = self._chance
        rows = empty_records(chance.randrange(1, 6))
        name = chance.choice(NAMES)
        rows["ts_event"] = rows["ts_recv"] = self._now
        rows["instrument"] = self._definitions[name].instrument
        rows["price_scale"] = 2
        for place in range(len(rows)):
            self._ids += 1
            rows["kind"][place] = chance.choice((Kind.TRADE, Kind.BID, Kind.ASK, Kind.BOOK_BID, Kind.BOOK_ASK))
            rows["id"][place] = self._ids
            rows["price"][place] = chance.randrange(9_990, 10_010)
            rows["size"][place] = chance.randrange(3)
        rows["flags"] = Flag.LAST_OF_EVENT
        self._owner.apply(record_bytes(rows), self._now)

    def _client(self) -> None:
        chance = self._chance
        if len(self._clients) > 5:
            self._worker.close(self._clients.pop(chance.randrange(len(self._clients))))
        client = self._worker.open(-1)
        self._worker.configure(client, codec=chance.randrange(5), batch=chance.random() < 0.5)
        self._clients.append(client)
        for _ in range(chance.randrange(1, 4)):
            channel, rate = chance.randrange(CHANNELS), chance.choice((0, 1, 20))
            want = (channel, chance.choice(NAMES), rate, int(channel == TRADES), 0, 0, 0, 0)
            self._waiting.add(self._worker.prepare(client, [want]))
            self._worker.subscribe(client, channel, want[1], rate, 0, want[3], self._now)

    def _passed(self, data: bytes) -> bytes:
        if self._is_clean or not data or self._chance.random() > DAMAGED:
            return data
        self._found.damaged += 1
        return self._damage.bytes(data)

    def _exchange(self) -> bool:
        """Move what each side has to say; whether anything moved."""
        said = self._worker.outbox()
        try:
            for kind, message in self._reader.feed(self._passed(said)):
                self._owner.serve(self._link, kind, message, self._now)
        except LinkBroken:
            self._break("owner")
            return True
        told = b"".join(data for client, data in self._owner.flush(self._now).unsent if client == self._link)
        if told:
            self._owner.drained(self._link)
        try:
            answer = self._worker.feed(self._passed(told), self._now)
            while answer is not None:
                if answer[0] == "done":
                    self._waiting.discard(answer[1])
                    self._worker.settle(answer[1])
                answer = self._worker.feed(b"", self._now)
        except LinkBroken:
            self._break("worker")
            return True
        for client, _ in self._worker.flush(self._now).unsent:
            self._worker.drained(client)
        return bool(said or told)

    def run(self) -> None:
        """Damage, then settle.

        Raises:
            LinkFuzzError: the two do not stand at the same place in the end.
        """
        for _ in range(STEPS):
            self._now += STEP_NS
            self._market()
            if self._chance.random() < 0.3:
                self._client()
            if self._chance.random() < 0.05:
                self._again()
            self._worker.sweep(self._now, 2_000_000_000)
            for _ in range(4):
                self._exchange()
        self._is_clean = True
        self._again()
        self._settle(may_be_ahead=True)
        self._owner.close(self._link)
        self._worker.unlinked("gone", self._now)
        self._owner = self._begin(8)
        self._link = self._connect()
        self._market()
        self._settle(may_be_ahead=False)
        self._found.rounds += 1

    def _settle(self, *, may_be_ahead: bool) -> None:
        for _ in range(SETTLE_TURNS):
            self._now += STEP_NS
            self._worker.sweep(self._now, 2_000_000_000)
            if not self._exchange() and not self._differences(may_be_ahead=may_be_ahead):
                return
        raise LinkFuzzError(f"does not settle: {self._differences(may_be_ahead=may_be_ahead)}")

    def _differences(self, *, may_be_ahead: bool) -> list[Any]:
        found = []
        for client in self._clients:
            for channel, symbol, *_ in self._worker.subscriptions(client):
                ours, theirs = (_place(hub.position(symbol, channel)) for hub in (self._worker, self._owner))
                is_ahead = ours is not None and theirs is not None and ours[:2] == theirs[:2] and ours[2] > theirs[2]
                if ours != theirs and not (may_be_ahead and is_ahead):
                    found.append((channel, symbol, ours, theirs))
        return found


def _place(position: Position | None) -> tuple[str, int, int] | None:
    return position and (position.state, position.epoch, position.seq)


def fuzz_link(*, seconds: float, seed: int, rounds_max: int = 1_000_000_000) -> Found:
    """Throw damage for so long.

    Raises:
        LinkFuzzError: the two sides do not stand at the same place after a round.
    """
    found = Found()
    until_ns = monotonic_ns() + int(seconds * 1e9)
    for number in range(rounds_max):
        try:
            Round(f"{seed}:{number}", found).run()
        except LinkFuzzError as wrong:
            raise LinkFuzzError(f"round {number} of seed {seed}: {wrong}") from None
        if monotonic_ns() > until_ns:
            break
    return found


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--seconds", type=float, default=3600.0, show_default=True, help="For so long.")
@click.option("--seed", type=int, default=1, show_default=True, help="Other damage with another seed.")
def main(*, seconds: float, seed: int) -> None:
    """Damage the frames between a core and a gateway worker; exit status 1 if they do not end at the same place."""
    try:
        found = fuzz_link(seconds=seconds, seed=seed)
    except LinkFuzzError as wrong:
        click.echo(str(wrong), err=True)
        sys.exit(1)
    refused = ", ".join(f"{side} refused {count:,}" for side, count in sorted(found.refused.items()))
    click.echo(f"{found.damaged:,} damaged pieces in {found.rounds:,} rounds, seed {seed}: {refused or 'none refused'}")


if __name__ == "__main__":
    main()
