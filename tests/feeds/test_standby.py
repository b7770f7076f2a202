"""A process that takes over from another one: what it holds, what it tells, and what it says of what nobody knows."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import pytest

from tickcast import _native
from tickcast.feeds.relay import Relay
from tickcast.feeds.standby import HandoverFile, HandoverNote, StandbyPublisher, leave
from tickcast.model.batch import TickBatch
from tickcast.model.health import FeedHealth
from tickcast.model.instrument import Definition
from tickcast.model.record import RECORD, Flag, Kind, records_from
from tickcast.normalise.pipeline import Pipeline

NOW = 1_800_000_000_000_000_000
ONE = Definition(
    instrument=1,
    venue="V",
    symbol="BTC-USDT",
    feed="v",
    security="BTC-USDT",
    native_symbol="BTCUSDT",
    asset_class="crypto",
    currency="USDT",
)


class Published:
    """Where batches go."""

    def __init__(self) -> None:
        self.batches: list[TickBatch] = []
        self.healths: list[FeedHealth] = []
        self.started = 0
        self.conflated = 0

    async def start(self) -> None:
        self.started += 1

    async def publish(self, batch: TickBatch) -> None:
        assert self.started
        self.batches.append(batch)

    async def report(self, health: FeedHealth) -> None:
        self.healths.append(health)

    def on_refresh(self, refresh: Callable[[], TickBatch | None]) -> None: ...
    def on_watched(self, watched: Callable[[Mapping[int, int]], None]) -> None: ...
    def on_books(self, books: Callable[[Collection[int]], None]) -> None: ...
    async def close(self) -> None: ...


def row(kind: Kind, *, ident: int = 0, price: int = 100, flags: int = 0, seq: int = 0) -> bytes:
    rows = records_from(bytearray(RECORD.itemsize))
    rows["instrument"], rows["kind"], rows["id"], rows["price"], rows["size"], rows["seq"] = (
        1,
        kind,
        ident,
        price,
        1,
        seq,
    )
    rows["ts_event"] = rows["ts_recv"] = NOW
    rows["flags"] = Flag.LAST_OF_EVENT | flags
    return rows.tobytes()


def told_by(pipeline: Pipeline, *rows: bytes) -> list[TickBatch]:
    return pipeline.accept(b"".join(rows), received_ns=NOW, decoded_ns=NOW, definitions=[ONE])


def kinds(batches: list[TickBatch]) -> list[tuple[Kind, int]]:
    return [(Kind(kind), ident) for batch in batches for kind, ident in batch.records[["kind", "id"]].tolist()]


def standing_by(*rows: bytes) -> tuple[Published, StandbyPublisher, Pipeline]:
    published, pipeline = Published(), Pipeline("v")
    standby = StandbyPublisher(published, "v", clock=lambda: NOW, read=_native.Told)
    for batch in told_by(pipeline, *rows):
        asyncio.run(standby.publish(batch))
    return published, standby, pipeline


def health() -> FeedHealth:
    return FeedHealth(name="v", venue="V", state="connected", since_ns=NOW, pid=2)


def test_what_the_process_before_told_is_not_told_again(tmp_path: Path) -> None:
    before = Pipeline("v")
    told_by(before, row(Kind.TRADE, ident=1), row(Kind.TRADE, ident=2), row(Kind.LIQUIDATION, price=7))
    published, standby, pipeline = standing_by(
        row(Kind.TRADE, ident=2),
        row(Kind.MARK, price=5),
        row(Kind.LIQUIDATION, price=7),
        row(Kind.TRADE, ident=9, flags=Flag.HISTORY),
        row(Kind.BID, price=99, seq=4),
        row(Kind.TRADE, ident=3),
        row(Kind.MARK, price=6),
    )
    asyncio.run(standby.report(health()))
    assert (published.started, published.batches, published.healths) == (0, [], [])
    path = tmp_path / "feeds" / "v.handover"
    assert leave(path, before.keys(), now_ns=NOW)
    left = HandoverFile(path).take()
    assert left is not None
    assert asyncio.run(standby.go_live(left, pipeline.state())) == 1
    assert kinds(published.batches) == [(Kind.BID, 0), (Kind.MARK, 0), (Kind.TRADE, 3)]
    assert published.batches[0].definitions == (ONE,)
    assert published.batches[0].records["price"].tolist() == [99, 6]
    assert HandoverFile(path).take() is None, "it is read once"
    for batch in told_by(pipeline, row(Kind.TRADE, ident=4)):
        asyncio.run(standby.publish(batch))
    asyncio.run(standby.report(health()))
    assert kinds(published.batches)[-1] == (Kind.TRADE, 4)
    assert published.healths[0].takes_over == left[0].pid


def test_where_nothing_was_left_the_loss_is_said_and_nothing_is_told_twice() -> None:
    published, standby, pipeline = standing_by(row(Kind.TRADE, ident=2), row(Kind.BID, price=99, seq=4))
    assert asyncio.run(standby.go_live(None, pipeline.state())) == 0
    assert kinds(published.batches) == [(Kind.BID, 0)]
    (entry,) = published.batches[0].ledger
    assert (entry.kind, entry.instruments, entry.ended_ns) == ("gap", ("V:BTC-USDT",), NOW)
    assert standby.takes_over == 0


def test_texts_of_ids_stay_with_their_trades() -> None:
    published, standby, _ = standing_by()
    rows = records_from(row(Kind.BID, seq=1) + row(Kind.TRADE, ident=5) + row(Kind.TRADE, ident=6))
    asyncio.run(standby.publish(TickBatch("v", 1, rows, (ONE,), (None, "five", "six"))))
    before = Pipeline("v")
    told_by(before, row(Kind.TRADE, ident=5))
    asyncio.run(standby.go_live((HandoverNote(pid=7, at_ns=NOW), before.keys()), None))
    assert published.batches[-1].texts == ("six",)


def test_what_is_held_is_bounded() -> None:
    published, pipeline = Published(), Pipeline("v")
    standby = StandbyPublisher(published, "v", clock=lambda: NOW, read=_native.Told, held_max=10)
    for ident in range(1, 31):
        for batch in told_by(pipeline, row(Kind.TRADE, ident=ident)):
            asyncio.run(standby.publish(batch))
    assert asyncio.run(standby.go_live((HandoverNote(pid=7, at_ns=NOW), Pipeline("v").keys()), None)) == 10
    assert kinds(published.batches)[-1] == (Kind.TRADE, 30)


@pytest.mark.parametrize("damage", [b"", b"x", b"tickcast-kept 1 3 00000000\nabc"])
def test_a_damaged_file_is_as_good_as_none(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "v.handover"
    path.write_bytes(damage)
    assert HandoverFile(path).take() is None
    assert not path.exists()


def test_damaged_keys_are_as_good_as_none() -> None:
    published, standby, _ = standing_by(row(Kind.TRADE, ident=2))
    assert asyncio.run(standby.go_live((HandoverNote(pid=7, at_ns=NOW), b"no keys"), None)) == 0
    assert published.batches[0].ledger


def test_a_relay_is_asked_step_by_step(tmp_path: Path) -> None:
    ready: list[int] = []

    async def settled() -> bool:
        return True

    standby = StandbyPublisher(Published(), "v", clock=lambda: NOW, read=_native.Told)
    relay = Relay(tmp_path / "x", settled=settled, ready=lambda: ready.append(1), standby=standby)
    assert relay.is_waiting
    relay.ready()
    assert (relay.is_waiting, ready) == (False, [1])
    assert not relay.takes_over_now()
    relay.asked()
    assert relay.takes_over_now()
    assert not relay.hands_over
    asyncio.run(standby.go_live(None, None))
    assert not relay.takes_over_now()
    relay.asked()
    assert bool(relay.hands_over)
    live = Relay(tmp_path / "x", settled=settled, ready=lambda: None)
    assert not live.is_waiting
    live.asked()
    assert live.hands_over
