"""A thousand live books of a thousand levels a side in one feed: memory of the process, and what a message costs.

    python bench/books.py [--books 1000] [--levels 1000] [--updates 200] [--json FILE]

A session of Binance (instruments, subscriptions, snapshots over REST, differences), the pipeline behind it, no
sockets. Snapshots are of ``--levels`` a side; then ``--updates`` differences come to each book, three levels of each
side, nine in ten of them among the best fifty. At the end every book must be live. Memory is the resident set of the
whole process, Python and libraries included; what it was before the first snapshot is shown too.
"""

import argparse
import json
import random
import resource
import time
from collections import deque
from pathlib import Path
from typing import Any, Final

import machine
from tickcast.model.record import State
from tickcast.normalise.pipeline import Pipeline
from tickcast.runtime.clock import now_ns
from tickcast.venues.base import Answer, Request, Session, Step, VenueConfig
from tickcast.venues.registry import open_session

READ: Final = 64
SECOND_NS: Final = 1_000_000_000
MIDDLE: Final = 5_000_000
PAGE: Final = resource.getpagesize()


def resident_mb() -> float:
    """Of this process, in units of 10^6 bytes."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * PAGE / 1e6


def level(dice: random.Random, side: int, distance: int) -> list[str]:
    """Price and size as Binance writes them; a tenth of the sizes is zero."""
    cents = MIDDLE + (distance + 1) * (1 if side else -1)
    size = dice.randrange(1, 10**9) if dice.random() < 0.9 else 0
    return [f"{cents // 100}.{cents % 100:02}000000", f"{size // 10**8}.{size % 10**8:08}"]


def snapshot(dice: random.Random, levels: int) -> bytes:
    """A book whose levels follow each other without a hole."""
    sides = [[[price, "1.50000000"] for price, _ in (level(dice, side, at) for at in range(levels))] for side in (0, 1)]
    return json.dumps({"lastUpdateId": 100, "bids": sides[0], "asks": sides[1]}).encode()


def difference(dice: random.Random, native: str, number: int, levels: int) -> bytes:
    """The ``number``-th difference of a book."""
    far = [dice.randrange(1, 50 if dice.random() < 0.9 else levels) for _ in range(3)]
    data = {
        "e": "depthUpdate",
        "E": 1_672_515_782_136,
        "s": native,
        "U": 100 + number,
        "u": 100 + number,
        "b": [level(dice, 0, at) for at in far],
        "a": [level(dice, 1, at) for at in far],
    }
    return json.dumps({"stream": f"{native.lower()}@depth@100ms", "data": data}, separators=(",", ":")).encode()


class Books:
    """The session, its pipeline, and the newest state of every instrument."""

    def __init__(self, names: list[str]) -> None:
        config = VenueConfig(
            venue="BINANCE", streams=("book",), symbols=tuple(f"{name}-USDT" for name in names), depth=10
        )
        self.session: Session = open_session("bench", config, {})
        self.pipeline = Pipeline("bench")
        self.states: dict[int, int] = {}
        self.wanted: deque[Request] = deque()
        self.unconfirmed: deque[tuple[str, int]] = deque()
        self.filled: set[str] = set()
        listed = [
            {"symbol": f"{name}USDT", "status": "TRADING", "baseAsset": name, "quoteAsset": "USDT", "filters": []}
            for name in names
        ]
        now = now_ns()
        (asked, *_) = self.session.start(now).requests
        step = self.session.answered(
            asked, Answer(status=200, body=json.dumps({"symbols": listed}).encode(), received_ns=now)
        )
        self.take(step)
        for link in step.links:
            self.take(self.session.opened(link.name, now))
        self.names = [link.name for link in step.links]

    def fill(self, body: bytes, now: int) -> None:
        """Answer what the session asks for, until it asks for nothing more."""
        end = now + 600 * SECOND_NS
        while self.session.wake_ns and now < end and len(self.filled) < len(self.states):
            now = max(now, self.session.wake_ns)
            self.take(self.session.wake(now))
            while self.wanted:
                request = self.wanted.popleft()
                if "depth" in request.url:
                    self.filled.add(request.url)
                self.take(self.session.answered(request, Answer(status=200, body=body, received_ns=now)))
            while self.unconfirmed:
                link, ident = self.unconfirmed.popleft()
                answer = json.dumps({"result": None, "id": ident}).encode()
                self.take(self.session.received(link, [answer], [now]))

    def take(self, step: Step) -> None:
        """Hand a step to the pipeline, and keep what it asks for."""
        self.wanted.extend(step.requests)
        self.unconfirmed.extend((link, json.loads(data)["id"]) for link, data in step.send)
        if step.dead_count:
            raise SystemExit(f"{step.dead_count} messages were not understood: {step.dead[0]}")
        now = now_ns()
        batches = self.pipeline.accept(
            b"".join(step.records), received_ns=now, decoded_ns=now, definitions=step.definitions, texts=step.texts
        )
        for batch in batches:
            status = batch.records[batch.records["kind"] == 6]
            self.states.update(zip(status["instrument"].tolist(), status["detail"].tolist(), strict=True))


def measure(count: int, levels: int, updates: int) -> dict[str, Any]:
    """All of it."""
    dice = random.Random(1)
    names = [f"B{number}" for number in range(count)]
    books = Books(names)
    began_mb = resident_mb()
    (link, *others) = books.names
    if others:
        raise SystemExit(f"expected one link, found {len(others) + 1}")
    natives = [f"{name}USDT" for name in names]
    now = now_ns()
    for native in natives:
        books.take(books.session.received(link, [difference(dice, native, 1, levels)], [now]))
    books.fill(snapshot(dice, levels), now)
    full_mb = resident_mb()
    cpu_s = 0.0
    for number in range(2, updates + 2):
        frames = [difference(dice, native, number, levels) for native in natives]
        begin = time.process_time()
        for at in range(0, count, READ):
            chunk = frames[at : at + READ]
            books.take(books.session.received(link, chunk, [now] * len(chunk)))
        cpu_s += time.process_time() - begin
    live = sum(state == State.LIVE for state in books.states.values())
    kept = books.session.core.statistics()["books"]  # type: ignore[attr-defined]
    return {
        "books": count,
        "levels_a_side": levels,
        "live": live,
        "levels": kept["levels"],
        "resident_mb": round(resident_mb(), 1),
        "with_snapshots_mb": round(full_mb, 1),
        "before_mb": round(began_mb, 1),
        "books_mb": round(kept["bytes"] / 1e6, 1),
        "messages": count * updates,
        "messages_per_cpu_s": round(count * updates / cpu_s),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--books", type=int, default=1_000)
    parser.add_argument("--levels", type=int, default=1_000)
    parser.add_argument("--updates", type=int, default=200, help="differences of each book")
    parser.add_argument("--json", type=Path)
    asked, facts = parser.parse_args(), machine.facts()
    result = measure(asked.books, asked.levels, asked.updates)
    print(
        f"{result['live']:,} of {result['books']:,} books live, {result['levels']:,} levels:"
        f" {result['resident_mb']} MB resident ({result['before_mb']} before the first snapshot),"
        f" {result['books_mb']} MB of books; {result['messages_per_cpu_s']:,} messages per CPU-second"
    )
    if asked.json:
        asked.json.write_text(json.dumps({"benchmark": "books", "machine": facts, **result}, indent=1) + "\n")
    if result["live"] != result["books"]:
        raise SystemExit("not every book is live")


if __name__ == "__main__":
    main()
